package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// Body summarises the code of one function: what decides the cost of compiling it.
type Body struct {
	Size     int // bytes of the body, locals included
	Locals   int // locals declared, without parameters
	Depth    int // how deep blocks, loops and ifs are nested
	Loops    int // how deep the loops that branch back are nested
	Blocks   int // how many blocks, loops and ifs; a memory.fill becomes a loop and counts as one
	Branches int // how many branches, including each target of a table, and two for a memory.fill
	Accesses int // how many loads and stores
	Calls    int // how many calls and other instructions that may change memory and globals
	Values   int // parameters and results of calls and blocks
	Stack    int // most values on the operand stack at a block or branch
	Read     int // different locals and globals that are read
	Live     int // values that live at a block or branch, summed up: what is read, and the operand stack

	Instructions int64 // cost of all instructions by themselves
	Memory       int64 // bytes that compiling takes for all instructions by themselves
	Code         int64 // bytes of machine code
	Basic        int64 // basic blocks
	Climbs       int64 // the numbers of basic blocks that dominate each, summed up
	Meets        int64 // the squares of the numbers of branches that meet in one place, summed up
	Lookups      int64 // basic blocks that the compiler searches for the values of locals that are read
	Merges       int64 // the same for each local that is read after a place where branches meet
	Resets       int64 // addresses whose checks are examined again after a call, summed up
	Known        int64 // checked addresses that the compiler remembers at the ends of blocks, summed up
}

// body walks over one function's code. It knows every instruction that a guest may use.
// It does not know types, which the compiler checks.
func (r *reader) body(m *Module, l *Limits, self Signature) (b Body) {
	b.Size = r.Left()
	groups := r.count("groups of locals in one function", l.Locals)
	for i := 0; i < groups && r.Err == nil; i++ {
		n := r.U32()
		if r.Err == nil && uint64(b.Locals)+uint64(n) > uint64(l.Locals) {
			r.Err = tooBig("locals in one function", int64(b.Locals)+int64(n), int64(l.Locals))
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
	s.enter(Signature{Results: self.Results}, wasmbin.OpBlock)
	points := 0
	here := func(n int) {
		b.Stack = max(b.Stack, s.height)
		b.Live += n * s.height
		points += n
	}
	for r.Begin(); r.Opcode(); {
		c := &costs[r.Op]
		b.Instructions += int64(c.work)
		b.Memory += int64(c.memory)
		b.Code += int64(c.code)
		if !c.usable {
			r.notAllowed()
			break
		}
		r.Immediates()
		switch r.Op.Layout() {
		case wasmbin.LayoutBlockType:
			s.move(int(c.height))
			s.enter(m.blockType(r), r.Op)
			b.Values += s.gives()
			here(1)
			b.Blocks++
			b.Depth = max(b.Depth, len(s.frames)-1)
			if b.Depth > l.Depth {
				r.Err = tooBig("nested blocks", int64(b.Depth), int64(l.Depth))
			}
		case wasmbin.LayoutLabel:
			r.below("label", r.First, len(s.frames))
			b.Branches++
			here(1)
			s.move(int(c.height))
			s.branch(r.First)
			if r.Op == wasmbin.OpBr {
				s.end()
			} else if !s.ended {
				s.step(s.depth + 1)
				s.chain++
			}
		case wasmbin.LayoutLabels:
			n := r.counted("targets of a branch table", r.First, l.Branches)
			b.Branches += n + 1
			b.Instructions += int64(c.work) * int64(n)
			b.Memory += int64(c.memory) * int64(n)
			here(n + 1)
			b.Basic += int64(n + 1)
			b.Climbs += int64(n+1) * int64(s.depth+1)
			s.chain++
			for i := 0; i <= n && r.Err == nil; i++ {
				to := r.Label()
				r.below("label", to, len(s.frames))
				s.branch(to)
			}
			s.end()
		case wasmbin.LayoutFunction:
			if r.below("function", r.First, len(m.functionTypes)); r.Err == nil {
				b.Values += s.call(m.types[m.functionTypes[r.First]])
			}
			b.call(&s)
		case wasmbin.LayoutTypeAndTable:
			r.zero("the table of call_indirect", r.Second)
			r.needTable(m)
			s.move(int(c.height))
			if r.below("type", r.First, len(m.types)); r.Err == nil {
				b.Values += s.call(m.types[r.First])
			}
			b.call(&s)
		case wasmbin.LayoutLocal:
			s.move(int(c.height))
			r.below("local", r.First, variables)
			if r.Op == wasmbin.OpLocalGet {
				m.reads.local(r.First)
				b.Lookups += int64(s.chain)
			}
		case wasmbin.LayoutGlobal:
			s.move(int(c.height))
			r.below("global", r.First, m.importedGlobals+m.Globals)
			if r.Op == wasmbin.OpGlobalGet {
				m.reads.global(r.First, m.Globals)
				b.Lookups += int64(s.chain)
			} else if own := int64(r.First) - int64(m.importedGlobals); r.Err == nil && own >= 0 && !m.mutable[own] {
				r.Fail("global %d is set: must be mutable", r.First)
			}
		case wasmbin.LayoutNothing:
			s.move(int(c.height))
			switch r.Op {
			case wasmbin.OpElse:
				if f := s.frames[len(s.frames)-1]; !f.isIf || f.second {
					r.Fail("an else outside an if")
					break
				}
				s.again()
			case wasmbin.OpEnd:
				s.leave()
			case wasmbin.OpUnreachable, wasmbin.OpReturn:
				s.end()
			}
		case wasmbin.LayoutAddress, wasmbin.LayoutAddressAndLane:
			r.immediates(m)
			s.move(int(c.height))
			b.Accesses++
			s.known++
			b.Lookups += 2 * int64(s.chain) // for the beginning and end of the memory
		default:
			r.immediates(m)
			s.move(int(c.height))
			switch {
			case r.Op == wasmbin.OpMemoryGrow:
				b.call(&s)
			case r.Op == wasmbin.OpMemoryFill:
				b.Blocks++
				b.Branches += 2
				here(3)
				s.round()
				b.Lookups += 2 * int64(s.chain)
			case r.Op.Feature() == wasmbin.BulkMemory:
				b.Lookups += 2 * int64(s.chain)
			}
		}
	}
	if r.More() {
		r.Fail("%d bytes after the end of a function", r.Left())
	}
	b.Read = m.reads.count()
	b.Live += points * b.Read
	m.frames = s.frames[:0]
	if n := b.Blocks + b.Branches; r.Err == nil && n > l.Branches {
		r.Err = tooBig("blocks and branches in one function", int64(n), int64(l.Branches))
	}
	return b
}

// call counts a call, which may change memory and globals.
func (b *Body) call(s *operands) {
	b.Calls++
	b.Resets += int64(s.known)
}

// blockType returns the parameters and results of the block whose type was just read.
func (m *Module) blockType(r *reader) Signature {
	switch {
	case r.Type == wasmbin.NoResult:
		return Signature{}
	case r.Type != 0:
		r.noReference(r.Type)
		return Signature{Results: oneResult}
	case r.Err != nil:
		return Signature{}
	case uint64(r.Value) >= uint64(len(m.types)):
		r.noSuch("a block's type", uint64(r.Value), len(m.types))
		return Signature{}
	}
	return m.types[r.Value]
}

var oneResult = []ValueType{I32}
