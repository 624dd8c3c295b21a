package plugin_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// sections makes a module of sections, each with its number in front.
func sections(all ...string) []byte {
	var each [][]byte
	for _, s := range all {
		each = append(each, section(s[0], s[1:]))
	}
	return module(each...)
}

// producer is a toolchain's entry about itself.
func producer(name string) string {
	return "\x00\x09producers\x01\x0cprocessed-by\x01" + string(rune(len(name))) + name + "\x011"
}

// A refusal that the toolchain caused says which flag helps: that of the toolchain, if
// the module names it, and else those of all.
func TestRefusalsNameTheFlag(t *testing.T) {
	const types = "\x01\x01\x60\x00\x00"
	body := func(code string) []string {
		return []string{types, "\x03\x01\x00", "\x0a\x01" + string(rune(len(code)+2)) + "\x00" + code + "\x0b"}
	}
	function := func(module, name string) []string {
		return []string{types, "\x02\x01" + string(rune(len(module))) + module + string(rune(len(name))) + name + "\x00\x00"}
	}
	for _, c := range []struct {
		name     string
		sections []string
		c        string // the flags for clang; those of all toolchains if empty
		others   []string
	}{
		{"reference types", []string{"\x01\x01\x60\x01\x6f\x00"}, "-mno-reference-types", []string{"-C target-feature=-reference-types", "asc --enable reference-types", "-mcpu=generic-reference_types"}},
		{"reference types in code", body("\xd0\x70\x1a"), "-mno-reference-types", nil},
		{"table operations", body("\xfc\x10\x00\x1a"), "-mno-reference-types", nil},
		{"exceptions", body("\x06\x40\x0b"), "-fno-exceptions", []string{"-C panic=abort"}},
		{"tail calls", body("\x12\x00"), "-mno-tail-call", []string{"-C target-feature=-tail-call"}},
		{"relaxed SIMD", body("\xfd\x80\x02"), "-mno-relaxed-simd", []string{"asc --enable relaxed-simd"}},
		{"atomics", body("\xfe\x03\x00"), "-mno-atomics", []string{"--sharedMemory"}},
		{"a shared memory", []string{"\x05\x01\x03\x01\x02"}, "-pthread", []string{"--sharedMemory"}},
		{"a wide memory", []string{"\x05\x01\x04\x01"}, "--target=wasm32-wasi", []string{"--target wasm32-unknown-unknown"}},
		{"extended constants", []string{"\x06\x01\x7f\x00\x41\x00\x41\x01\x6a\x0b"}, "-mno-extended-const", []string{"relocation-model=static"}},
		{"an imported memory", []string{"\x02\x01\x03env\x06memory\x02\x00\x01"}, "-Wl,--import-memory", []string{"--importMemory"}},
		{"an imported table", []string{"\x02\x01\x03env\x05table\x01\x70\x00\x01"}, "-Wl,--import-table", []string{"--importTable"}},
		{"abort", function("env", "abort"), "", []string{"AssemblyScript: asc --use abort="}},
		{"an undefined function", function("env", "puts"), "--allow-undefined", []string{`extern "C"`}},
		{"a browser", function("gojs", "runtime.ticks"), "", []string{"GOOS=wasip1"}},
		{"wasm-bindgen", function("__wbindgen_placeholder__", "x"), "", []string{"wasm-bindgen"}},
		{"old WASI", function("wasi_unstable", "fd_write"), "wasi-libc", []string{"wasm32-wasip1"}},
		{"a program", []string{types, "\x03\x01\x00", "\x07\x01\x06_start\x00\x00", "\x0a\x01\x02\x00\x0b"}, "-mexec-model=reactor", []string{"--exportStart _initialize", "-buildmode=c-shared"}},
		{"a start section", []string{types, "\x03\x01\x00", "\x08\x00", "\x0a\x01\x02\x00\x0b"}, "", []string{"asc --exportStart _initialize"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := func(wasm []byte) (all string) {
				_, why := plugin.ValidateAll(wasm)
				for _, e := range why {
					all += e.Detail + "\n"
				}
				return all
			}
			unknown := text(sections(c.sections...))
			require.Contains(t, unknown, c.c)
			for _, says := range c.others {
				require.Contains(t, unknown, says)
			}
			if c.c == "" {
				return
			}
			zig := text(sections(append([]string{"\x00\x09producers\x01\x08language\x01\x03C99\x00"}, c.sections...)...))
			require.Contains(t, zig, c.c)
			if strings.Contains(unknown, "Zig: ") {
				require.Contains(t, zig, "Zig: ", "whose modules say no more")
			}
			require.NotContains(t, zig, "AssemblyScript")
			known := text(sections(append([]string{producer("Debian clang")}, c.sections...)...))
			require.Contains(t, known, c.c)
			for _, says := range c.others {
				require.NotContains(t, known, says)
			}
		})
	}
}
