package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

const (
	i32WrapI64    wasmbin.Opcode = 0xa7
	i64ExtendI32U wasmbin.Opcode = 0xad
)

// addEntry adds the function that [Options.Entry] describes, and exports it as
// [EntryExport]. Its first parameter, an i32, is the number of the name. Each parameter
// after it is an i64, of which an export that takes an i32 gets the lower half. The
// result is an i64: an i32 with zeros above it, or 0 for an export without a result.
// With the number of a name that is not an exported function, it traps. In a module with meters it has
// a second result: the fuel that is left, which a host would else read by calls of its own.
//
// It is added after all others, so code that was there keeps its place in the section,
// unless the number of functions takes a byte more.
func addEntry(m *wasmbin.Module, names string, r *Report) error {
	e := entry{names: strings.Fields(names)}
	if err := e.read(m); err != nil {
		return err
	}
	kind := slices.IndexFunc(e.types, e.own().Equal)
	if kind < 0 {
		kind = len(e.types)
		if err := appendItem(m, wasmbin.SectionType, e.own()); err != nil {
			return err
		}
	}
	r.Entry = uint32(len(e.functions))
	return errors.Join(
		appendItem(m, wasmbin.SectionFunction, wasmbin.Index(kind)),
		appendItem(m, wasmbin.SectionExport, wasmbin.Export{Name: EntryExport, Kind: wasmbin.KindFunction, Index: r.Entry}),
		appendItem(m, wasmbin.SectionCode, e.body()),
	)
}

// entry is what the function is made of.
type entry struct {
	names     []string
	targets   []target // by the number of their name
	params    int      // the most that a target has
	types     []wasmbin.FuncType
	functions []uint32 // types of all functions, imported ones first

	metered bool
	fuel    uint32 // the global
}

// target is an export that is called.
type target struct {
	found bool
	index uint32
	wasmbin.FuncType
}

// read finds the exports and their types.
func (e *entry) read(m *wasmbin.Module) (err error) {
	if e.types, err = wasmbin.Items(m, wasmbin.SectionType, (*wasmbin.Reader).FuncType); err != nil {
		return err
	}
	imports, err := wasmbin.Items(m, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	if err != nil {
		return err
	}
	for _, i := range imports {
		if i.Kind == wasmbin.KindFunction {
			e.functions = append(e.functions, i.Type)
		}
	}
	defined, err := wasmbin.Items(m, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	if err != nil {
		return err
	}
	for _, kind := range defined {
		e.functions = append(e.functions, uint32(kind))
	}
	exports, err := wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	if err != nil {
		return err
	}
	e.targets = make([]target, len(e.names))
	for _, x := range exports {
		if x.Name == FuelExport {
			e.metered, e.fuel = true, x.Index
		}
		if i := slices.Index(e.names, x.Name); i >= 0 && x.Kind == wasmbin.KindFunction {
			if err := e.target(&e.targets[i], x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *entry) target(t *target, x wasmbin.Export) error {
	if uint64(x.Index) >= uint64(len(e.functions)) || uint64(e.functions[x.Index]) >= uint64(len(e.types)) {
		return fmt.Errorf("%w: the export %q is function %d, which the module does not have", wasmbin.ErrMalformed, x.Name, x.Index)
	}
	*t = target{true, x.Index, e.types[e.functions[x.Index]]}
	for _, v := range slices.Concat(t.Params, t.Results) {
		if v != wasmbin.I32 && v != wasmbin.I64 {
			return fmt.Errorf("%w: %q, a function %s: must take and return integers", ErrEntry, x.Name, t)
		}
	}
	if len(t.Results) > 1 {
		return fmt.Errorf("%w: %q, a function %s: must have at most one result", ErrEntry, x.Name, t)
	}
	e.params = max(e.params, len(t.Params))
	return nil
}

// own is the type of the function.
func (e *entry) own() wasmbin.FuncType {
	t := wasmbin.FuncType{
		Params:  append([]wasmbin.ValueType{wasmbin.I32}, slices.Repeat([]wasmbin.ValueType{wasmbin.I64}, e.params)...),
		Results: []wasmbin.ValueType{wasmbin.I64},
	}
	if e.metered {
		t.Results = append(t.Results, wasmbin.I64)
	}
	return t
}

// body returns the code: a block for each number, which a table of branches leaves in
// front of its call.
func (e *entry) body() wasmbin.Body {
	var c wasmbin.Code
	n := uint32(len(e.targets))
	labels := []uint32{n}
	for range n + 1 {
		c.Block(wasmbin.OpBlock, wasmbin.NoResult)
	}
	for i := range n {
		labels = append(labels, i)
	}
	c.Op(wasmbin.OpLocalGet, 0)
	c.Op(wasmbin.OpBrTable, append(labels, n)...)
	for i := range e.targets {
		c.Op(wasmbin.OpEnd)
		e.call(&c, &e.targets[i])
	}
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpUnreachable)
	return c.Body()
}

// call appends the call of a target with the function's own parameters, and returns
// its result.
func (e *entry) call(c *wasmbin.Code, t *target) {
	if !t.found {
		c.Op(wasmbin.OpUnreachable)
		return
	}
	for i, p := range t.Params {
		c.Op(wasmbin.OpLocalGet, uint32(i)+1)
		if p == wasmbin.I32 {
			c.Op(i32WrapI64)
		}
	}
	c.Op(wasmbin.OpCall, t.index)
	switch {
	case len(t.Results) == 0:
		c.I64(0)
	case t.Results[0] == wasmbin.I32:
		c.Op(i64ExtendI32U)
	}
	if e.metered {
		c.Op(wasmbin.OpGlobalGet, e.fuel)
	}
	c.Op(wasmbin.OpReturn)
}

// appendItem appends an item to the list in a section, and keeps the bytes of those
// before it.
func appendItem(m *wasmbin.Module, id byte, item wasmbin.Item) error {
	n, rest := uint32(0), []byte(nil)
	if s := m.Section(id); s != nil {
		r := s.Reader()
		if n, rest = r.U32(), r.Rest(); r.Err != nil {
			return r.Err
		}
	}
	m.Set(id, item.Append(append(wasmbin.AppendU32(make([]byte, 0, len(rest)+64), n+1), rest...)))
	return nil
}
