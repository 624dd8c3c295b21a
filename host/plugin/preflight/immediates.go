package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// immediates checks the numbers behind an opcode that is not of control structure,
// after they have been read.
func (r *reader) immediates(m *Module) {
	const theMemory, theTable = "the memory of an instruction", "the table of an instruction"
	switch layout := r.Op.Layout(); layout {
	case wasmbin.LayoutAddress, wasmbin.LayoutAddressAndLane:
		r.aligned()
		if layout == wasmbin.LayoutAddressAndLane {
			r.below("lane", uint32(r.Lane), r.Op.Lanes())
		}
		r.needMemory(m)
	case wasmbin.LayoutLane:
		r.below("lane", uint32(r.Lane), r.Op.Lanes())
	case wasmbin.LayoutShuffle:
		for _, lane := range r.Sixteen() {
			r.below("lane", uint32(lane), 32)
		}
	case wasmbin.LayoutMemoryIndex:
		r.zero(theMemory, r.First)
		r.needMemory(m)
	case wasmbin.LayoutTwoMemories:
		r.firstZero(theMemory)
		r.zero(theMemory, r.Second)
		r.needMemory(m)
	case wasmbin.LayoutDataAndMemory:
		r.dataSegment(m, r.failBehind)
		r.zero(theMemory, r.Second)
		r.needMemory(m)
	case wasmbin.LayoutDataSegment:
		r.dataSegment(m, r.Fail)
	case wasmbin.LayoutElementSegment:
		r.below("element segment", r.First, m.ElementSegments)
	case wasmbin.LayoutElementsAndTable:
		if r.First >= uint32(m.ElementSegments) {
			r.failBehind("element segment %d, and there are %d", r.First, m.ElementSegments)
		}
		r.zero(theTable, r.Second)
		r.needTable(m)
	case wasmbin.LayoutTwoTables:
		r.firstZero(theTable)
		r.zero(theTable, r.Second)
		r.needTable(m)
	}
}

// aligned checks a load or store.
func (r *reader) aligned() {
	switch most := r.Op.Align(); {
	case r.Behind == 0:
	case r.Align&0x40 != 0:
		r.Err = feature("a load or store with the number of a memory (a guest has one memory)")
	case r.Align > most:
		r.failBehind("a load or store aligned to 2^%d bytes, and the most is 2^%d", r.Align, most)
	}
}

// below checks the number of a thing of which there are so many.
func (r *reader) below(what string, n uint32, all int) {
	if r.Err == nil && uint64(n) >= uint64(all) {
		r.Fail("%s %d, and there are %d", what, n, all)
	}
}

// failBehind notes what is wrong with the first of several immediates. It is told
// rather than a fault in those that follow.
func (r *reader) failBehind(format string, args ...any) {
	if r.Behind > 0 {
		r.failAt(r.Behind, format, args...)
	}
}

// failAt is Fail at another offset, which replaces a fault behind it.
func (r *reader) failAt(offset int, format string, args ...any) {
	r.Err = wasmbin.Malformed(offset, format, args...)
	r.Skip()
}

// dataSegment checks the number of one. Code may only use them if a section says in
// advance how many there are.
func (r *reader) dataSegment(m *Module, fail func(format string, args ...any)) {
	switch {
	case !m.dataCounted:
		fail("an instruction on a data segment, and no data count section")
	case int64(r.First) >= m.dataCount:
		fail("data segment %d, and there are %d", r.First, m.dataCount)
	}
}

func (r *reader) needMemory(m *Module) {
	if r.Err == nil && m.memories == 0 {
		r.Fail("an instruction on memory, and there is none")
	}
}

func (r *reader) needTable(m *Module) {
	if r.Err == nil && m.tables == 0 {
		r.Fail("an instruction on a table, and there is none")
	}
}

// zero checks the number of a table or memory.
func (r *reader) zero(what string, n uint32) {
	if n != 0 {
		r.refuse(notZero(what, n))
	}
}

// firstZero checks the first of two numbers, also if there is a fault in the second.
func (r *reader) firstZero(what string) {
	if r.Behind > 0 && r.First != 0 {
		r.reasons.add(notZero(what, r.First))
	}
}

func notZero(what string, n uint32) error {
	return feature("%s is number %d, and only number 0 is allowed (a guest has one table and one memory)", what, n)
}
