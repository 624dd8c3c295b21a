package plugin

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkersOfTheCompiler(t *testing.T) {
	cores := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(cores)
	ours, others := Embedded{Unpack: func() ([]byte, error) { return nil, nil }}, given(nil)
	workers := func(config HostConfig, module Embedded, prepare func(h *Host)) int {
		h := NewHost(config)
		if prepare != nil {
			prepare(h)
		}
		leave, err := h.queue.enter(context.Background(), 1)
		require.NoError(t, err)
		defer leave()
		return h.workers(module)
	}
	require.Equal(t, 4, workers(HostConfig{}, ours, nil))
	require.Equal(t, 1, workers(HostConfig{}, others, nil), "the compiler may panic on it")
	require.Equal(t, 4, workers(HostConfig{Compiling: -1}, ours, nil))
	require.Equal(t, 3, workers(HostConfig{Compiling: 3}, ours, nil))
	require.Equal(t, 4, workers(HostConfig{Compiling: 8}, ours, nil))
	require.Equal(t, 1, workers(HostConfig{}, ours, func(h *Host) { require.NoError(t, h.enter(new(Plugin))) }), "somebody is served")
	require.Equal(t, 1, workers(HostConfig{}, ours, func(h *Host) { _, _ = h.queue.enter(context.Background(), 1) }), "another one is compiled")
}

// TestManyWorkersMakeTheSameCode: what a directory keeps does not depend on who has compiled it.
func TestManyWorkersMakeTheSameCode(t *testing.T) {
	if bestRuntime() != runtimeCompiler {
		t.Skip("the interpreter keeps nothing")
	}
	cores := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(cores)
	wasm, err := os.ReadFile("testdata/store.wasm")
	require.NoError(t, err)
	module := Embedded{Sum: sha256.Sum256(wasm), Unpack: func() ([]byte, error) { return wasm, nil }}
	var kept [][]byte
	for _, compiling := range []int{1, 4} {
		dir := filepath.Join(t.TempDir(), "cache")
		h := NewHost(HostConfig{Compiling: compiling})
		p, err := OpenEmbedded(context.Background(), module, Config{Host: h, CacheDir: dir, Trusted: true, Shards: 1})
		require.NoError(t, err)
		require.NoError(t, p.Close(context.Background()))
		require.NoError(t, h.Close(context.Background()))
		files, err := filepath.Glob(filepath.Join(dir, "*", "wazero-*", "*"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		code, err := os.ReadFile(files[0])
		require.NoError(t, err)
		kept = append(kept, code)
	}
	require.Equal(t, kept[0], kept[1])
}
