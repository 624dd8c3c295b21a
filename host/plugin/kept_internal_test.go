package plugin

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// TestLending fails if another version of wazero does not do what [kept] relies on.
func TestLending(t *testing.T) {
	if bestRuntime() != runtimeCompiler {
		t.Skip("the interpreter keeps nothing")
	}
	require.NoError(t, new(codeWork).tryLendingIn(t.TempDir()))
}

// TestOnlyFoundDoesNotCompile: a module without bodies must never be compiled in place of the whole one.
func TestOnlyFoundDoesNotCompile(t *testing.T) {
	if bestRuntime() != runtimeCompiler {
		t.Skip("the interpreter keeps nothing")
	}
	dir := t.TempDir()
	for range 2 {
		cache, err := wazero.NewCompilationCacheWithDir(dir)
		require.NoError(t, err)
		r := wazero.NewRuntimeWithConfig(context.Background(), runtimeConfig(runtimeCompiler).WithCompilationCache(cache))
		_, err = r.CompileModule(onlyFound(context.Background()), []byte(probe))
		require.ErrorIs(t, err, errNoCode)
		require.NoError(t, r.Close(context.Background()))
		require.NoError(t, cache.Close(context.Background()))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, found)
}

// What is kept of a guest says the same as the guest does.
func TestKeptIsWhatWasFound(t *testing.T) {
	names, err := filepath.Glob("testdata/*.wasm")
	require.NoError(t, err)
	kinds := 0
	for _, name := range names {
		wasm, err := os.ReadFile(name)
		require.NoError(t, err)
		outline, err := Validate(wasm)
		if err != nil {
			continue
		}
		kinds++
		rewritten, report, err := rewrite.Module(wasm, (&resolved{}).rewriting())
		require.NoError(t, err)
		thin, err := withoutBodies(rewritten, false)
		require.NoError(t, err)
		b, err := (&kept{Outline: outline, Report: *report, thin: thin}).append(nil)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "module")
		require.NoError(t, os.WriteFile(file, b, 0o600))
		k := readKept(file)
		require.NotNil(t, k)
		require.Equal(t, *report, k.Report)
		require.Equal(t, thin, k.thin)
		require.Empty(t, checkOutline(k.Outline, builtinPermissions()))
		for _, interpreted := range []bool{true, false} {
			require.Equal(t, outline.InstanceSize(interpreted), k.Outline.InstanceSize(interpreted))
		}
		// The rest of an outline is what reading it needed.
		require.Equal(t, outline.Imports, k.Outline.Imports)
		require.Equal(t, outline.Exports, k.Outline.Exports)
		require.Equal(t, outline.Sections, k.Outline.Sections)
		require.Equal(t, outline.Memory, k.Outline.Memory)
		require.Equal(t, outline.Table, k.Outline.Table)
		require.Equal(t, outline.Largest, k.Outline.Largest)
		require.Equal(t, outline.ExportsRead(), k.Outline.ExportsRead())
		again, err := k.Outline.Keep()
		require.NoError(t, err)
		first, err := outline.Keep()
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
	require.Greater(t, kinds, 20)
}

// A file that is not what was written is not believed. Its checksum tells before; this is for a wrong one.
func TestKeptThatIsDamaged(t *testing.T) {
	wasm, err := os.ReadFile("testdata/store.wasm")
	require.NoError(t, err)
	outline, err := Validate(wasm)
	require.NoError(t, err)
	whole, err := (&kept{Outline: outline, thin: []byte(probe)}).append(nil)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "module")
	require.Nil(t, readKept(file))
	said := int(binary.LittleEndian.Uint64(whole))
	for n := range 8 + said {
		require.NoError(t, os.WriteFile(file, whole[:n], 0o600))
		require.Nil(t, readKept(file), n)
	}
	for _, b := range [][]byte{
		append([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), whole[8:]...),
		append([]byte("\x04\x00\x00\x00\x00\x00\x00\x00"), whole[8:]...),
		append([]byte("\x02\x00\x00\x00\x00\x00\x00\x00"), "{}"...),
		append([]byte("\x04\x00\x00\x00\x00\x00\x00\x00"), "null"...),
	} {
		require.NoError(t, os.WriteFile(file, b, 0o600))
		require.Nil(t, readKept(file))
	}
}
