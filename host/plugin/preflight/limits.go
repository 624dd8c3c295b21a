package preflight

// Limits bound what a module may contain. A field that is 0 has the value of
// [DefaultLimits].
type Limits struct {
	Module    int // bytes of the whole binary
	Types     int // function types
	Params    int // parameters of a type, and results of one
	Imports   int
	Functions int
	Globals   int
	Exports   int
	Elements  int // entries of all element segments
	Segments  int // data segments
	Table     int // entries of the table
	Name      int // bytes of the name of an import or export
	Body      int // bytes of one function
	Locals    int // locals of one function
	Depth     int // nested blocks of one function
	Branches  int // blocks and branches of one function

	// AllLocals bounds the locals, parameters and results of all functions together.
	// Declaring them takes almost no bytes of a module.
	AllLocals int
	// CompileCost bounds the estimate of the time that compiling all functions takes; see
	// [Module.CompileCost].
	CompileCost int64
	// CompileMemory bounds the estimate of the bytes that compiling takes, for the most
	// costly function, all types and the resulting code; see [Module.CompileMemory].
	CompileMemory int64
}

// DefaultLimits returns limits that are well above what toolchains make. A Go program of
// 11 MB with net/http and crypto/tls uses a third of CompileCost and of CompileMemory,
// and less of the others except Segments, where Go's linker stops at 100,000. A module
// within the limits takes wazero's compiler 30 seconds of one core by the estimate, and
// less than a minute whatever it contains.
func DefaultLimits() Limits {
	return Limits{
		Module:    32 << 20,
		Types:     1 << 14,
		Params:    256,
		Imports:   1 << 10,
		Functions: 1 << 16,
		Globals:   1 << 13,
		Exports:   1 << 12,
		Elements:  1 << 18,
		Segments:  1 << 17,
		Table:     1 << 18,
		Name:      1 << 10,
		Body:      256 << 10,
		Locals:    1 << 14,
		Depth:     1 << 12,
		Branches:  10_000,
		AllLocals: 1 << 22,

		CompileCost:   750_000_000,
		CompileMemory: 512 << 20,
	}
}

// orDefault replaces each 0 by the default.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ at, to *int }{
		{&l.Module, &d.Module}, {&l.Types, &d.Types}, {&l.Params, &d.Params}, {&l.Imports, &d.Imports},
		{&l.Functions, &d.Functions}, {&l.Globals, &d.Globals}, {&l.Exports, &d.Exports},
		{&l.Elements, &d.Elements}, {&l.Segments, &d.Segments}, {&l.Table, &d.Table}, {&l.Name, &d.Name},
		{&l.Body, &d.Body}, {&l.Locals, &d.Locals}, {&l.Depth, &d.Depth}, {&l.Branches, &d.Branches},
		{&l.AllLocals, &d.AllLocals},
	} {
		if *f.at == 0 {
			*f.at = *f.to
		}
	}
	if l.CompileCost == 0 {
		l.CompileCost = d.CompileCost
	}
	if l.CompileMemory == 0 {
		l.CompileMemory = d.CompileMemory
	}
	return l
}
