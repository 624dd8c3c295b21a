package plugin

import (
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// exportStart is what toolchains call the beginning of a program.
const exportStart = "_start"

// reactors say for each toolchain what makes a library of a module: a "reactor",
// which is initialised once and then called. says are words of its producers
// section, in lower case.
var reactors = []struct {
	toolchain string
	says      []string
	flag      string
}{
	{"TinyGo", []string{"tinygo"}, "tinygo build -target=wasip1 -buildmode=c-shared"},
	{"Go", []string{"go cmd/compile", "go"}, "go build -buildmode=c-shared"},
	{"Rust", []string{"rust", "rustc"}, `crate-type = ["cdylib"] in Cargo.toml, or rustc --crate-type cdylib`},
	{"Zig", []string{"zig"}, "zig build-exe -fno-entry -rdynamic, or, before 0.12, zig build-lib -dynamic -rdynamic"},
	{"AssemblyScript", []string{"assemblyscript"}, "asc --exportStart _initialize"},
	{"C", []string{"clang", "c", "c99", "c11", "c17", "c++"}, "clang -mexec-model=reactor with wasi-libc, or -nostdlib -Wl,--no-entry without"},
}

// howToReactor says which flag makes a library of what a toolchain made a program
// of: of all that there are, if the module does not say which it was.
func howToReactor(m *preflight.Module) string {
	for _, r := range reactors {
		for _, p := range m.Producers {
			name := strings.ToLower(p.Name)
			for _, word := range r.says {
				// "Debian clang", "C_plus_plus_14", "rustc": the whole name, its last
				// word, or what stands before an underscore.
				_, last, _ := strings.Cut(name, " ")
				first, _, _ := strings.Cut(name, "_")
				if name == word || last == word || first == word || r.toolchain == "TinyGo" && strings.Contains(name, word) {
					return r.toolchain + ": " + r.flag
				}
			}
		}
	}
	var all []string
	for _, r := range reactors {
		all = append(all, r.toolchain+": "+r.flag)
	}
	return strings.Join(all, "; ")
}

// checkProgram refuses a module that is to be run once from its beginning to its
// end: nobody would ever run it, and its own initialisation with it.
func checkProgram(m *preflight.Module) []*LoadError {
	start := m.Export(exportStart)
	if start == nil || start.Kind != preflight.KindFunction || m.Export(abi.ExportInitialize) != nil {
		return nil
	}
	return []*LoadError{loadError(ErrExport, nil, "%q is exported, and %q is not: it was built as a program, and nothing of it would be "+
		"initialised; build it as a library (a reactor), with %s", exportStart, abi.ExportInitialize, howToReactor(m))}
}
