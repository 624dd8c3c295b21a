package preflight

// Limits bound what a module may contain. Those that are 0 have the value that
// [DefaultLimits] gives them.
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
	Table     int // entries that the table has at first
	Name      int // bytes of a name of an import or export
	Body      int // bytes of one function
	Locals    int // locals of one function
	Depth     int // nested blocks of one function
	Branches  int // blocks and branches of one function

	// AllLocals bounds the locals, parameters and results of all functions
	// together, which a module declares at almost no cost in bytes.
	AllLocals int
	// CompileCost bounds the estimate of the time that compiling all functions takes; see
	// [Module.CompileCost].
	CompileCost int64
	// CompileMemory bounds the estimate of the bytes that compiling takes: the most
	// costly function, all types, and the code that comes of the module; see
	// [Module.CompileMemory].
	CompileMemory int64
}

// DefaultLimits are well above what toolchains make: a Go program of 11 MB with
// net/http and crypto/tls uses a third of CompileCost and of CompileMemory, and less of
// the others, but for Segments, where Go's linker itself stops at 100,000. What
// passes takes wazero's compiler 30 seconds of one core as it is estimated, and
// less than a minute whatever it is.
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

// orDefault fills in what is 0.
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
