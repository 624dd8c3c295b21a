package plugin

import (
	"errors"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Validate compares a module with the contract, without compiling or running any of
// it. It returns the module's outline, or the first [*LoadError] of [ValidateAll],
// which says what was found and what should be there. [Open] begins with it.
func Validate(wasm []byte) (*preflight.Module, error) {
	return validate(wasm, preflight.Limits{}, builtinPermissions())
}

func validate(wasm []byte, limits preflight.Limits, table permissions) (*preflight.Module, error) {
	m, why := validateAll(wasm, limits, table)
	if len(why) > 0 {
		return nil, why[0]
	}
	return m, nil
}

// ValidateAll is [Validate] that goes on after the first reason. It returns all reasons
// to refuse the module, and its outline, which is never nil. If the module cannot be
// read to its end, the outline reaches as far as it was read and its Incomplete is set.
// One of the reasons then says what is wrong, with the offset where reading ended.
// ValidateAll does not judge what follows that offset.
//
// [Open] may still refuse the module for what only compiling it, running it or a
// [Config] can tell: whether it gets the memory that it wants, or what it imports.
// [Uses] says what it could be granted.
func ValidateAll(wasm []byte) (*preflight.Module, []*LoadError) {
	return validateAll(wasm, preflight.Limits{}, builtinPermissions())
}

func validateAll(wasm []byte, limits preflight.Limits, table permissions) (*preflight.Module, []*LoadError) {
	m, found := preflight.ValidateAll(wasm, limits)
	var why []*LoadError
	for _, err := range found {
		why = append(why, fromPreflight(err))
	}
	why = append(why, checkOutline(m, table)...)
	advise(m, why)
	return m, why
}

// checkOutline compares the outline of a module with the contract.
func checkOutline(m *preflight.Module, table permissions) (why []*LoadError) {
	why = append(why, checkMarker(m)...)
	why = append(why, checkProgram(m)...)
	why = append(why, checkFeatures(m)...)
	why = append(why, checkMemory(m)...)
	why = append(why, checkExports(m)...)
	return append(why, table.check(m)...)
}

func fromPreflight(err error) *LoadError {
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

func checkMarker(m *preflight.Module) []*LoadError {
	var others []string
	for _, e := range m.Exports {
		if e.Name == abi.ExportMarker {
			if want := signature(nothing); e.Kind != preflight.KindFunction || !e.Signature.Equal(want) {
				return []*LoadError{wrongExport(e, want)}
			}
			return nil
		}
		if strings.HasPrefix(e.Name, abi.MarkerPrefix) {
			others = append(others, printable.Clean(e.Name))
		}
	}
	switch {
	case !m.ExportsRead():
		return nil
	case len(others) > 0:
		return []*LoadError{loadError(ErrVersion, nil, "it exports %s: must export %s",
			strings.Join(others, ", "), abi.ExportMarker)}
	}
	return []*LoadError{loadError(ErrNotPlugin, nil,
		"it does not export the function %s, the marker of the plugin interface", abi.ExportMarker)}
}

func checkFeatures(m *preflight.Module) []*LoadError {
	if !m.Start {
		return nil
	}
	return []*LoadError{loadError(ErrFeature, nil, "a start section, whose function would run outside the host's limits: "+
		"export the initialisation as %s instead (AssemblyScript: asc --exportStart %s)", abi.ExportInitialize, abi.ExportInitialize)}
}

// checkMemory refuses a memory that no Config could make room for.
func checkMemory(m *preflight.Module) []*LoadError {
	if m.Memory == nil || m.Memory.Min <= abi.MaxMemory/pageSize {
		return nil
	}
	return []*LoadError{loadError(ErrLimits, preflight.ErrTooBig, "the memory has %d pages of %d bytes from the start: must have "+
		"at most %d bytes", m.Memory.Min, pageSize, int64(abi.MaxMemory))}
}

func checkExports(m *preflight.Module) (why []*LoadError) {
	switch e := m.Export(abi.ExportMemory); {
	case e == nil && m.ExportsRead():
		why = append(why, loadError(ErrExport, nil, "%q is not exported: must be the module's memory", abi.ExportMemory))
	case e == nil:
	case e.Kind != preflight.KindMemory:
		why = append(why, loadError(ErrExport, nil, "%q is a %s: must be the module's memory", abi.ExportMemory, e.Kind))
	}
	for _, c := range contract {
		e := m.Export(c.name)
		switch {
		case e == nil && c.required && m.ExportsRead():
			why = append(why, loadError(ErrExport, nil, "%q is not exported: must be a function %s", c.name, c.want))
		case e == nil:
		case e.Kind != preflight.KindFunction || !e.Signature.Equal(c.want):
			why = append(why, wrongExport(*e, c.want))
		}
	}
	for _, e := range m.Exports {
		if strings.HasPrefix(e.Name, rewrite.ReservedPrefix) {
			why = append(why, loadError(ErrExport, nil, "%q is exported: names that begin with %q are for what the host adds to a module",
				printable.Clean(e.Name), rewrite.ReservedPrefix))
		}
	}
	return why
}

func wrongExport(e preflight.Export, want preflight.Signature) *LoadError {
	found := "a " + e.Kind.String()
	if e.Kind == preflight.KindFunction {
		found = "a function " + e.Signature.String()
	}
	return loadError(ErrExport, nil, "%q is %s: must be a function %s", e.Name, found, want)
}
