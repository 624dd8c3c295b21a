package untangle

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// Opcodes that only this package needs.
const (
	opI64Load8U  wasmbin.Opcode = 0x31
	opI64Load16U wasmbin.Opcode = 0x33
	opI64Load32U wasmbin.Opcode = 0x35
	opI64Store32 wasmbin.Opcode = 0x3e
	opI32Ne      wasmbin.Opcode = 0x47
	opI64Eqz     wasmbin.Opcode = 0x50
	opI64Ne      wasmbin.Opcode = 0x52
	opI64And     wasmbin.Opcode = 0x83
	opI32Wrap    wasmbin.Opcode = 0xa7 // i32.wrap_i64
)

// inverse is the comparison of integers that is true where another is false.
var inverse = func() map[wasmbin.Opcode]wasmbin.Opcode {
	m := make(map[wasmbin.Opcode]wasmbin.Opcode)
	for _, pair := range [][2]wasmbin.Opcode{
		{wasmbin.OpI32Eq, opI32Ne}, {0x48, 0x4e}, {0x49, 0x4f}, {0x4a, 0x4c}, {0x4b, 0x4d},
		{wasmbin.OpI64Eq, opI64Ne}, {0x53, 0x59}, {0x54, 0x5a}, {0x55, 0x57}, {0x56, 0x58},
	} {
		m[pair[0]], m[pair[1]] = pair[1], pair[0]
	}
	return m
}()

func isLoad(op wasmbin.Opcode) bool  { return op >= wasmbin.OpI32Load && op <= opI64Load32U }
func isStore(op wasmbin.Opcode) bool { return op >= wasmbin.OpI32Store && op <= opI64Store32 }

// effect returns how many values an instruction takes from the stack and puts there. It
// knows those that have no other effect than on memory and locals.
func effect(op wasmbin.Opcode) (takes, puts int, ok bool) {
	switch {
	case op == wasmbin.OpLocalGet, op == wasmbin.OpGlobalGet, op >= wasmbin.OpI32Const && op <= wasmbin.OpF64Const:
		return 0, 1, true
	case op == wasmbin.OpLocalSet, op == wasmbin.OpDrop:
		return 1, 0, true
	case op == wasmbin.OpLocalTee, isLoad(op), op == wasmbin.OpI32Eqz, op == opI64Eqz:
		return 1, 1, true
	case isStore(op):
		return 2, 0, true
	case op >= 0x67 && op <= 0x69, op >= 0x79 && op <= 0x7b, // clz, ctz, popcnt
		op >= 0x8b && op <= 0x91, op >= 0x99 && op <= 0x9f, // of one floating-point number
		op >= opI32Wrap && op <= 0xc4: // conversions
		return 1, 1, true
	case op >= wasmbin.OpI32Eq && op < opI32Wrap: // comparisons and operations of two
		return 2, 1, true
	case op == wasmbin.OpSelect:
		return 3, 1, true
	}
	return 0, 0, false
}
