package main

import (
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/engines/internal/untangle"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// finish makes of a module that Go has built the one that is embedded. It depends on
// nothing but the module.
func finish(built []byte) ([]byte, *untangle.Report, error) {
	wasm, report, err := untangle.Module(built, untangle.Options{Fast: ours})
	if err != nil {
		return nil, nil, err
	}
	// A host would do this each time that it loads the module.
	if wasm, _, err = rewrite.Module(wasm, rewrite.Options{MergeData: true}); err != nil {
		return nil, nil, err
	}
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, nil, err
	}
	m.Sections = slices.DeleteFunc(m.Sections, func(s wasmbin.Section) bool { return s.ID == wasmbin.SectionCustom })
	return m.Append(nil), report, nil
}

// ours reports whether a function is the engine's or the SDK's, as the linker writes its
// name, and not one of Go's runtime or library. It is worth its copy: the runtime's are
// seldom in the way of an operation.
func ours(name string) bool {
	return strings.HasPrefix(name, "main.") || strings.HasPrefix(name, "github.com_waddle_sessions_waddle_")
}
