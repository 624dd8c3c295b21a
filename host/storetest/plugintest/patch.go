package plugintest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// A host hides some of what a guest must do: it checks sizes before it calls, takes
// NOT_FOUND for a deletion as success, and restores only well-formed lists. To see
// it all the same, these checks run a copy of the module with an added function. It
// replaces an export and passes calls on to others. The host runs the guest like
// any other, and a session_get is really, say, a session_restore.

// patch is a module taken apart as far as is needed.
type patch struct {
	module   *wasmbin.Module
	exports  []wasmbin.Export
	imported uint32          // imported functions; the others follow
	types    []wasmbin.Index // of functions that are not imported, including added ones
	bodies   []wasmbin.Body  // likewise
}

var errPatch = errors.New("plugintest: the module cannot be taken apart")

// takeApart reads a module that the host would run.
func takeApart(wasm []byte) (*patch, error) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPatch, err)
	}
	p := &patch{module: m}
	imports, err := wasmbin.Items(m, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	p.imported = uint32(len(imports))
	for _, i := range imports {
		if i.Kind != wasmbin.KindFunction {
			return nil, fmt.Errorf("%w: it imports something that is not a function", errPatch)
		}
	}
	if err == nil {
		p.types, err = wasmbin.Items(m, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	}
	if err == nil {
		p.exports, err = wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	}
	if err == nil {
		p.bodies, err = wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPatch, err)
	}
	return p, nil
}

// function returns the index of an exported function.
func (p *patch) function(name string) (index uint32, ok bool) {
	for _, e := range p.exports {
		if e.Name == name && e.Kind == wasmbin.KindFunction {
			return e.Index, true
		}
	}
	return 0, false
}

// drop removes an export.
func (p *patch) drop(name string) {
	p.exports = slices.DeleteFunc(p.exports, func(e wasmbin.Export) bool { return e.Name == name })
}

// replace replaces an exported function by one of the same signature with the given
// code. The code has locals of its own after the parameters, all i32.
func (p *patch) replace(name string, locals uint32, code wasmbin.Code) error {
	f, ok := p.function(name)
	if !ok {
		return fmt.Errorf("%w: it does not export %s", errPatch, name)
	}
	if f < p.imported {
		return fmt.Errorf("%w: %s is an import", errPatch, name)
	}
	if f -= p.imported; uint64(f) >= uint64(len(p.types)) {
		return fmt.Errorf("%w: %s is not one of its functions", errPatch, name)
	}
	for i := range p.exports {
		if p.exports[i].Name == name {
			p.exports[i].Index = p.imported + uint32(len(p.types))
		}
	}
	var groups []wasmbin.Locals
	if locals > 0 {
		groups = []wasmbin.Locals{{Count: locals, Type: wasmbin.I32}}
	}
	p.types = append(p.types, p.types[f])
	p.bodies = append(p.bodies, code.Body(groups...))
	return nil
}

// bytes assembles the module.
func (p *patch) bytes() []byte {
	wasmbin.SetItems(p.module, wasmbin.SectionFunction, p.types)
	wasmbin.SetItems(p.module, wasmbin.SectionExport, p.exports)
	wasmbin.SetItems(p.module, wasmbin.SectionCode, p.bodies)
	return p.module.Append(nil)
}

// locals declares the local variables with these numbers, one after the other.
func locals(c *wasmbin.Code, numbers ...uint32) {
	for _, n := range numbers {
		c.Op(wasmbin.OpLocalGet, n)
	}
}

// The meaning of the first byte of a key in a module made by direct.
const (
	directGet byte = iota
	directDelete
	directRestore
	directSweep // followed by max as u32
	directFlush // likewise
)

// direct returns the module without its description and with another session_get.
// This one calls the export that the first byte of the key names, with the rest of
// the key as the key, the list or the number. An absent export answers UNSUPPORTED.
// The result of session_sweep and session_flush comes as the length of a value. Its
// session_set is that of replaceSet.
func direct(wasm []byte) ([]byte, error) {
	p, err := takeApart(wasm)
	if err != nil {
		return nil, err
	}
	const ptr, length, now, first = 0, 1, 2, 3
	var rest, max, code wasmbin.Code
	locals(&rest, ptr)
	rest.I32(1)
	rest.Op(wasmbin.OpI32Add)
	locals(&rest, length)
	rest.I32(1)
	rest.Op(wasmbin.OpI32Sub)
	locals(&rest, now)

	locals(&max, now, ptr)
	max.Op(wasmbin.OpI32Load, 0, 1)

	locals(&code, ptr)
	code.Op(wasmbin.OpI32Load8U, 0, 0)
	code.Op(wasmbin.OpLocalSet, first)
	for _, to := range []struct {
		selector  byte
		export    string
		arguments wasmbin.Code
	}{
		{directGet, abi.ExportGet, rest}, {directDelete, abi.ExportDelete, rest},
		{directRestore, abi.ExportRestore, rest}, {directSweep, abi.ExportSweep, max},
		{directFlush, abi.ExportFlush, max},
	} {
		f, ok := p.function(to.export)
		if !ok {
			continue
		}
		locals(&code, first)
		code.I32(int32(to.selector))
		code.Op(wasmbin.OpI32Eq)
		code.Block(wasmbin.OpIf, wasmbin.NoResult)
		code.Code(to.arguments)
		code.Op(wasmbin.OpCall, f)
		code.Op(wasmbin.OpReturn)
		code.Op(wasmbin.OpEnd)
	}
	code.I64(int64(abi.Unsupported))
	if err := p.replace(abi.ExportGet, 1, code); err != nil {
		return nil, err
	}
	if err := p.replaceSet(); err != nil {
		return nil, err
	}
	p.drop(abi.ExportDescribe)
	return p.bytes(), nil
}
