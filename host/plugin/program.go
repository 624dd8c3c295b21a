package plugin

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// exportStart is the name that toolchains give to a program's entry point.
const exportStart = "_start"

// reactors says for each toolchain how to build a library: a "reactor", which is
// initialised once and then called.
var reactors = []flag{
	{"TinyGo", "tinygo build -target=wasip1 -buildmode=c-shared"},
	{"Go", "go build -buildmode=c-shared"},
	{"Rust", `crate-type = ["cdylib"] in Cargo.toml, or rustc --crate-type cdylib`},
	{"Zig", "zig build-exe -fno-entry -rdynamic, or, before 0.12, zig build-lib -dynamic -rdynamic"},
	{"AssemblyScript", "asc --exportStart _initialize"},
	{"C", "clang -mexec-model=reactor with wasi-libc, or -nostdlib -Wl,--no-entry without"},
}

// checkProgram refuses a module built to run once from start to end. The host would
// not run its start function, and so not its initialisation.
func checkProgram(m *preflight.Module) []*LoadError {
	start := m.Export(exportStart)
	if start == nil || start.Kind != preflight.KindFunction || m.Export(abi.ExportInitialize) != nil {
		return nil
	}
	return []*LoadError{loadError(ErrExport, nil, "%q is exported, and %q is not: it was built as a program, and nothing would "+
		"initialise it; build it as a library (a reactor), with %s", exportStart, abi.ExportInitialize, flagsFor(m, reactors))}
}
