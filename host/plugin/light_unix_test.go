//go:build linux || darwin

package plugin_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// An instance takes little of the Go heap beside its memory, which is not there, and
// bringing it up allocates little more. The bounds are about twice what was measured.
func TestInstancesAreLight(t *testing.T) {
	if raced {
		t.Skip("the race detector takes memory of its own")
	}
	for name, c := range map[string]struct {
		file                      string
		heap, objects             uint64 // that an instance keeps
		allocated, allocatedTimes uint64 // until it has answered a first call
	}{
		"the memory engine, in Go": {"../engines/memory/memory.wasm.gz", 220 << 10, 3000, 320 << 10, 9000},
		"a guest in C":             {"../../examples/guests/c/store.wasm", 28 << 10, 60, 40 << 10, 130},
	} {
		for trust, trusted := range map[string]bool{"trusted": true, "untrusted": false} {
			t.Run(name+", "+trust, func(t *testing.T) {
				config := quiet()
				config.Trusted, config.Shards = trusted, 1
				module, err := plugin.DefaultHost().Compile(ctx, guestFile(t, c.file), config)
				require.NoError(t, err)
				defer module.Close()
				compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)

				const many = 20
				plugins := make([]*plugin.Plugin, many)
				for i := range plugins {
					plugins[i], err = module.Open(ctx, config)
					require.NoError(t, err)
					defer plugins[i].Close(ctx)
				}
				before := heapNow()
				for _, p := range plugins {
					_, err := p.Get(ctx, key, 1)
					require.ErrorIs(t, err, store.ErrNotFound)
				}
				var during runtime.MemStats
				runtime.ReadMemStats(&during)
				after := heapNow()
				heap := (after.HeapAlloc - before.HeapAlloc) / many
				objects := (after.HeapObjects - before.HeapObjects) / many
				allocated := (during.TotalAlloc - before.TotalAlloc) / many
				times := (during.Mallocs - before.Mallocs) / many
				t.Logf("an instance keeps %d bytes in %d objects; %d bytes in %d were allocated", heap, objects, allocated, times)
				require.LessOrEqual(t, heap, c.heap)
				require.LessOrEqual(t, objects, c.objects)
				require.LessOrEqual(t, allocated, c.allocated)
				require.LessOrEqual(t, times, c.allocatedTimes)
			})
		}
	}
}

// heapNow is what the heap holds when nothing is left to collect.
func heapNow() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// guestFile reads a module that may be packed.
func guestFile(t testing.TB, name string) []byte {
	wasm, err := os.ReadFile(name)
	require.NoError(t, err)
	if !bytes.HasPrefix(wasm, []byte("\x1f\x8b")) {
		return wasm
	}
	z, err := gzip.NewReader(bytes.NewReader(wasm))
	require.NoError(t, err)
	wasm, err = io.ReadAll(z)
	require.NoError(t, err)
	return wasm
}
