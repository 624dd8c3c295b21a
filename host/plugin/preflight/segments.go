package preflight

// constant reads a constant expression that gives a value of that type, and
// returns it if it is an i32.
func (r *reader) constant(m *Module, want ValueType) (value uint32) {
	found := ValueType(0)
	for r.err == nil {
		op := r.byte()
		if op == opEnd {
			break
		}
		if found != 0 {
			if r.err == nil {
				r.err = feature("more than one instruction in a constant expression (extended constant expressions are not available to a guest)")
			}
			return 0
		}
		switch op {
		case 0x41:
			value, found = uint32(r.signed(32)), I32
		case 0x42:
			r.signed(64)
			found = I64
		case 0x43:
			r.bytes(4)
			found = F32
		case 0x44:
			r.bytes(8)
			found = F64
		case opGlobalGet:
			// Only imported ones may be used, and a guest imports none.
			if n := r.u32(); r.err == nil && m.importedGlobals == 0 {
				r.refuse(malformed(r.offset(), "global %d in a constant expression, where only imported ones may be", n))
			}
			found = want
		case 0xd2: // ref.func
			if n := r.u32(); r.err == nil && uint64(n) >= uint64(len(m.functionTypes)) {
				r.refuse(malformed(r.offset(), "a reference to function %d, and there are %d", n, len(m.functionTypes)))
			}
			found = funcref
		case 0xd0: // ref.null
			found = ValueType(r.byte())
		case prefixVector:
			if sub := r.u32(); r.err == nil && sub != 12 {
				r.fail("the vector instruction %d in a constant expression", sub)
			}
			r.bytes(16)
			found = V128
		default:
			r.fail("the instruction 0x%02x in a constant expression", op)
		}
	}
	if r.err == nil && found != want {
		if found == 0 {
			r.refuse(malformed(r.offset(), "an empty constant expression"))
		} else {
			r.refuse(malformed(r.offset(), "a constant expression that gives %s, and should give %s", found, want))
		}
	}
	return value
}

func (m *Module) readElements(r *reader, l *Limits) {
	n := r.count("element segments", l.Elements)
	m.ElementSegments = n
	for i := 0; i < n && r.err == nil; i++ {
		flags := r.u32()
		if r.err == nil && flags > 7 {
			r.fail("an element segment of unknown kind %d", flags)
			return
		}
		active, indexed, expressions := flags&1 == 0, flags&2 != 0, flags&4 != 0
		offset := uint32(0)
		if active {
			if indexed {
				r.zero("the table of an element segment")
			}
			offset = r.constant(m, I32)
			if r.err == nil && m.tables == 0 {
				r.refuse(malformed(r.offset(), "an element segment, and no table"))
			}
		}
		entry, known := funcref, len(r.reasons.all)
		if !active || indexed {
			want := byte(0)
			if expressions {
				want = byte(funcref)
			}
			if kind := r.byte(); r.err == nil && kind != want {
				err := feature("an element segment of type 0x%02x (only functions are available to a guest)", kind)
				if kind != byte(externref) || !expressions {
					r.err = err
					return
				}
				r.refuse(err)
				entry = externref
			}
		}
		if !active && len(r.reasons.all) == known {
			// Where reference types are not available, the runtime takes every segment
			// for an active one.
			r.refuse(feature("an element segment that is passive or declarative (only active ones, which fill the table at the start, " +
				"are available to a guest; compile without reference types)"))
		}
		count := r.count("entries of an element segment", l.Elements)
		m.Elements += count
		if r.err == nil && m.Elements > l.Elements {
			r.err = tooBig("entries of all element segments", int64(m.Elements), int64(l.Elements))
			return
		}
		if most := m.Table; r.err == nil && active && most != nil && int64(offset)+int64(count) > most.Min {
			r.refuse(malformed(r.offset(), "an element segment of %d entries from number %d on, and the table has %d", count, offset, most.Min))
		}
		for j := 0; j < count && r.err == nil; j++ {
			if expressions {
				r.constant(m, entry)
			} else if f := r.u32(); r.err == nil && uint64(f) >= uint64(len(m.functionTypes)) {
				r.fail("function %d in an element segment, and there are %d", f, len(m.functionTypes))
			}
		}
	}
}

func (m *Module) readDataCount(r *reader) {
	m.dataCount = int64(r.u32())
	m.dataCounted = true
}

func (m *Module) readData(r *reader, l *Limits) {
	m.Segments = r.count("data segments", l.Segments)
	m.dataRead = true
	if r.err == nil && m.dataCounted && m.dataCount != int64(m.Segments) {
		r.fail("%d data segments, and the data count section says %d", m.Segments, m.dataCount)
	}
	for i := 0; i < m.Segments && r.err == nil; i++ {
		flags, offset := r.u32(), uint32(0)
		switch {
		case r.err != nil:
		case flags == 0:
			offset = r.constant(m, I32)
		case flags == 1:
		case flags == 2:
			r.zero("the memory of a data segment")
			offset = r.constant(m, I32)
		default:
			r.fail("a data segment of unknown kind %d", flags)
		}
		n := r.u32()
		r.bytes(n)
		m.DataSize += int64(n)
		switch {
		case r.err != nil || flags == 1:
		case m.memories == 0:
			r.refuse(malformed(r.offset(), "a data segment, and no memory"))
		case m.Memory != nil && int64(offset)+int64(n) > m.Memory.Min<<16:
			r.refuse(malformed(r.offset(), "a data segment of %d bytes from byte %d on, and the memory has %d pages", n, offset, m.Memory.Min))
		}
	}
}
