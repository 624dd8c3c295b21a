package wasmbin

// Expression is a constant expression in binary form, with its end.
type Expression []byte

// Expression reads a constant expression. It may contain any instructions up to the
// end that closes none of them.
func (r *Reader) Expression() Expression {
	w := NewWalker(*r)
	w.Begin()
	for w.Next() {
	}
	from := r.pos
	*r = w.Reader
	if r.Err != nil {
		return nil
	}
	return Expression(r.b[from:r.pos:r.pos])
}

// Data is an entry of the data section.
type Data struct {
	Mode   uint32     // [DataActive], [DataPassive] or [DataIndexed]
	Memory uint32     // if Mode is [DataIndexed]
	Offset Expression // unless passive
	Bytes  []byte
}

// The modes of [Data].
const (
	DataActive uint32 = iota
	DataPassive
	DataIndexed // active, with the number of the memory
)

// DataHeader reads the mode of a data segment. An expression follows if it is
// active.
func (r *Reader) DataHeader() (d Data) {
	d.Mode = r.U32()
	switch {
	case r.Err != nil:
	case d.Mode > DataIndexed:
		r.Fail("a data segment of unknown kind %d", d.Mode)
	case d.Mode == DataIndexed:
		d.Memory = r.U32()
	}
	return d
}

// Active reports whether the data are written into memory at the start.
func (d *Data) Active() bool { return d.Mode != DataPassive }

// Data reads an entry of the data section.
func (r *Reader) Data() Data {
	d := r.DataHeader()
	if d.Active() {
		d.Offset = r.Expression()
	}
	d.Bytes = r.Bytes(r.U32())
	return d
}

// Append appends the entry.
func (d Data) Append(b []byte) []byte {
	b = AppendU32(b, d.Mode)
	if d.Mode == DataIndexed {
		b = AppendU32(b, d.Memory)
	}
	if d.Active() {
		b = append(b, d.Offset...)
	}
	return AppendBytes(b, d.Bytes)
}

// Elements are an entry of the element section.
type Elements struct {
	Mode        uint32     // flags: [ElementsPassive] and those after it
	Table       uint32     // if active, with [ElementsIndexed]
	Offset      Expression // if active
	Type        byte       // of the entries, if it is written
	Functions   []uint32   // without [ElementsExpressions]
	Expressions []Expression
}

// The flags of [Elements].
const (
	ElementsPassive     uint32 = 1 << iota // not written into a table at the start
	ElementsIndexed                        // if active: with the number of the table; otherwise: declarative
	ElementsExpressions                    // entries are expressions
)

// ElementsHeader reads the mode of an element segment. An expression follows if it
// is active, and then a type if it is typed.
func (r *Reader) ElementsHeader() (e Elements) {
	e.Mode = r.U32()
	switch {
	case r.Err != nil:
	case e.Mode > 7:
		r.Fail("an element segment of unknown kind %d", e.Mode)
	case e.Mode&(ElementsPassive|ElementsIndexed) == ElementsIndexed:
		e.Table = r.U32()
	}
	return e
}

// Active reports whether the elements are written into a table at the start.
func (e *Elements) Active() bool { return e.Mode&ElementsPassive == 0 }

// Typed reports whether the type of the entries is written.
func (e *Elements) Typed() bool { return e.Mode&(ElementsPassive|ElementsIndexed) != 0 }

// Elements reads an entry of the element section.
func (r *Reader) Elements() Elements {
	e := r.ElementsHeader()
	if e.Active() {
		e.Offset = r.Expression()
	}
	if e.Typed() {
		if e.Type = r.Byte(); ValueType(e.Type) == ref || ValueType(e.Type) == refNull {
			r.longType()
		}
	}
	for n := r.Count("entries of an element segment"); n > 0 && r.Err == nil; n-- {
		if e.Mode&ElementsExpressions != 0 {
			e.Expressions = append(e.Expressions, r.Expression())
		} else {
			e.Functions = append(e.Functions, r.U32())
		}
	}
	return e
}

// Append appends the entry.
func (e Elements) Append(b []byte) []byte {
	b = AppendU32(b, e.Mode)
	if e.Active() {
		if e.Mode&ElementsIndexed != 0 {
			b = AppendU32(b, e.Table)
		}
		b = append(b, e.Offset...)
	}
	if e.Typed() {
		b = append(b, e.Type)
	}
	if e.Mode&ElementsExpressions == 0 {
		b = AppendU32(b, uint32(len(e.Functions)))
		for _, f := range e.Functions {
			b = AppendU32(b, f)
		}
		return b
	}
	b = AppendU32(b, uint32(len(e.Expressions)))
	for _, x := range e.Expressions {
		b = append(b, x...)
	}
	return b
}
