package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// Constants of the charge: see the package's documentation.
const (
	LocalsPerUnit = 8
	LeafWeight    = 64
	BytesPerUnit  = 1 << bytesShift
	UnitsPerPage  = 4096
	ImportWeight  = 200

	bytesShift = 3
	mostPages  = 1 << 16 // that a memory may have
)

// Weight returns the weight of an instruction, without what depends on its type or
// length.
func Weight(op wasmbin.Opcode) int64 { return int64(weights[op%wasmbin.Opcodes]) }

var weights = func() (w [wasmbin.Opcodes]uint8) {
	for op := range w {
		w[op] = 1
	}
	for _, op := range []wasmbin.Opcode{wasmbin.OpNop, wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpElse, wasmbin.OpEnd, wasmbin.OpDrop} {
		w[op] = 0
	}
	w[wasmbin.OpCall] = 4
	return w
}()

// byLength reports whether an instruction is charged by length.
func byLength(op wasmbin.Opcode) bool {
	switch op {
	case wasmbin.OpMemoryGrow, wasmbin.OpMemoryInit, wasmbin.OpMemoryCopy, wasmbin.OpMemoryFill, wasmbin.OpTableInit, wasmbin.OpTableCopy:
		return true
	}
	return false
}
