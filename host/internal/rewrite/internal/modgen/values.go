package modgen

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// value writes code that pushes a value of a type.
func (b *body) value(t wasmbin.ValueType, depth int) {
	b.size--
	if depth <= 0 || b.size <= 0 || b.oneIn(4) {
		b.simple(t)
		return
	}
	valueKinds.pick(b.choices)(b, t, depth)
}

var valueKinds weighted[func(*body, wasmbin.ValueType, int)]

func init() {
	valueKinds = weighted[func(*body, wasmbin.ValueType, int)]{
		{12, (*body).operation}, {3, (*body).tee}, {4, (*body).load}, {2, (*body).selected}, {4, (*body).structured},
		{3, (*body).called}, {1, (*body).pages}, {1, (*body).branchingValue},
	}
}

// simple pushes a constant, a local or a global.
func (b *body) simple(t wasmbin.ValueType) {
	if l, ok := b.local(t); ok && !b.oneIn(3) {
		b.code.Op(wasmbin.OpLocalGet, l)
		return
	}
	if g := b.n(len(b.globals)); b.globals[g].Type == t && uint32(g) != b.gas {
		b.code.Op(wasmbin.OpGlobalGet, uint32(g))
		return
	}
	b.code.Code(b.constant(t))
}

// signature is an operation: an opcode and the types of its operands.
type signature struct {
	op       wasmbin.Opcode
	operands []wasmbin.ValueType
	lane     int // the number of lanes to choose from, or 0
}

var operations = make(map[wasmbin.ValueType][]signature)

func init() {
	const i32, i64, f32, f64, v128 = wasmbin.I32, wasmbin.I64, wasmbin.F32, wasmbin.F64, wasmbin.V128
	add := func(from, to wasmbin.Opcode, result wasmbin.ValueType, operands ...wasmbin.ValueType) {
		for op := from; op <= to; op++ {
			operations[result] = append(operations[result], signature{op: op, operands: operands})
		}
	}
	add(0x45, 0x45, i32, i32)
	add(0x46, 0x4f, i32, i32, i32)
	add(0x50, 0x50, i32, i64)
	add(0x51, 0x5a, i32, i64, i64)
	add(0x5b, 0x60, i32, f32, f32)
	add(0x61, 0x66, i32, f64, f64)
	add(0x67, 0x69, i32, i32)
	add(0x6a, 0x6c, i32, i32, i32)
	add(0x6d, 0x70, i32, i32, i32)
	add(0x71, 0x78, i32, i32, i32)
	add(0x79, 0x7b, i64, i64)
	add(0x7c, 0x7e, i64, i64, i64)
	add(0x7f, 0x82, i64, i64, i64)
	add(0x83, 0x8a, i64, i64, i64)
	add(0x8b, 0x8c, f32, f32)
	add(0x98, 0x98, f32, f32, f32)
	add(0x99, 0x9a, f64, f64)
	add(0xa6, 0xa6, f64, f64, f64)
	add(0xa7, 0xa7, i32, i64)
	add(0xaa, 0xab, i32, f64)
	add(0xac, 0xad, i64, i32)
	add(0xb7, 0xb8, f64, i32)
	add(0xbc, 0xbc, i32, f32)
	add(0xbd, 0xbd, i64, f64)
	add(0xbe, 0xbe, f32, i32)
	add(0xbf, 0xbf, f64, i64)
	add(0xc0, 0xc1, i32, i32)
	add(0xc2, 0xc4, i64, i64)
	add(wasmbin.Bulk(2), wasmbin.Bulk(3), i32, f64) // saturating
	add(wasmbin.Vector(18), wasmbin.Vector(18), v128, i64)
	add(wasmbin.Vector(77), wasmbin.Vector(77), v128, v128)
	add(wasmbin.Vector(78), wasmbin.Vector(81), v128, v128, v128)
	add(wasmbin.Vector(206), wasmbin.Vector(206), v128, v128, v128)
	add(wasmbin.Vector(83), wasmbin.Vector(83), i32, v128)
	operations[i64] = append(operations[i64], signature{wasmbin.Vector(29), []wasmbin.ValueType{v128}, 2})
	operations[i32] = append(operations[i32], signature{wasmbin.Vector(27), []wasmbin.ValueType{v128}, 4})
}

func (b *body) operation(t wasmbin.ValueType, depth int) {
	s := pick(b.choices, operations[t])
	for i := range s.operands {
		// Types outside the module's style come into it here at times.
		if !b.allowed(s.operands[i]) && !b.oneIn(20) {
			b.simple(t)
			return
		}
	}
	for i, operand := range s.operands {
		b.value(operand, depth-1)
		if divides(s.op) && i == 1 && !b.oneIn(8) { // seldom by zero
			one := wasmbin.Code{}
			if t == wasmbin.I32 {
				one.I32(1)
				b.code.Code(one)
				b.code.Op(0x72) // or
			} else {
				one.I64(1)
				b.code.Code(one)
				b.code.Op(0x84) // or
			}
		}
	}
	if b.code.Op(s.op); s.lane > 0 {
		b.code = append(b.code, byte(b.n(s.lane)))
	}
}

func (b *body) allowed(t wasmbin.ValueType) bool {
	switch t {
	case wasmbin.F32, wasmbin.F64:
		return b.style.floats
	case wasmbin.V128:
		return b.style.vectors
	}
	return true
}

func divides(op wasmbin.Opcode) bool { return op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 }

func (b *body) tee(t wasmbin.ValueType, depth int) {
	b.value(t, depth-1)
	if l, ok := b.local(t); ok {
		b.code.Op(wasmbin.OpLocalTee, l)
	}
}

func (b *body) selected(t wasmbin.ValueType, depth int) {
	b.value(t, depth-1)
	b.value(t, depth-1)
	b.value(wasmbin.I32, depth-1)
	b.code.Op(wasmbin.OpSelect)
}

// structured is a block, loop or if whose first result is wanted.
func (b *body) structured(t wasmbin.ValueType, depth int) {
	f := wasmbin.FuncType{Results: []wasmbin.ValueType{t}}
	if b.oneIn(3) {
		f.Params = b.valueTypes(2)
		f.Results = append(f.Results, b.valueTypes(2)...)
	}
	b.structure(f, depth)
	b.take(f.Results[1:])
}

func (b *body) branchingValue(t wasmbin.ValueType, depth int) {
	l, types := b.label()
	if len(types) != 1 || types[0] != t {
		b.simple(t)
		return
	}
	b.value(t, depth-1)
	b.value(wasmbin.I32, depth-1)
	b.code.Op(wasmbin.OpBrIf, l)
}

func (b *body) pages(t wasmbin.ValueType, depth int) {
	if len(b.memories) == 0 || t != wasmbin.I32 {
		b.simple(t)
		return
	}
	if b.oneIn(2) {
		b.code.Op(wasmbin.OpMemorySize, 0)
		return
	}
	b.value(wasmbin.I32, depth-1)
	if !b.oneIn(8) {
		b.code.I32(1)
		b.code.Op(0x71) // and
	}
	b.code.Op(wasmbin.OpMemoryGrow, 0)
}
