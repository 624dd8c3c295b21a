package plugin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// producers returns the custom section in which toolchains name themselves.
func producers(pairs ...string) []byte {
	fields := []string{}
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, text(pairs[i])+vector(text(pairs[i+1])+text("1.0")))
	}
	return section(0, text("producers")+vector(fields...))
}

// asProgram returns a complete guest that begins at _start.
func asProgram(t testing.TB) *specModule {
	m := specGuest(t)
	m.without(abi.ExportInitialize)
	m.exports = append(m.exports, specFunction{name: "_start"})
	return m
}

func TestProgramIsRefused(t *testing.T) {
	const (
		goFlag, tinygo, rust = "go build -buildmode=c-shared", "tinygo build -target=wasip1 -buildmode=c-shared", "cdylib"
		zig, as, clang       = "-fno-entry", "--exportStart _initialize", "-mexec-model=reactor"
	)
	all := []string{goFlag, tinygo, rust, zig, as, clang}
	for _, c := range []struct {
		says []string // of the producers section
		want []string // the flags that the reason names, and no others
	}{
		{nil, all},
		{[]string{"language", "Go", "processed-by", "Go cmd/compile"}, []string{goFlag}},
		{[]string{"language", "C99", "processed-by", "Debian clang"}, []string{clang}},
		{[]string{"language", "C_plus_plus_14", "processed-by", "clang"}, []string{clang}},
		{[]string{"language", "Rust", "processed-by", "rustc"}, []string{rust}},
		{[]string{"processed-by", "TinyGo version 0.39"}, []string{tinygo}},
		{[]string{"processed-by", "zig"}, []string{zig}},
		{[]string{"processed-by", "AssemblyScript"}, []string{as}},
		{[]string{"processed-by", "mystery"}, all},
	} {
		wasm := asProgram(t).bytes()
		if c.says != nil {
			wasm = append(wasm, producers(c.says...)...)
		}
		_, err := plugin.Open(ctx, wasm, specConfigOf(nil))
		require.ErrorIs(t, err, plugin.ErrExport, c.says)
		require.ErrorContains(t, err, "built as a program")
		for _, flag := range all {
			named := false
			for _, w := range c.want {
				named = named || w == flag
			}
			if flag == goFlag && len(c.want) == 1 && c.want[0] == tinygo {
				continue // it has the words of Go's
			}
			if named {
				require.ErrorContains(t, err, flag, c.says)
			} else {
				require.NotContains(t, err.Error(), flag, c.says)
			}
		}
	}
	// A malformed section makes no difference.
	for _, bad := range []string{"\xff\xff\xff\xff\x0f", "\x01\x08language", "\x01\x08language\xff\x01\x02Go", "\x02\x01\xff"} {
		_, err := plugin.Open(ctx, append(specGuest(t).bytes(), section(0, text("producers")+bad)...), specConfigOf(nil))
		require.NoError(t, err)
	}

	both := specGuest(t)
	both.exports = append(both.exports, specFunction{name: "_start"})
	open(t, both.bytes(), specConfigOf(nil))
	neither := specGuest(t)
	neither.without(abi.ExportInitialize)
	open(t, neither.bytes(), specConfigOf(nil))
}

// The toolchains themselves build a guest without the flag, and with it.
func TestProgramsOfToolchains(t *testing.T) {
	t.Run("Go", func(t *testing.T) {
		_, err := plugin.Validate(buildGuest(t, "testdata/goguest", "-buildmode=default"))
		require.ErrorIs(t, err, plugin.ErrExport)
		require.ErrorContains(t, err, "Go: go build -buildmode=c-shared")
		require.NotContains(t, err.Error(), "clang")
		_, err = plugin.Validate(buildGuest(t, "testdata/goguest"))
		require.NoError(t, err)
	})
	t.Run("C", func(t *testing.T) {
		clang, err := exec.LookPath("clang-19")
		if err != nil {
			t.Skip("there is no clang-19 to build the guest with")
		}
		dir := t.TempDir()
		const source = `#include <stdint.h>
#include <stdio.h>
#define EXPORT(name) __attribute__((export_name(#name)))
static char buffer[65536];
EXPORT(session_abi_v1) void marker(void) {}
EXPORT(session_alloc) int32_t alloc(int32_t n) { return n <= (int32_t)sizeof buffer ? (int32_t)buffer : 0; }
EXPORT(session_open) int64_t open_(int32_t a, int32_t b) { puts("open"); return 0; }
EXPORT(session_get) int64_t get(int32_t a, int32_t b, int64_t now) { return -1; }
EXPORT(session_set) int64_t set(int32_t a, int32_t b, int32_t c, int32_t d, int64_t e, int64_t now, int64_t x) { return 0; }
EXPORT(session_delete) int64_t del(int32_t a, int32_t b, int64_t now) { return 0; }
EXPORT(session_clear) int64_t clear(int64_t now) { return 0; }
EXPORT(session_save) int64_t save(int64_t now) { return 0; }
int main(void) { return 0; }
`
		require.NoError(t, os.WriteFile(filepath.Join(dir, "guest.c"), []byte(source), 0o600))
		build := func(flags ...string) []byte {
			command := exec.Command(clang, append(flags, "--target=wasm32-wasi", "-o", "guest.wasm", "guest.c")...)
			command.Dir = dir
			if out, err := command.CombinedOutput(); err != nil {
				t.Skipf("clang-19 cannot build it, which needs lld-19, wasi-libc and libclang-rt-19-dev-wasm32: %s", out)
			}
			wasm, err := os.ReadFile(filepath.Join(dir, "guest.wasm"))
			require.NoError(t, err)
			return wasm
		}
		_, err = plugin.Validate(build())
		require.ErrorIs(t, err, plugin.ErrExport)
		require.ErrorContains(t, err, "C: clang -mexec-model=reactor")
		require.NotContains(t, err.Error(), "cdylib")
		open(t, build("-mexec-model=reactor"), quiet())
	})
}
