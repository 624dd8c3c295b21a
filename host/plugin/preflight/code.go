package preflight

// Body sums up the code of one function, as far as it decides what compiling it
// costs.
type Body struct {
	Size     int // bytes of the body, locals included
	Locals   int // locals declared, without parameters
	Depth    int // how deep blocks, loops and ifs are nested
	Blocks   int // how many blocks, loops and ifs; a memory.fill, which becomes a loop, counts as one
	Branches int // how many branches, each target of a table counted, and two for a memory.fill
	Accesses int // how many loads and stores
	Calls    int // how many indirect calls, bulk operations and conversions that trap, which take much code
	Values   int // values that calls and blocks give
	Stack    int // most values on the operand stack, at a block or branch
	Live     int // values that are there at a block or branch, summed up: locals, parameters and the operand stack
}

// work estimates what a compiler has to do for the body, in units of which it
// does about 25 million a second: a part that grows with the size, one with the
// square of the basic blocks, one with the blocks times the square of the values
// that live through them (of which b.Live is the sum over the blocks), and one
// with blocks times loads and stores, of which the compiler remembers in every
// block which addresses have been checked. The factors were fitted to wazero's
// compiler over guests of up to 12 MB and modules made to be slow.
func (b Body) work() int64 {
	n, live := b.points(), min(int64(b.Live), 1<<31)
	w := 12*int64(b.Size) + n*n/2 + n*int64(b.Accesses)/4 + 16*int64(b.Values) + 1200*int64(b.Calls)
	if n > 0 {
		w += 2*live + live/n*live/10
	}
	return min(w, 1<<40) // so that sums do not overflow
}

// memory estimates how many bytes the compiler needs for the body, by the same
// measurements.
func (b Body) memory() int64 {
	return 900*int64(b.Size) + 40*b.points()*int64(b.Accesses) + 320*int64(b.Live) + 280*int64(b.Values) + 20<<10*int64(b.Calls)
}

// points is about how many basic blocks there are.
func (b Body) points() int64 { return int64(b.Blocks + b.Branches) }

// body walks over one function's code. It knows the length of every
// instruction of the accepted feature set and nothing about types: those are
// the compiler's to check.
func (r *reader) body(m *Module, l *Limits, self Signature) (b Body) {
	b.Size = len(r.b)
	groups := r.count("groups of locals in one function", l.Locals)
	for i := 0; i < groups && r.err == nil; i++ {
		n := r.u32()
		if r.err == nil && uint64(b.Locals)+uint64(n) > uint64(l.Locals) {
			r.err = tooBig("locals in one function", int64(b.Locals)+int64(n), int64(l.Locals))
			return b
		}
		b.Locals += int(n)
		r.valueType()
	}
	variables := b.Locals + len(self.Params)
	s := operands{frames: m.frames[:0]}
	s.enter(Signature{Results: self.Results})
	here := func(n int) {
		b.Stack = max(b.Stack, s.height)
		b.Live += n * (variables + s.height)
	}
	for r.err == nil {
		if len(s.frames) == 0 {
			if r.left() > 0 {
				r.fail("%d bytes behind the end of a function", r.left())
			}
			break
		}
		switch op := r.byte(); op {
		case 0x02, 0x03, 0x04: // block, loop, if
			if op == 0x04 {
				s.move(-1)
			}
			s.enter(m.blockType(r))
			b.Values += s.gives()
			here(1)
			b.Blocks++
			b.Depth = max(b.Depth, len(s.frames)-1)
			if b.Depth > l.Depth {
				r.err = tooBig("nested blocks", int64(b.Depth), int64(l.Depth))
			}
		case 0x05: // else
			s.again()
		case 0x0b: // end
			s.leave()
		case 0x0c, 0x0d: // br, br_if
			r.u32()
			b.Branches++
			here(1)
			if op == 0x0d {
				s.move(-1)
			}
		case 0x0e: // br_table
			n := r.count("targets of a branch table", l.Branches)
			b.Branches += n + 1
			here(n + 1)
			for i := 0; i <= n && r.err == nil; i++ {
				r.u32()
			}
		case 0x10: // call
			if f := r.u32(); uint64(f) < uint64(len(m.functionTypes)) {
				b.Values += s.call(m.types[m.functionTypes[f]])
			}
		case 0x11: // call_indirect
			t := r.u32()
			r.zero("the table of call_indirect")
			s.move(-1)
			b.Calls++
			if uint64(t) < uint64(len(m.types)) {
				b.Values += s.call(m.types[t])
			}
		default:
			switch {
			case op >= 0x28 && op <= 0x3e: // loads and stores
				b.Accesses++
			case op >= 0xa8 && op <= 0xb1 && op != 0xac && op != 0xad: // trunc
				b.Calls++
			case op == 0xfc && r.next() == 11: // memory.fill
				b.Blocks++
				b.Branches += 2
				here(3)
				fallthrough
			case op == 0xfc && r.next() >= 8: // bulk operations
				b.Calls++
			}
			s.move(r.immediates(op))
		}
	}
	m.frames = s.frames[:0]
	if n := b.Blocks + b.Branches; r.err == nil && n > l.Branches {
		r.err = tooBig("blocks and branches in one function", int64(n), int64(l.Branches))
	}
	return b
}

// immediates skips what follows an opcode that is not of control structure, and
// returns by how much the instruction changes the height of the operand stack.
func (r *reader) immediates(op byte) int {
	switch {
	case op == 0x00 || op == 0x01 || op == 0x0f: // unreachable, nop, return
	case op == 0x1a: // drop
		return -1
	case op == 0x1b: // select
		return -2
	case op == 0x1c: // select with types, which came with the reference types
		for n := r.count("types of a select", 1); n > 0; n-- {
			r.valueType()
		}
		return -2
	case op == 0x20 || op == 0x23: // local.get, global.get
		r.u32()
		return 1
	case op == 0x21 || op == 0x24: // local.set, global.set
		r.u32()
		return -1
	case op == 0x22: // local.tee
		r.u32()
	case op >= 0x28 && op <= 0x35: // loads
		r.memarg()
	case op >= 0x36 && op <= 0x3e: // stores
		r.memarg()
		return -2
	case op == 0x3f: // memory.size
		r.zero("the memory of memory.size or memory.grow")
		return 1
	case op == 0x40: // memory.grow
		r.zero("the memory of memory.size or memory.grow")
	case op == 0x41:
		r.skipSigned(32)
		return 1
	case op == 0x42:
		r.skipSigned(64)
		return 1
	case op == 0x43:
		r.bytes(4)
		return 1
	case op == 0x44:
		r.bytes(8)
		return 1
	case op >= 0x45 && op <= 0xc4:
		return numeric(op)
	case op == 0xfc:
		return r.bulk()
	case op == 0xfd:
		return r.vector()
	default:
		r.notAllowed(op)
	}
	return 0
}

// numeric returns the change of the stack's height: operations with two operands
// take one away.
func numeric(op byte) int {
	switch {
	case op == 0x45 || op == 0x50, // eqz
		op >= 0x67 && op <= 0x69, op >= 0x79 && op <= 0x7b, // clz, ctz, popcnt
		op >= 0x8b && op <= 0x91, op >= 0x99 && op <= 0x9f, // abs to sqrt
		op >= 0xa7: // conversions, sign extension
		return 0
	}
	return -1
}

// operands follows the height of the operand stack. Of valid code the heights
// are right or too much; code that is not valid is never compiled.
type operands struct {
	height int
	frames []frame
}

// frame is a block that has not ended.
type frame struct {
	base            int // height below the block's parameters
	params, results int
}

func (s *operands) move(by int) {
	s.height += by
	if n := len(s.frames); n > 0 {
		// Behind a branch the stack may be taken to hold anything.
		s.height = max(s.height, s.frames[n-1].base)
	}
}

func (s *operands) enter(t Signature) {
	base := max(0, s.height-len(t.Params))
	s.frames = append(s.frames, frame{base: base, params: len(t.Params), results: len(t.Results)})
	s.height = base + len(t.Params)
}

// gives is how many values the innermost block takes and gives.
func (s *operands) gives() int {
	f := s.frames[len(s.frames)-1]
	return f.params + f.results
}

// again begins the second half of the innermost block.
func (s *operands) again() {
	f := s.frames[len(s.frames)-1]
	s.height = f.base + f.params
}

func (s *operands) leave() {
	n := len(s.frames) - 1
	s.height = s.frames[n].base + s.frames[n].results
	s.frames = s.frames[:n]
}

// call takes the parameters and gives the results, of which it returns the number.
func (s *operands) call(t Signature) int {
	s.move(-len(t.Params))
	s.move(len(t.Results))
	return len(t.Results)
}

// blockType returns the parameters and results of a block.
func (m *Module) blockType(r *reader) Signature {
	if r.pos >= len(r.b) {
		r.fail("ends in the middle of an item")
		return Signature{}
	}
	switch b := r.b[r.pos]; {
	case b == 0x40: // neither
		r.pos++
		return Signature{}
	case b&0xc0 == 0x40: // a single byte, negative as a number: the type of a result
		r.valueType()
		return Signature{Results: oneResult}
	}
	from := r.pos
	r.skipSigned(33)
	index, shift := uint64(0), 0
	for _, b := range r.b[from:r.pos] {
		index |= uint64(b&0x7f) << shift
		shift += 7
	}
	if r.err == nil && index < uint64(len(m.types)) {
		return m.types[index]
	}
	return Signature{}
}

var oneResult = []ValueType{I32}

func (r *reader) memarg() {
	if align := r.u32(); r.err == nil && align&0x40 != 0 {
		r.err = feature("a load or store with the number of a memory (a guest has one memory)")
	}
	r.u32()
}

// zero reads the number of a table or memory.
func (r *reader) zero(what string) {
	if n := r.u32(); r.err == nil && n != 0 {
		r.refuse(feature("%s is number %d, and only number 0 is allowed (a guest has one table and one memory)", what, n))
	}
}

// bulk skips the immediates of the prefix 0xfc: saturating conversions, memory
// and table operations.
func (r *reader) bulk() int {
	switch sub := r.u32(); {
	case r.err != nil:
	case sub <= 7: // trunc_sat
	case sub == 8: // memory.init
		r.u32()
		r.zero("the memory of memory.init")
		return -3
	case sub == 9: // data.drop
		r.u32()
	case sub == 10: // memory.copy
		r.zero("the memory of memory.copy")
		r.zero("the memory of memory.copy")
		return -3
	case sub == 11: // memory.fill
		r.zero("the memory of memory.fill")
		return -3
	case sub == 12: // table.init
		r.u32()
		r.zero("the table of table.init")
		return -3
	case sub == 13: // elem.drop
		r.u32()
	case sub == 14: // table.copy
		r.zero("the table of table.copy")
		r.zero("the table of table.copy")
		return -3
	default:
		r.err = feature("the instruction 0xfc %d (reference types are not available to a guest)", sub)
	}
	return 0
}

// vector skips the immediates of the prefix 0xfd, fixed-width SIMD. Of most
// operations it takes the stack to be as high as before, which is right for one
// operand and too much for two.
func (r *reader) vector() int {
	switch sub := r.u32(); {
	case r.err != nil:
	case sub == 11: // store
		r.memarg()
		return -2
	case sub < 11 || sub == 92 || sub == 93: // loads
		r.memarg()
	case sub == 12: // const
		r.bytes(16)
		return 1
	case sub == 13: // shuffle
		r.bytes(16)
		return -1
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of a lane
		r.memarg()
		r.byte()
		if sub >= 88 {
			return -2
		}
		return -1
	case sub > 255:
		r.err = feature("the vector instruction 0xfd %d (relaxed SIMD is not available to a guest)", sub)
	}
	return 0
}

func (r *reader) notAllowed(op byte) {
	var name string
	switch {
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		name = "exceptions"
	case op >= 0x12 && op <= 0x15:
		name = "tail calls or function references"
	case op == 0x25 || op == 0x26 || op >= 0xd0 && op <= 0xd6:
		name = "reference types"
	case op == 0xfb:
		name = "garbage-collected types"
	case op == 0xfe:
		name = "threads"
	default:
		r.fail("an unknown instruction 0x%02x", op)
		return
	}
	r.err = feature("the instruction 0x%02x (%s are not available to a guest)", op, name)
}
