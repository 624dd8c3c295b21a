package wasmbin

// Index is the number of a type, function or other thing. The function section is a
// list of them.
type Index uint32

// Index reads an index.
func (r *Reader) Index() Index { return Index(r.U32()) }

// Append appends the index.
func (i Index) Append(b []byte) []byte { return AppendU32(b, uint32(i)) }

// Import is an entry of the import section. Kind decides which of the fields after
// it have a meaning.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32 // of a function or tag
	Table        Table
	Memory       Memory
	Global       GlobalType
}

// Import reads an entry of the import section.
func (r *Reader) Import() Import {
	i := Import{Module: r.Name(), Name: r.Name(), Kind: Kind(r.Byte())}
	switch i.Kind {
	case KindFunction:
		i.Type = r.U32()
	case KindTable:
		i.Table = r.Table()
	case KindMemory:
		i.Memory = r.Memory()
	case KindGlobal:
		i.Global = r.GlobalType()
	case KindTag:
		r.attribute()
		i.Type = r.U32()
	default:
		r.Fail("an import of unknown kind 0x%02x", byte(i.Kind))
	}
	return i
}

func (r *Reader) attribute() {
	if b := r.Byte(); b != 0 {
		r.Fail("a tag of unknown attribute 0x%02x", b)
	}
}

// Append appends the entry.
func (i Import) Append(b []byte) []byte {
	b = append(AppendBytes(AppendBytes(b, i.Module), i.Name), byte(i.Kind))
	switch i.Kind {
	case KindTable:
		return i.Table.Append(b)
	case KindMemory:
		return i.Memory.Append(b)
	case KindGlobal:
		return i.Global.Append(b)
	case KindTag:
		b = append(b, 0)
	}
	return AppendU32(b, i.Type)
}

// Export is an entry of the export section.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Export reads an entry of the export section.
func (r *Reader) Export() Export {
	return Export{r.Name(), Kind(r.Byte()), r.U32()}
}

// Append appends the entry.
func (e Export) Append(b []byte) []byte {
	return AppendU32(append(AppendBytes(b, e.Name), byte(e.Kind)), e.Index)
}

// GlobalType is the type of a global.
type GlobalType struct {
	Type    ValueType
	Mutable bool
}

// GlobalType reads the type of a global.
func (r *Reader) GlobalType() GlobalType {
	g := GlobalType{Type: r.shortType()}
	mutable := r.Byte()
	if r.Err == nil && mutable > 1 {
		r.Fail("a global of unknown mutability 0x%02x", mutable)
	}
	g.Mutable = mutable == 1
	return g
}

// Append appends the type.
func (g GlobalType) Append(b []byte) []byte {
	if b = append(b, byte(g.Type), 0); g.Mutable {
		b[len(b)-1] = 1
	}
	return b
}

// Global is an entry of the global section.
type Global struct {
	GlobalType
	Init Expression
}

// Global reads an entry of the global section.
func (r *Reader) Global() Global { return Global{r.GlobalType(), r.Expression()} }

// Append appends the entry.
func (g Global) Append(b []byte) []byte { return append(g.GlobalType.Append(b), g.Init...) }

// Body is an entry of the code section: the locals and the code, with its end.
type Body []byte

// Body reads an entry of the code section.
func (r *Reader) Body() Body { return Body(r.Bytes(r.U32())) }

// Append appends the entry.
func (c Body) Append(b []byte) []byte { return AppendBytes(b, c) }

// Locals are declared together: that many of one type.
type Locals struct {
	Count uint32
	Type  ValueType
}

// Locals reads a group of locals.
func (r *Reader) Locals() Locals { return Locals{r.U32(), r.shortType()} }

// Append appends the group.
func (l Locals) Append(b []byte) []byte { return append(AppendU32(b, l.Count), byte(l.Type)) }
