package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// frameBase is what a frame takes in any case: return address, frame pointer and the
// registers that a function saves.
const frameBase = 256

// pieceFrame is what the functions that copy and fill in pieces take.
const pieceFrame = 512

// slotSizes are the bytes of the value that an instruction gives, if it may have a
// place on the stack.
var slotSizes = func() (s [wasmbin.Opcodes]uint8) {
	for op := range s {
		switch o := wasmbin.Opcode(op); {
		case o >= wasmbin.OpMemorySize && o != wasmbin.OpI32Const && o != wasmbin.OpI64Const && o < 0xfc,
			o >= wasmbin.OpSelect && o <= 0x1c, o == wasmbin.OpGlobalGet, o >= wasmbin.OpI32Load && o < wasmbin.OpI32Store:
			s[op] = 8
		case o.Feature() == wasmbin.Saturating:
			s[op] = 8
		case o.Feature() == wasmbin.Vectors:
			s[op] = 16
		}
	}
	return s
}()

func slotOf(t wasmbin.ValueType) int64 {
	if t == wasmbin.V128 {
		return 16
	}
	return 8
}

func slotsOf(types []wasmbin.ValueType) (n int64) {
	for _, t := range types {
		n += slotOf(t)
	}
	return n
}
