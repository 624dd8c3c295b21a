package plugintest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../plugin/testdata/*.wasm")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := make(map[string][]byte)
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		require.NoError(t, err)
		out[filepath.Base(file)] = wasm
	}
	return out
}

// TestPatch: if the host takes a module, it also takes it with something added,
// and nothing added gives the same module.
func TestPatch(t *testing.T) {
	tried := 0
	for name, wasm := range fixtures(t) {
		before, err := plugin.Validate(wasm)
		if err != nil {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			p, err := takeApart(wasm)
			require.NoError(t, err)
			after, err := plugin.Validate(p.bytes())
			require.NoError(t, err)
			require.Equal(t, before.Exports, after.Exports)
			require.Equal(t, before.Functions, after.Functions)

			passing, err := direct(wasm)
			require.NoError(t, err)
			after, err = plugin.Validate(passing)
			require.NoError(t, err)
			require.Nil(t, after.Export(abi.ExportDescribe))
			require.Equal(t, before.Functions+2, after.Functions, "session_get and session_set")
			for _, e := range before.Exports {
				if e.Name != abi.ExportDescribe {
					require.True(t, after.Export(e.Name).Signature.Equal(e.Signature), e.Name)
				}
			}

			changed, err := withBytes(wasm, []int{300, 400}, '_')
			require.NoError(t, err)
			_, err = plugin.Validate(changed)
			require.NoError(t, err)
		})
	}
	require.Greater(t, tried, 5)
}

// TestTold: a guest that is told is the same module with two functions and two globals
// more, and one that is not told has nothing to be changed.
func TestTold(t *testing.T) {
	wasm, err := os.ReadFile("testdata/mutants/wasm/base.wasm")
	require.NoError(t, err)
	before, err := plugin.Validate(wasm)
	require.NoError(t, err)
	changed, err := told(wasm)
	require.NoError(t, err)
	after, err := plugin.Validate(changed)
	require.NoError(t, err)
	require.Equal(t, before.Functions+2, after.Functions, "session_alloc and session_open")
	require.Equal(t, before.Globals+2, after.Globals)
	for _, e := range before.Exports {
		require.True(t, after.Export(e.Name).Signature.Equal(e.Signature), e.Name)
	}

	_, err = told(fixtures(t)["store.wasm"])
	require.ErrorIs(t, err, errPatch)
	require.ErrorContains(t, err, abi.ExportCopied)
}

// FuzzPatch: it ends whatever it is given, and a module that the host would
// read stays one.
func FuzzPatch(f *testing.F) {
	all := fixtures(f)
	for _, name := range []string{"tiny.wasm", "store.wasm", "import_wasi.wasm", "marker_missing.wasm"} {
		require.NotEmpty(f, all[name], name)
		f.Add(all[name])
	}
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if _, err := preflight.Parse(wasm, preflight.DefaultLimits()); err != nil {
			_, _ = takeApart(wasm)
			return
		}
		p, err := takeApart(wasm)
		if err != nil {
			return
		}
		if _, err := preflight.Parse(p.bytes(), preflight.DefaultLimits()); err != nil {
			t.Fatalf("taken apart and put together, it is refused: %v", err)
		}
		if copied, err := told(wasm); err == nil {
			if _, err := preflight.Parse(copied, preflight.DefaultLimits()); err != nil {
				t.Fatalf("told that it is a copy, it is refused: %v", err)
			}
		}
		if passing, err := direct(wasm); err == nil {
			if _, err := preflight.Parse(passing, preflight.DefaultLimits()); err != nil {
				t.Fatalf("with a function added, it is refused: %v", err)
			}
		}
	})
}
