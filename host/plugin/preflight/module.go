package preflight

import (
	"strconv"
	"strings"
)

// ValueType is the type of a parameter, result or global, in its binary form.
type ValueType byte

// The value types that a guest may use.
const (
	I32  ValueType = 0x7f
	I64  ValueType = 0x7e
	F32  ValueType = 0x7d
	F64  ValueType = 0x7c
	V128 ValueType = 0x7b
)

// The types of references, which no value of a guest has.
const (
	funcref   ValueType = 0x70
	externref ValueType = 0x6f
)

// String returns the type's name in the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case funcref:
		return "funcref"
	case externref:
		return "externref"
	}
	return "0x" + strconv.FormatUint(uint64(t), 16)
}

// Signature is a function's type.
type Signature struct {
	Params, Results []ValueType
}

// Equal reports whether two signatures are the same.
func (s Signature) Equal(other Signature) bool {
	return string(bytesOf(s.Params)) == string(bytesOf(other.Params)) &&
		string(bytesOf(s.Results)) == string(bytesOf(other.Results))
}

func bytesOf(types []ValueType) []byte {
	b := make([]byte, len(types))
	for i, t := range types {
		b[i] = byte(t)
	}
	return b
}

// String writes the signature as in "(i32, i64) -> i64".
func (s Signature) String() string {
	var b strings.Builder
	list := func(types []ValueType) {
		b.WriteByte('(')
		for i, t := range types {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(t.String())
		}
		b.WriteByte(')')
	}
	list(s.Params)
	b.WriteString(" -> ")
	if len(s.Results) == 1 {
		b.WriteString(s.Results[0].String())
	} else {
		list(s.Results)
	}
	return b.String()
}

// Kind is what an import or export is.
type Kind byte

// The kinds, in their binary form.
const (
	KindFunction Kind = 0
	KindTable    Kind = 1
	KindMemory   Kind = 2
	KindGlobal   Kind = 3
	KindTag      Kind = 4
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindFunction:
		return "function"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return "0x" + strconv.FormatUint(uint64(k), 16)
}

// Import is something the module wants from its host. Signature is set for
// functions.
type Import struct {
	Module, Name string
	Kind         Kind
	Signature    Signature
}

// Export is something the module offers. Signature is set for functions.
type Export struct {
	Name      string
	Kind      Kind
	Index     uint32
	Signature Signature
}

// Memory is a memory's size in pages of 64 KiB. Max is -1 if none is declared.
type Memory struct {
	Min, Max int64
}

// Table is a table's size in entries. Max is -1 if none is declared.
type Table struct {
	Min, Max int64
}

// Section is one section's place in the module. ID is that of the binary
// format; Name is set for custom sections.
type Section struct {
	ID           byte
	Name         string
	Offset, Size int
}

// Module is the outline of a module.
type Module struct {
	Size     int // bytes of the binary
	Sections []Section
	Imports  []Import
	Exports  []Export
	Memory   *Memory // nil if the module has none
	Table    *Table  // nil if the module has none
	Globals  int
	Mutable  int  // globals that can be set
	Start    bool // has a start section

	Functions       int // defined here, imports not counted
	Elements        int // entries of all element segments
	ElementSegments int
	Segments        int   // data segments
	DataSize        int64 // bytes of all data segments
	CodeSize        int64 // bytes of all function bodies
	Locals          int64 // locals, parameters and results of all functions
	Largest         Body  // of each property, the largest that any function has
	Work            int64 // estimate of what compiling takes, in units of which a core does 25 million a second
	CompileMemory   int64 // estimate of the bytes that compiling takes
	CustomSize      int64 // bytes of all custom sections
	TypeCount       int
	Producers       []Producer // as the module says

	// Incomplete tells that reading ended before the module did. What is
	// here is then right as far as it goes.
	Incomplete bool

	exportsRead            bool
	types                  []Signature
	functionTypes          []uint32 // of imports and then of the module's own
	codes                  int
	memories               int // imports counted, as in the two that follow
	tables                 int
	frames                 []frame // used for one function after the other
	reads                  reads
	mutable                []bool // of the module's own globals
	dataCount              int64  // as the section says
	dataCounted            bool
	dataRead               bool
	typeValues             int64 // parameters and results of all types
	output, functionMemory int64
	widest, fullest        int64 // basic blocks of the largest function so far, and most values of one
	importedGlobals        int
}

// ExportsRead tells whether Exports is the whole list, which it may not be of
// a module that is Incomplete.
func (m *Module) ExportsRead() bool { return m.exportsRead }

// Export returns the export of that name, or nil.
func (m *Module) Export(name string) *Export {
	for i := range m.Exports {
		if m.Exports[i].Name == name {
			return &m.Exports[i]
		}
	}
	return nil
}
