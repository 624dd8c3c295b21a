package wasmbin

// Subsection is a part of the custom section "name".
type Subsection struct {
	ID      byte
	Content []byte
}

// The parts of the section "name" whose form is known here.
const (
	NamesModule    byte = 0 // a name
	NamesFunctions byte = 1 // a list of [Naming]
	NamesLocals    byte = 2 // for each function, its number and a list of [Naming]
	NamesData      byte = 9 // a list of [Naming], of data segments
)

// Subsection reads a part's number and its content.
func (r *Reader) Subsection() (id byte, content Reader) { return r.Section() }

// Append appends the part.
func (s Subsection) Append(b []byte) []byte { return AppendSection(b, s.ID, s.Content) }

// Naming gives a thing a name.
type Naming struct {
	Index uint32
	Name  string
}

// Naming reads a naming.
func (r *Reader) Naming() Naming { return Naming{r.U32(), r.Name()} }

// Append appends the naming.
func (n Naming) Append(b []byte) []byte { return AppendBytes(AppendU32(b, n.Index), n.Name) }
