package preflight

// Body sums up the code of one function, as far as it decides what compiling it
// costs.
type Body struct {
	Size     int // bytes of the body, locals included
	Locals   int // locals declared, without parameters
	Depth    int // how deep blocks, loops and ifs are nested
	Loops    int // how deep loops are nested that go round
	Blocks   int // how many blocks, loops and ifs; a memory.fill, which becomes a loop, counts as one
	Branches int // how many branches, each target of a table counted, and two for a memory.fill
	Accesses int // how many loads and stores
	Calls    int // how many calls, and what else may change memory and globals
	Values   int // values that calls and blocks take and give
	Stack    int // most values on the operand stack, at a block or branch
	Read     int // different locals and globals that are read
	Live     int // values that are there at a block or branch, summed up: what is read, and the operand stack

	Instructions int64 // work of all instructions by themselves
	Memory       int64 // bytes of all instructions by themselves while they are compiled
	Code         int64 // bytes of machine code
	Basic        int64 // basic blocks
	Climbs       int64 // basic blocks that dominate each of them, summed up
	Meets        int64 // the square of the branches that meet in a place, summed up
	Lookups      int64 // basic blocks that reads of locals are searched for in
	Merges       int64 // the same, for each local that is read behind where branches meet
	Resets       int64 // addresses whose checks are looked at anew behind a call, summed up
	Known        int64 // checked addresses that are remembered at the ends of blocks, summed up
}

// Opcodes that decide where code goes.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opBr          = 0x0c
	opBrIf        = 0x0d
	opReturn      = 0x0f
	opGrow        = 0x40
	opLocalGet    = 0x20
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opEnd         = 0x0b
)

// body walks over one function's code. It knows every instruction that a guest may
// use and nothing about types: those are the compiler's to check.
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
	ends := int64(len(self.Params) + len(self.Results))
	b.Instructions, b.Memory, b.Code = 6*ends, 200*ends, 8*ends
	variables := b.Locals + len(self.Params)
	m.reads.begin(variables)
	s := operands{frames: m.frames[:0], body: &b}
	s.enter(Signature{Results: self.Results}, opBlock)
	points := 0
	here := func(n int) {
		b.Stack = max(b.Stack, s.height)
		b.Live += n * s.height
		points += n
	}
	for r.err == nil {
		if len(s.frames) == 0 {
			if r.left() > 0 {
				r.fail("%d bytes behind the end of a function", r.left())
			}
			break
		}
		op := r.byte()
		i := r.find(op)
		b.Instructions += int64(i.work)
		b.Memory += int64(i.memory)
		b.Code += int64(i.code)
		switch i.follows {
		case notAvailable:
			if r.err == nil {
				r.notAllowed(op)
			}
		case blockType:
			s.move(int(i.height))
			s.enter(m.blockType(r), op)
			b.Values += s.gives()
			here(1)
			b.Blocks++
			b.Depth = max(b.Depth, len(s.frames)-1)
			if b.Depth > l.Depth {
				r.err = tooBig("nested blocks", int64(b.Depth), int64(l.Depth))
			}
		case elseMark:
			if f := s.frames[len(s.frames)-1]; !f.isIf || f.second {
				r.fail("an else that belongs to no if")
				break
			}
			s.again()
		case endMark:
			s.leave()
		case label:
			to := r.u32()
			r.below("label", to, len(s.frames))
			b.Branches++
			here(1)
			s.move(int(i.height))
			s.branch(to)
			if op == opBr {
				s.end()
			} else if !s.ended {
				s.step(s.depth + 1)
				s.chain++
			}
		case labels:
			n := r.count("targets of a branch table", l.Branches)
			b.Branches += n + 1
			b.Instructions += int64(i.work) * int64(n)
			b.Memory += int64(i.memory) * int64(n)
			here(n + 1)
			b.Basic += int64(n + 1)
			b.Climbs += int64(n+1) * int64(s.depth+1)
			s.chain++
			for i := 0; i <= n && r.err == nil; i++ {
				to := r.u32()
				r.below("label", to, len(s.frames))
				s.branch(to)
			}
			s.end()
		case function:
			f := r.u32()
			if r.below("function", f, len(m.functionTypes)); r.err == nil {
				b.Values += s.call(m.types[m.functionTypes[f]])
			}
			b.call(&s)
		case tableCall:
			t := r.u32()
			r.zero("the table of call_indirect")
			r.needTable(m)
			s.move(int(i.height))
			if r.below("type", t, len(m.types)); r.err == nil {
				b.Values += s.call(m.types[t])
			}
			b.call(&s)
		case local, global:
			n := r.u32()
			s.move(int(i.height))
			if i.follows == local {
				r.below("local", n, variables)
			} else {
				r.below("global", n, m.importedGlobals+m.Globals)
			}
			switch op {
			case opGlobalSet:
				if own := int64(n) - int64(m.importedGlobals); r.err == nil && own >= 0 && !m.mutable[own] {
					r.fail("global %d is set, and cannot be", n)
				}
			case opLocalGet:
				m.reads.local(n)
				b.Lookups += int64(s.chain)
			case opGlobalGet:
				m.reads.global(n, m.Globals)
				b.Lookups += int64(s.chain)
			}
		default:
			r.skip(m, i)
			s.move(int(i.height))
			switch {
			case i.follows == address || i.follows == addressLane:
				b.Accesses++
				s.known++
				b.Lookups += 2 * int64(s.chain) // for where memory begins and ends
			case op == opGrow:
				b.call(&s)
			case op == opUnreachable || op == opReturn:
				s.end()
			case op == prefixBulk && i == bulkInstructions[11]: // memory.fill
				b.Blocks++
				b.Branches += 2
				here(3)
				s.round()
				fallthrough
			case op == prefixBulk && i.work == bulk.work:
				b.Lookups += 2 * int64(s.chain)
			}
		}
	}
	b.Read = m.reads.count()
	b.Live += points * b.Read
	m.frames = s.frames[:0]
	if n := b.Blocks + b.Branches; r.err == nil && n > l.Branches {
		r.err = tooBig("blocks and branches in one function", int64(n), int64(l.Branches))
	}
	return b
}

// call notes one that may change memory and globals.
func (b *Body) call(s *operands) {
	b.Calls++
	b.Resets += int64(s.known)
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
	index := r.signed(33)
	if r.err == nil && uint64(index) >= uint64(len(m.types)) {
		r.fail("type %d of a block, and there are %d", index, len(m.types))
	}
	if r.err == nil {
		return m.types[index]
	}
	return Signature{}
}

var oneResult = []ValueType{I32}
