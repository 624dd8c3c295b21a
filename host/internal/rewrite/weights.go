package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// Constants of the charge: see the package's documentation.
const (
	LocalsPerUnit  = 8
	GlobalsPerUnit = 2
	LeafWeight     = 64
	BytesPerUnit   = 8
	UnitsPerPage   = 4096
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
