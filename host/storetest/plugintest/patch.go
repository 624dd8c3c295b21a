package plugintest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Some of what a guest must do its host hides: it looks at sizes before it
// calls, takes the NOT_FOUND of a deletion for success, restores well-formed
// lists only. To see it all the same, such checks run a copy of the module with
// a function added to it, which stands in the place of an export and passes
// calls on to others: the host runs the guest as it runs any, and a session_get
// is really, say, a session_restore.

// patch is a module taken apart as far as that needs.
type patch struct {
	module   *wasmbin.Module
	exports  []wasmbin.Export
	imported uint32          // functions that are imported; the others follow
	types    []wasmbin.Index // of the functions that are not, and of added ones
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

// drop takes an export away.
func (p *patch) drop(name string) {
	p.exports = slices.DeleteFunc(p.exports, func(e wasmbin.Export) bool { return e.Name == name })
}

// replace puts a function with the code in the place of an exported one of the
// same signature. The code has locals of its own behind the parameters, all i32.
func (p *patch) replace(name string, locals uint32, code wasmbin.Code) error {
	f, ok := p.function(name)
	if !ok {
		return fmt.Errorf("%w: it does not export %s", errPatch, name)
	}
	if f < p.imported {
		return fmt.Errorf("%w: %s is an import", errPatch, name)
	}
	if f -= p.imported; uint64(f) >= uint64(len(p.types)) {
		return fmt.Errorf("%w: %s is no function of it", errPatch, name)
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

// bytes puts the module together.
func (p *patch) bytes() []byte {
	wasmbin.SetItems(p.module, wasmbin.SectionFunction, p.types)
	wasmbin.SetItems(p.module, wasmbin.SectionExport, p.exports)
	wasmbin.SetItems(p.module, wasmbin.SectionCode, p.bodies)
	return p.module.Append(nil)
}

// locals are the local variables of that number, one behind the other.
func locals(c *wasmbin.Code, numbers ...uint32) {
	for _, n := range numbers {
		c.Op(wasmbin.OpLocalGet, n)
	}
}

// What the first byte of a key stands for in a module made by direct.
const (
	directGet byte = iota
	directDelete
	directRestore
	directSweep // behind it, max as u32
	directFlush // likewise
)

// direct returns the module without its description, whose session_get passes
// on to the export that the first byte of the key names: with the rest of the
// key as the key, the list or the number. One that is absent answers
// UNSUPPORTED. What session_sweep and session_flush return comes as the length of a
// value. Its session_set is that of replaceSet.
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
