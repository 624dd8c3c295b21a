package plugin

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

func signature(results []preflight.ValueType, params ...preflight.ValueType) preflight.Signature {
	return preflight.Signature{Params: params, Results: results}
}

var (
	nothing = []preflight.ValueType(nil)
	i32     = []preflight.ValueType{preflight.I32}
	i64     = []preflight.ValueType{preflight.I64}
)

// contract lists the exports of version 1 with their signatures, in the order
// of the specification.
var contract = []struct {
	name     string
	required bool
	want     preflight.Signature
}{
	{abi.ExportAlloc, true, signature(i32, preflight.I32)},
	{abi.ExportOpen, true, signature(i64, preflight.I32, preflight.I32)},
	{abi.ExportGet, true, signature(i64, preflight.I32, preflight.I32, preflight.I64)},
	{abi.ExportSet, true, signature(i64, preflight.I32, preflight.I32, preflight.I32, preflight.I32,
		preflight.I64, preflight.I64, preflight.I64)},
	{abi.ExportDelete, true, signature(i64, preflight.I32, preflight.I32, preflight.I64)},
	{abi.ExportClear, true, signature(i64, preflight.I64)},
	{abi.ExportSave, true, signature(i64, preflight.I64)},
	{abi.ExportInitialize, false, signature(nothing)},
	{abi.ExportDescribe, false, signature(i64)},
	{abi.ExportTouch, false, signature(i64, preflight.I32, preflight.I32, preflight.I64, preflight.I64)},
	{abi.ExportSweep, false, signature(i64, preflight.I64, preflight.I32)},
	{abi.ExportKeys, false, signature(i64, preflight.I64, preflight.I64)},
	{abi.ExportSnapshot, false, signature(i64, preflight.I64, preflight.I64)},
	{abi.ExportRestore, false, signature(i64, preflight.I32, preflight.I32, preflight.I64)},
}

// Check reads a module and holds it against the contract, without compiling or
// running any of it. It returns the module's outline, or a [*LoadError] that
// says what was found and what should be there. [Open] begins with it.
func Check(wasm []byte) (*preflight.Module, error) {
	return check(wasm, preflight.Limits{})
}

func check(wasm []byte, limits preflight.Limits) (*preflight.Module, error) {
	m, err := preflight.Read(wasm, limits)
	if err != nil {
		return nil, fromPreflight(err)
	}
	for _, step := range []func(*preflight.Module) error{checkMarker, checkFeatures, checkExports, checkImports} {
		if err := step(m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func fromPreflight(err error) error {
	for _, kind := range []struct{ from, to error }{
		{preflight.ErrNotWasm, ErrNotPlugin},
		{preflight.ErrFeature, ErrFeature},
		{preflight.ErrTooBig, ErrLimits},
		{preflight.ErrMalformed, ErrModule},
	} {
		if errors.Is(err, kind.from) {
			detail := err.Error()
			if kind.from != preflight.ErrNotWasm {
				detail = strings.TrimPrefix(detail, kind.from.Error()+": ")
			}
			return loadError(kind.to, err, "%s", detail)
		}
	}
	return loadError(ErrModule, err, "%v", err)
}

func checkMarker(m *preflight.Module) error {
	var others []string
	for _, e := range m.Exports {
		if e.Name == abi.ExportMarker {
			if want := signature(nothing); e.Kind != preflight.KindFunction || !e.Signature.Equal(want) {
				return wrongExport(e, want)
			}
			return nil
		}
		if strings.HasPrefix(e.Name, abi.MarkerPrefix) {
			others = append(others, clean(e.Name))
		}
	}
	if len(others) > 0 {
		return loadError(ErrVersion, nil, "it exports %s, and this host has %s", strings.Join(others, ", "), abi.ExportMarker)
	}
	return loadError(ErrNotPlugin, nil, "it does not export the function %s, the marker of the plugin interface", abi.ExportMarker)
}

func checkFeatures(m *preflight.Module) error {
	if m.Start {
		return loadError(ErrFeature, nil, "a start section, whose function would run outside of the host's limits "+
			"(initialisation belongs into the export %s)", abi.ExportInitialize)
	}
	return nil
}

func checkExports(m *preflight.Module) error {
	switch e := m.Export(abi.ExportMemory); {
	case e == nil:
		return loadError(ErrExport, nil, "%q is not exported, and should be the module's memory", abi.ExportMemory)
	case e.Kind != preflight.KindMemory:
		return loadError(ErrExport, nil, "%q is a %s, and should be the module's memory", abi.ExportMemory, e.Kind)
	}
	for _, c := range contract {
		e := m.Export(c.name)
		switch {
		case e == nil && c.required:
			return loadError(ErrExport, nil, "%q is not exported, and should be a function %s", c.name, c.want)
		case e == nil:
		case e.Kind != preflight.KindFunction || !e.Signature.Equal(c.want):
			return wrongExport(*e, c.want)
		}
	}
	return nil
}

func wrongExport(e preflight.Export, want preflight.Signature) error {
	found := "a " + e.Kind.String()
	if e.Kind == preflight.KindFunction {
		found = "a function " + e.Signature.String()
	}
	return loadError(ErrExport, nil, "%q is %s, and should be a function %s", e.Name, found, want)
}

func checkImports(m *preflight.Module) error {
	available := hostSignatures()
	for _, i := range m.Imports {
		functions, ok := available[i.Module]
		if !ok {
			return loadError(ErrImport, nil, "%q.%q, and a guest may import from %s", clean(i.Module), clean(i.Name),
				strings.Join(slices.Sorted(maps.Keys(available)), " and "))
		}
		want, ok := functions[i.Name]
		if !ok {
			return loadError(ErrImport, nil, "%q.%q, and %s has %s", i.Module, clean(i.Name), i.Module,
				strings.Join(slices.Sorted(maps.Keys(functions)), ", "))
		}
		if !i.Signature.Equal(want) {
			return loadError(ErrImport, nil, "%q.%q as a function %s, and it is a function %s", i.Module, i.Name, i.Signature, want)
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
