package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// constant reads a constant expression, whose value must have that type. It returns
// the value of an i32.
func (r *reader) constant(m *Module, want ValueType) (value uint32) {
	found := ValueType(0)
	for r.Begin(); r.Opcode() && r.Op != wasmbin.OpEnd; {
		if found != 0 {
			r.Err = feature("more than one instruction in a constant expression (extended constant expressions are not available to a guest)")
			return 0
		}
		switch r.Op {
		case wasmbin.OpI32Const:
			found = I32
		case wasmbin.OpI64Const:
			found = I64
		case wasmbin.OpF32Const:
			found = F32
		case wasmbin.OpF64Const:
			found = F64
		case wasmbin.OpV128Const:
			found = V128
		case wasmbin.OpGlobalGet:
			found = want
		case wasmbin.OpRefFunc:
			found = wasmbin.FuncRef
		case wasmbin.OpRefNull:
			found = 0x63 // a reference to a type by its index
		default:
			r.notConstant()
			return 0
		}
		switch r.Immediates(); r.Op {
		case wasmbin.OpI32Const:
			value = uint32(r.Value)
		case wasmbin.OpRefNull:
			if r.Type != 0 {
				found = r.Type
			}
		case wasmbin.OpGlobalGet:
			// It may use only imported globals, and a guest imports none.
			if r.Err == nil && m.importedGlobals == 0 {
				r.refuse(wasmbin.Malformed(r.Offset(), "global %d in a constant expression: must be an imported one", r.First))
			}
		case wasmbin.OpRefFunc:
			if r.Err == nil && uint64(r.First) >= uint64(len(m.functionTypes)) {
				r.refuse(wasmbin.Malformed(r.Offset(), "a reference to %s", outOfRange("function", uint64(r.First), len(m.functionTypes))))
			}
		}
	}
	if r.Err == nil && found != want {
		if found == 0 {
			r.refuse(wasmbin.Malformed(r.Offset(), "an empty constant expression"))
		} else {
			r.refuse(wasmbin.Malformed(r.Offset(), "a constant expression gives %s: must give %s", found, want))
		}
	}
	return value
}

// notConstant refuses an instruction that a constant expression cannot have.
func (r *reader) notConstant() {
	switch first, number := r.Op.Prefix(); first {
	case 0xfd:
		r.Fail("the vector instruction %d in a constant expression", number)
	default:
		r.failAt(r.At+1, "the instruction 0x%02x in a constant expression", first)
	}
}

func (m *Module) readElements(r *reader, l *Limits) {
	n := r.count("element segments", l.Elements)
	m.ElementSegments = n
	for i := 0; i < n && r.Err == nil; i++ {
		e := r.ElementsHeader()
		if r.Err != nil {
			return
		}
		active, expressions := e.Active(), e.Mode&wasmbin.ElementsExpressions != 0
		offset := uint32(0)
		if active {
			r.zero("the table of an element segment", e.Table)
			offset = r.constant(m, I32)
			if r.Err == nil && m.tables == 0 {
				r.refuse(wasmbin.Malformed(r.Offset(), "an element segment, but the module has no table"))
			}
		}
		entry, known := wasmbin.FuncRef, len(r.reasons.all)
		if e.Typed() {
			want := byte(0)
			if expressions {
				want = byte(wasmbin.FuncRef)
			}
			if kind := r.Byte(); r.Err == nil && kind != want {
				err := feature("an element segment of type 0x%02x (only functions are available to a guest)", kind)
				if kind != byte(wasmbin.ExternRef) || !expressions {
					r.Err = err
					return
				}
				r.refuse(err)
				entry = wasmbin.ExternRef
			}
		}
		if !active && len(r.reasons.all) == known {
			// Without reference types, the runtime takes every segment for an active one.
			r.refuse(feature("an element segment that is passive or declarative (only active ones, which fill the table at the start, " +
				"are available to a guest; compile without reference types)"))
		}
		count := r.count("entries of an element segment", l.Elements)
		m.Elements += count
		if r.Err == nil && m.Elements > l.Elements {
			r.Err = tooBig("entries of all element segments", int64(m.Elements), int64(l.Elements))
			return
		}
		if most := m.Table; r.Err == nil && active && most != nil && int64(offset)+int64(count) > most.Min {
			r.refuse(wasmbin.Malformed(r.Offset(), "an element segment of %d entries at %d: must lie within the table, which has %d", count, offset, most.Min))
		}
		for j := 0; j < count && r.Err == nil; j++ {
			if expressions {
				r.constant(m, entry)
			} else if f := r.U32(); r.Err == nil && uint64(f) >= uint64(len(m.functionTypes)) {
				r.noSuch("an element segment's function", uint64(f), len(m.functionTypes))
			}
		}
	}
}

func (m *Module) readDataCount(r *reader) {
	m.dataCount = int64(r.U32())
	m.dataCounted = true
}

func (m *Module) readData(r *reader, l *Limits) {
	m.Segments = r.count("data segments", l.Segments)
	m.dataRead = true
	if r.Err == nil && m.dataCounted && m.dataCount != int64(m.Segments) {
		r.Fail("%d data segments: must be %d, as the data count section says", m.Segments, m.dataCount)
	}
	for i := 0; i < m.Segments && r.Err == nil; i++ {
		d, offset := r.DataHeader(), uint32(0)
		if r.Err == nil && d.Active() {
			r.zero("the memory of a data segment", d.Memory)
			offset = r.constant(m, I32)
		}
		n := r.U32()
		r.Bytes(n)
		m.DataSize += int64(n)
		switch {
		case r.Err != nil || !d.Active():
		case m.memories == 0:
			r.refuse(wasmbin.Malformed(r.Offset(), "a data segment, but the module has no memory"))
		case m.Memory != nil && int64(offset)+int64(n) > m.Memory.Min<<16:
			r.refuse(wasmbin.Malformed(r.Offset(), "a data segment of %d bytes at byte %d: must lie within the memory, which has %d pages", n, offset, m.Memory.Min))
		}
	}
}
