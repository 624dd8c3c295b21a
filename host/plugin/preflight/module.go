package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// ValueType is the type of a parameter, result or global, in its binary form.
type ValueType = wasmbin.ValueType

// The value types that a guest may use.
const (
	I32  = wasmbin.I32
	I64  = wasmbin.I64
	F32  = wasmbin.F32
	F64  = wasmbin.F64
	V128 = wasmbin.V128
)

// Signature is a function's type. It has Params and Results, and says whether it is
// Equal to another.
type Signature = wasmbin.FuncType

// Kind is the kind of an import or export.
type Kind = wasmbin.Kind

// The kinds, in their binary form.
const (
	KindFunction = wasmbin.KindFunction
	KindTable    = wasmbin.KindTable
	KindMemory   = wasmbin.KindMemory
	KindGlobal   = wasmbin.KindGlobal
	KindTag      = wasmbin.KindTag
)

// Import is an item that the module wants from its host. Signature is set for functions.
type Import struct {
	Module, Name string
	Kind         Kind
	Signature    Signature
}

// Export is an item that the module offers. Signature is set for functions.
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

// Section is the place of one section in the module. ID is its number in the binary
// format. Name is set for custom sections.
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

	Functions       int // of the module's own, without imports
	Elements        int // entries of all element segments
	ElementSegments int
	Segments        int   // data segments
	DataSize        int64 // bytes of all data segments
	CodeSize        int64 // bytes of all function bodies
	Locals          int64 // locals, parameters and results of all functions
	Largest         Body  // the largest value of each property over all functions
	CompileCost     int64 // estimate of the time that compiling takes, in units of which a core does 25 million a second
	CompileMemory   int64 // estimate of the bytes that compiling takes
	CustomSize      int64 // bytes of all custom sections
	TypeCount       int
	Producers       []Producer // as the module says

	// Incomplete says that reading ended before the module did. The outline is then
	// right as far as it goes.
	Incomplete bool

	exportsRead            bool
	types                  []Signature
	functionTypes          []uint32 // of imports, then of the module's own functions
	codes                  int
	memories               int // including imports, as tables
	tables                 int
	frames                 []frame // reused by one function after another
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

// ExportsRead reports whether Exports is the whole list. In an Incomplete module it may
// not be.
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
