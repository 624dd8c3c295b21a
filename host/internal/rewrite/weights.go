package rewrite

import (
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Constants of the charge: see the package's documentation.
const (
	LocalsPerUnit = 8
	LeafWeight    = 64
	BytesPerUnit  = 1 << bytesShift
	UnitsPerPage  = 1 << 14
	ImportWeight  = 200

	bytesShift = 3
	mostPages  = 1 << 16 // that a memory may have
)

// Weight returns the weight of an instruction, without what depends on its type or
// length.
func Weight(op wasmbin.Opcode) int64 { return int64(weights[op%wasmbin.Opcodes]) }

// byLength reports whether an instruction is charged by length.
func byLength(op wasmbin.Opcode) bool {
	switch op {
	case wasmbin.OpMemoryGrow, wasmbin.OpMemoryInit, wasmbin.OpMemoryCopy, wasmbin.OpMemoryFill, wasmbin.OpTableInit, wasmbin.OpTableCopy:
		return true
	}
	return false
}

// weights were measured in wazero's compiler, in rows in which each instruction waits
// for the one before. Those of branches are about a third of what one takes that was not
// foreseen. Some instructions weigh nothing because no machine code comes of them, or none
// that is not paid for by another.
var weights = func() (w [wasmbin.Opcodes]uint16) {
	for op := range w {
		w[op] = 1
	}
	for _, row := range []struct {
		weight uint16
		names  string
	}{ // a later row replaces an earlier one
		{0, "nop block loop else end drop local.get i32.const i64.const"},
		{2, `eqz eq ne lt gt le ge load load8 load16 load32 store store8 store16 store32
			f32.add f32.sub f64.add f64.sub f32x4.add f32x4.sub f64x2.add f64x2.sub reinterpret any_true all_true
			splat swizzle bitselect extract_lane replace_lane extend_high bitmask`},
		{3, `if br_if i32.mul i64.mul clz ctz popcnt min max copysign convert promote demote narrow shuffle
			i16x8.lt i16x8.gt i16x8.le i16x8.ge i8x16.lt i8x16.gt i8x16.le i8x16.ge i32x4.lt i32x4.gt i64x2.lt i64x2.gt i64x2.le i64x2.ge
			v128.load v128.load8 v128.load8x8 v128.load16 v128.load16x4 v128.load32 v128.load32x2 v128.load64 v128.store8 v128.store16 v128.store32 v128.store64`},
		{4, `f32.mul f64.mul f32x4.mul f64x2.mul f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt
			f64x2.le f64x2.ge pmin pmax i8x16.popcnt i32.trunc i64.trunc`},
		{5, `trunc_sat i16x8.mul dot f32x4.demote f64x2.promote data.drop elem.drop`},
		{6, "br_table i8x16.shl i8x16.shr"},
		{7, "q15mulr_sat i16x8.extmul extadd_pairwise"},
		{8, "call ceil floor nearest f32.trunc f64.trunc f32x4.trunc f64x2.trunc"},
		{10, "i32x4.mul i64x2.mul"},
		{12, "i32.div i64.div f32.div f64.div f32x4.div f64x2.div i32x4.extmul i64x2.extmul i64x2.shr f32.sqrt f64.sqrt f32x4.convert f64x2.convert f32x4.min f64x2.min"},
		{14, "call_indirect"},
		{16, "i32.rem i64.rem f32x4.sqrt f64x2.sqrt i32x4.trunc_sat f32x4.max f64x2.max"},
		{40, "memory.copy memory.fill memory.init table.copy table.init"},
	} {
		for _, name := range strings.Fields(row.names) {
			for op := range w {
				if named(wasmbin.Opcode(op), name) {
					w[op] = row.weight
				}
			}
		}
	}
	for _, op := range []wasmbin.Opcode{wasmbin.OpMemoryGrow, wasmbin.OpRefFunc} { // which leave the machine code
		w[op] = ImportWeight
	}
	return w
}()

// named reports whether an instruction has a name in the text format, or one that goes
// on with an underscore. The name may be without what stands before the dot.
func named(op wasmbin.Opcode, name string) bool {
	whole := op.String()
	_, verb, _ := strings.Cut(whole, ".")
	return whole == name || verb == name || strings.HasPrefix(whole, name+"_") || strings.HasPrefix(verb, name+"_")
}
