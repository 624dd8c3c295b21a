package modgen

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

var (
	loads = map[wasmbin.ValueType][]wasmbin.Opcode{
		wasmbin.I32:  {0x28, 0x2c, 0x2d, 0x2e, 0x2f},
		wasmbin.I64:  {0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35},
		wasmbin.F32:  {0x2a},
		wasmbin.F64:  {0x2b},
		wasmbin.V128: {wasmbin.Vector(0)},
	}
	stores = map[wasmbin.ValueType][]wasmbin.Opcode{
		wasmbin.I32:  {0x36, 0x3a, 0x3b},
		wasmbin.I64:  {0x37, 0x3c, 0x3d, 0x3e},
		wasmbin.F32:  {0x38},
		wasmbin.F64:  {0x39},
		wasmbin.V128: {wasmbin.Vector(11)},
	}
)

// small pushes a number that is most often at most mask.
func (b *body) small(mask int32, depth int) {
	b.value(wasmbin.I32, depth)
	if !b.oneIn(40) {
		b.code.I32(mask)
		b.code.Op(0x71) // and
	}
}

func (b *body) memArgs(op wasmbin.Opcode) {
	offset := b.n(64)
	if b.oneIn(60) {
		offset = int(uint32(b.bits()))
	}
	b.code.Op(op, uint32(b.n(int(op.Align())+1)), uint32(offset))
}

func (b *body) load(t wasmbin.ValueType, depth int) {
	if len(b.memories) == 0 {
		b.simple(t)
		return
	}
	b.small(0xfff, depth-1)
	b.memArgs(pick(b.choices, loads[t]))
}

func (b *body) store(depth int) bool {
	if len(b.memories) > 0 {
		t := b.valueType()
		b.small(0xfff, depth-1)
		b.value(t, depth-1)
		b.memArgs(pick(b.choices, stores[t]))
	}
	return false
}

// length pushes a length, which is seldom more than what there is.
func (b *body) length(depth int) {
	switch b.n(20) {
	case 0:
		b.value(wasmbin.I32, depth)
	case 1:
		b.code.I32(int32(b.bits()))
	case 2:
		b.code.I32(int32(b.n(40_000)))
	default:
		b.small(0x3f, depth)
	}
}

func (b *body) bulkMemory(depth int) bool {
	if len(b.memories) == 0 {
		return false
	}
	switch n := b.n(5); {
	case n == 0 && len(b.data) > 0:
		b.code.Op(wasmbin.OpDataDrop, uint32(b.n(len(b.data))))
	case n == 1 && len(b.data) > 0:
		b.small(0xfff, depth-1)
		b.small(7, depth-1)
		b.small(3, depth-1)
		b.code.Op(wasmbin.OpMemoryInit, uint32(b.n(len(b.data))), 0)
	case n == 2:
		b.small(0xfff, depth-1)
		b.value(wasmbin.I32, depth-1)
		b.length(depth - 1)
		b.code.Op(wasmbin.OpMemoryFill, 0)
	default:
		b.small(0xfff, depth-1)
		b.small(0xfff, depth-1)
		b.length(depth - 1)
		b.code.Op(wasmbin.OpMemoryCopy, 0, 0)
	}
	return false
}

func (b *body) bulkTable(depth int) bool {
	if len(b.tables) == 0 {
		return false
	}
	segment := uint32(b.n(len(b.elements)))
	switch b.n(3) {
	case 0:
		b.code.Op(wasmbin.OpElemDrop, segment)
	case 1:
		b.small(3, depth-1)
		b.small(1, depth-1)
		b.small(1, depth-1)
		b.code.Op(wasmbin.OpTableInit, segment, 0)
	case 2:
		b.small(3, depth-1)
		b.small(3, depth-1)
		b.small(3, depth-1)
		b.code.Op(wasmbin.OpTableCopy, 0, 0)
	}
	return false
}
