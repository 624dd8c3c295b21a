package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// operands follows the height of the operand stack and the basic blocks that the
// compiler makes. For valid code the heights are right or too high. Invalid code is
// never compiled.
type operands struct {
	height int
	frames []frame
	dead   int // nested blocks that began after a branch, in which nothing is compiled
	ended  bool

	// chain counts consecutive basic blocks up to this one, each with one predecessor.
	// The compiler goes back through them to find the value of a local, and does not
	// keep what it finds.
	chain int
	depth int // at least how many basic blocks dominate this one
	known int // loads and stores whose addresses the compiler knows to be checked
	body  *Body
}

// frame is a block that has not ended.
type frame struct {
	base            int // height below the block's parameters
	params, results int
	loop            bool
	isIf, second    bool // an if began it; its else has come
	loops           int  // how deep the loops that branch back are nested in it

	// Of the branches to the block's end, or to its beginning if it is a loop:
	ways        int   // their number
	walk, chain int64 // the sum of their chains, and the last one
	known       int   // the least of them
	depth       int   // the least of them

	// Values at the beginning of an if.
	chainBefore, knownBefore, depthBefore int
}

func (s *operands) move(by int) {
	s.height += by
	if n := len(s.frames); n > 0 {
		// After a branch the stack may hold anything.
		s.height = max(s.height, s.frames[n-1].base)
	}
}

// enter begins a block, loop or if, or the function.
func (s *operands) enter(t Signature, op wasmbin.Opcode) {
	base := max(0, s.height-len(t.Params))
	f := frame{base: base, params: len(t.Params), results: len(t.Results), loop: op == wasmbin.OpLoop, isIf: op == wasmbin.OpIf,
		chainBefore: s.chain, knownBefore: s.known, depthBefore: s.depth}
	if s.ended {
		s.dead++
	} else if f.loop {
		f.come(s)
		s.step(s.depth + 1)
		s.chain = 0
	} else if f.isIf {
		s.step(s.depth + 1)
		s.chain++
	}
	s.frames = append(s.frames, f)
	s.height = base + len(t.Params)
}

// step goes on to another basic block, which depth others dominate.
func (s *operands) step(depth int) {
	s.body.Known += int64(s.known)
	s.body.Climbs += int64(depth)
	s.body.Basic++
	s.depth = depth
}

// come records a branch from here.
func (f *frame) come(s *operands) {
	if f.ways == 0 || s.known < f.known {
		f.known = s.known
	}
	if f.ways == 0 || s.depth < f.depth {
		f.depth = s.depth
	}
	f.ways++
	f.chain = int64(s.chain) + 1
	f.walk += f.chain
}

// branch records a branch to a label, from a basic block of its own.
func (s *operands) branch(label uint32) {
	if uint64(label) >= uint64(len(s.frames)) || s.ended {
		return
	}
	f := &s.frames[len(s.frames)-1-int(label)]
	f.come(s)
	if f.loop {
		f.loops = max(f.loops, 1)
	}
}

// gives returns how many parameters and results the innermost block has.
func (s *operands) gives() int {
	f := s.frames[len(s.frames)-1]
	return f.params + f.results
}

// again begins the second half of the innermost block.
func (s *operands) again() {
	f := &s.frames[len(s.frames)-1]
	s.height, f.second = f.base+f.params, true
	if s.dead > 0 {
		return
	}
	if !s.ended {
		f.come(s)
	}
	s.ended = false
	s.step(f.depthBefore + 1)
	s.chain, s.known = f.chainBefore+1, f.knownBefore
}

// leave ends the innermost block.
func (s *operands) leave() {
	n := len(s.frames) - 1
	f := s.frames[n]
	s.frames = s.frames[:n]
	s.height = f.base + f.results
	if s.dead > 0 {
		s.dead--
		return
	}
	defer func() { s.body.Meets += int64(f.ways) * int64(f.ways) }()
	s.body.Loops = max(s.body.Loops, f.loops)
	if n == 0 {
		return // nothing is read after the function
	}
	if parent := &s.frames[n-1]; parent.loop {
		parent.loops = max(parent.loops, f.loops+1)
	} else {
		parent.loops = max(parent.loops, f.loops)
	}
	if f.loop {
		// The next block has one predecessor, the end of the loop.
		s.body.Merges += f.walk
		s.step(s.depth + 1)
		s.chain++
		return
	}
	if !s.ended {
		f.come(s)
	}
	if f.isIf && !f.second { // as if there were one that is empty
		s.step(f.depthBefore + 1)
		s.chain, s.known = f.chainBefore+1, f.knownBefore
		f.come(s)
	}
	depth := f.depth + 1
	if f.ways > 1 && f.isIf {
		depth = f.depthBefore + 1
	}
	s.step(depth)
	s.ended = f.ways == 0
	s.known = f.known
	s.chain = int(f.chain)
	if f.ways > 1 {
		s.chain = 0
		s.body.Merges += f.walk
	}
}

// round records an instruction that becomes a loop.
func (s *operands) round() {
	if s.ended {
		return
	}
	for range 3 {
		s.step(s.depth + 1)
	}
	s.body.Meets += 2 * 2 * 2
	s.body.Merges += 2 * int64(s.chain+2)
	s.chain = 0
}

// end records that nothing after this instruction runs.
func (s *operands) end() { s.ended = true }

// call takes the parameters, gives the results, and returns the number of both.
func (s *operands) call(t Signature) int {
	s.move(-len(t.Params))
	s.move(len(t.Results))
	return len(t.Params) + len(t.Results)
}
