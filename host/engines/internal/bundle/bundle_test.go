package bundle_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
)

func TestPackedModuleHasItsSum(t *testing.T) {
	wasm := bytes.Repeat([]byte("\x00asm"), 100_000)
	packed, err := bundle.Pack(wasm)
	require.NoError(t, err)
	m, err := bundle.Module(packed)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(wasm), m.Sum)
	unpacked, err := m.Unpack()
	require.NoError(t, err)
	require.Equal(t, wasm, unpacked)

	var without bytes.Buffer
	w := gzip.NewWriter(&without)
	_, err = w.Write(wasm)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	m, err = bundle.Module(without.Bytes())
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(wasm), m.Sum, "by whatever it was packed")
}

func TestDamagedModule(t *testing.T) {
	packed, err := bundle.Pack(bytes.Repeat([]byte("wasm"), 1000))
	require.NoError(t, err)
	for name, damage := range map[string]func(b []byte) []byte{
		"nothing":       func([]byte) []byte { return nil },
		"no header":     func(b []byte) []byte { return b[1:] },
		"cut short":     func(b []byte) []byte { return b[:len(b)/2] },
		"a wrong sum":   func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
		"a wrong size":  func(b []byte) []byte { b[len(b)-1] ^= 0x7f; return b },
		"a bit in it":   func(b []byte) []byte { b[len(b)-12] ^= 1; return b },
		"without a sum": func(b []byte) []byte { return b[:len(b)-8] },
	} {
		_, err := bundle.Unpack(damage(bytes.Clone(packed)))
		require.ErrorContains(t, err, "the embedded module is damaged", name)
	}
	_, err = bundle.Module([]byte("no gzip"))
	require.ErrorContains(t, err, "the embedded module is damaged")
}

// TestEnginesHaveTheirSums: without it each start decompresses the engine.
func TestEnginesHaveTheirSums(t *testing.T) {
	names, err := filepath.Glob("../../*/*.wasm.gz")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		packed, err := os.ReadFile(name)
		require.NoError(t, err)
		r, err := gzip.NewReader(bytes.NewReader(packed))
		require.NoError(t, err)
		wasm, err := bundle.Unpack(packed)
		require.NoError(t, err)
		sum := sha256.Sum256(wasm)
		require.Equal(t, sum[:], r.Extra, "%s: run `make engines` and commit the result", name)
	}
}
