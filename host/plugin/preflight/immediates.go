package preflight

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// immediates checks the numbers that follow an opcode, after they have been read. The
// opcodes of control structure are not its business.
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
			r.failBehind("%s", outOfRange("element segment", uint64(r.First), m.ElementSegments))
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
		r.failBehind("a load or store aligned to 2^%d bytes: must be at most 2^%d", r.Align, most)
	}
}

// below checks the index of one of so many items.
func (r *reader) below(what string, n uint32, all int) {
	if r.Err == nil && uint64(n) >= uint64(all) {
		r.noSuch(what, uint64(n), all)
	}
}

// noSuch refuses an index of which there is no item.
func (r *reader) noSuch(what string, n uint64, all int) { r.Fail("%s", outOfRange(what, n, all)) }

func outOfRange(what string, n uint64, all int) string {
	if all == 0 {
		return fmt.Sprintf("%s %d: there is none", what, n)
	}
	return fmt.Sprintf("%s %d: must be below %d", what, n, all)
}

// failBehind records what is wrong with the first of several immediates. It takes
// precedence over a fault in those that follow.
func (r *reader) failBehind(format string, args ...any) {
	if r.Behind > 0 {
		r.failAt(r.Behind, format, args...)
	}
}

// failAt is Fail at another offset. It replaces a fault that follows that offset.
func (r *reader) failAt(offset int, format string, args ...any) {
	r.Err = wasmbin.Malformed(offset, format, args...)
	r.Skip()
}

// dataSegment checks the index of a data segment. Code may use data segments only if a
// section says in advance how many there are.
func (r *reader) dataSegment(m *Module, fail func(format string, args ...any)) {
	switch {
	case !m.dataCounted:
		fail("an instruction uses a data segment, but there is no data count section")
	case int64(r.First) >= m.dataCount:
		fail("%s", outOfRange("data segment", uint64(r.First), int(m.dataCount)))
	}
}

func (r *reader) needMemory(m *Module) {
	if r.Err == nil && m.memories == 0 {
		r.Fail("an instruction uses memory, but the module has none")
	}
}

func (r *reader) needTable(m *Module) {
	if r.Err == nil && m.tables == 0 {
		r.Fail("an instruction uses a table, but the module has none")
	}
}

// zero checks the index of a table or memory.
func (r *reader) zero(what string, n uint32) {
	if n != 0 {
		r.refuse(notZero(what, n))
	}
}

// firstZero checks the first of two indices, even if the second has a fault.
func (r *reader) firstZero(what string) {
	if r.Behind > 0 && r.First != 0 {
		r.reasons.add(notZero(what, r.First))
	}
}

func notZero(what string, n uint32) error {
	return feature("%s is number %d: must be 0 (a guest has one table and one memory)", what, n)
}
