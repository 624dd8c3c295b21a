package plugin

import (
	"errors"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// toolchains are the known ones. says are words of the producers section by which a
// module names its toolchain, in lower case.
var toolchains = []struct {
	name string
	says []string
}{
	{"TinyGo", []string{"tinygo"}},
	{"Go", []string{"go cmd/compile", "go"}},
	{"Rust", []string{"rust", "rustc"}},
	{"Zig", []string{"zig"}},
	{"AssemblyScript", []string{"assemblyscript"}},
	{"C", []string{"clang", "c", "c99", "c11", "c17", "c++"}},
}

// toolchainOf returns the toolchain that a module names, "" for none.
func toolchainOf(m *preflight.Module) string {
	for _, t := range toolchains {
		for _, p := range m.Producers {
			name := strings.ToLower(p.Name)
			for _, word := range t.says {
				// Like "rustc", "Debian clang", "C_plus_plus_14": the whole name, its last
				// word, or the part before an underscore.
				_, last, _ := strings.Cut(name, " ")
				first, _, _ := strings.Cut(name, "_")
				if name == word || last == word || first == word || t.name == "TinyGo" && strings.Contains(name, word) {
					return t.name
				}
			}
		}
	}
	return ""
}

// flag is an option of a toolchain.
type flag struct{ toolchain, flag string }

// flagsFor returns the flags of the toolchain that made a module, or all flags if the
// module does not name its toolchain.
func flagsFor(m *preflight.Module, flags []flag) string {
	toolchain := toolchainOf(m)
	// Zig's modules name the language C, for parts of Zig's library, and no compiler.
	maybeZig := toolchain == "C" && !slices.ContainsFunc(m.Producers, func(p preflight.Producer) bool { return p.Field == "processed-by" })
	var its, all []string
	for _, f := range flags {
		text := f.toolchain + ": " + f.flag
		if f.toolchain == toolchain || f.toolchain == "Zig" && maybeZig {
			its = append(its, text)
		}
		all = append(all, text)
	}
	if len(its) > 0 {
		all = its
	}
	return strings.Join(all, "; ")
}

// remedies say how to build without a refused feature, by words in the reason for the
// refusal.
var remedies = []struct {
	says  string
	flags []flag
}{
	{"reference types", []flag{
		{"C", "-mno-reference-types"}, {"Rust", "-C target-feature=-reference-types"}, {"Zig", "-mcpu=generic-reference_types"},
		{"AssemblyScript", "without asc --enable reference-types"}}},
	{"exceptions", []flag{
		{"C", "-fno-exceptions, without -fwasm-exceptions"}, {"Rust", "-C panic=abort"}, {"Zig", "-mcpu=generic-exception_handling"},
		{"AssemblyScript", "without asc --enable exception-handling"}}},
	{"tail calls", []flag{
		{"C", "-mno-tail-call"}, {"Rust", "-C target-feature=-tail-call"}, {"Zig", "-mcpu=generic-tail_call"}}},
	{"relaxed SIMD", []flag{
		{"C", "-mno-relaxed-simd"}, {"Rust", "-C target-feature=-relaxed-simd"}, {"Zig", "-mcpu=generic-relaxed_simd"},
		{"AssemblyScript", "without asc --enable relaxed-simd"}}},
	{"threads", threads},
	{"a shared ", threads},
	{"extended constant", []flag{
		{"C", "-mno-extended-const, without -fPIC"}, {"Rust", "-C target-feature=-extended-const -C relocation-model=static"},
		{"Zig", "-mcpu=generic-extended_const"}}},
	{"a 64-bit ", []flag{
		{"C", "--target=wasm32-wasi"}, {"Rust", "--target wasm32-unknown-unknown"}, {"Zig", "-target wasm32-freestanding"}}},
	{"the import of a memory", []flag{
		{"C", "without -Wl,--import-memory"}, {"Rust", "without -C link-arg=--import-memory"}, {"Zig", "without --import-memory"},
		{"AssemblyScript", "without asc --importMemory"}}},
	{"the import of a table", []flag{
		{"C", "without -Wl,--import-table"}, {"Rust", "without -C link-arg=--import-table"}, {"Zig", "without --import-table"},
		{"AssemblyScript", "without asc --importTable"}}},
	{`"env"."abort"`, []flag{{"AssemblyScript", "asc --use abort="}}},
	{`"env"."`, []flag{
		{"C", "define it, and link without -Wl,--allow-undefined"}, {"Rust", `define it: it is in an extern "C" block`},
		{"Zig", "define it: it is extern"}, {"AssemblyScript", "define it: it is declared, or @external"}}},
	{`"gojs"."`, []flag{{"Go", "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"}}},
	{`"__wbindgen_placeholder__"."`, []flag{{"Rust", "without wasm-bindgen, whose functions are those of a browser"}}},
	{`"wasi_unstable"."`, []flag{{"C", "a newer wasi-libc: this is WASI before its preview 1"}, {"Rust", "--target wasm32-unknown-unknown or wasm32-wasip1"}}},
}

var threads = []flag{
	{"C", "-mno-atomics, without -pthread"}, {"Rust", "-C target-feature=-atomics"}, {"Zig", "-fsingle-threaded -mcpu=generic-atomics"},
	{"AssemblyScript", "without asc --enable threads and --sharedMemory"},
}

// advise adds to the reasons of a refusal how to build without the feature.
func advise(m *preflight.Module, why []*LoadError) {
	for _, e := range why {
		if !errors.Is(e.Kind, ErrFeature) && !errors.Is(e.Kind, ErrImport) {
			continue
		}
		for _, r := range remedies {
			if strings.Contains(e.Detail, r.says) {
				e.Detail += "; what helps: " + flagsFor(m, r.flags)
				break
			}
		}
	}
}
