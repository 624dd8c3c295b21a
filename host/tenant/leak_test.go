package tenant_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// holdings is what a process has of what must not grow.
type holdings struct {
	heap                          uint64
	resident                      int64
	goroutines, mappings, handles int
}

func holdingsNow(t *testing.T) (h holdings) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.heap, h.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	if runtime.GOOS == "linux" {
		h.mappings = strings.Count(string(readFile(t, "/proc/self/maps")), "\n")
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		h.handles = len(entries)
		fields := strings.Fields(string(readFile(t, "/proc/self/statm")))
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		h.resident = pages * int64(os.Getpagesize())
	}
	return h
}

func (h holdings) String() string {
	return fmt.Sprintf("heap %.1f MiB, resident %.1f MiB, %d goroutines, %d mappings, %d handles",
		float64(h.heap)/(1<<20), float64(h.resident)/(1<<20), h.goroutines, h.mappings, h.handles)
}

// Deploys, replacements and removals leave nothing behind. WADDLE_TENANT_CYCLES makes more
// of them.
func TestNothingIsLeftBehind(t *testing.T) {
	cycles := 600
	if n, err := strconv.Atoi(os.Getenv("WADDLE_TENANT_CYCLES")); err == nil {
		cycles = n
	}
	host := plugin.NewHost(plugin.HostConfig{})
	defer host.Close(ctx)
	h, told := newHost(t, tenant.HostConfig{Plugins: host, Dir: t.TempDir()})
	// The modules stay compiled as long as these have them.
	guests := [][]byte{guest(t, "c"), guest(t, "rust")}
	for i, wasm := range guests {
		deploy(t, h, tenant.Manifest{Name: fmt.Sprint("keeps-", i), Plugin: source(wasm)})
	}
	work := func(n int) {
		var wait sync.WaitGroup
		var done atomic.Int64
		for g := range 4 {
			wait.Go(func() {
				for done.Add(3) <= int64(n) {
					i := int(done.Load())
					name := fmt.Sprintf("tenant-%d-%d", g, i)
					m := tenant.Manifest{Name: name, Hosts: []string{name + ".localhost"}, Plugin: source(guests[i%2]), Persist: i%16 == 0}
					made, err := h.Deploy(ctx, m)
					if err == nil {
						now := store.At(time.Now())
						err = made.Store().Set(ctx, store.Write{Key: []byte("k"), Value: value(1), Now: now, Expires: now + 3_600_000})
					}
					m.Plugin = source(guests[(i+1)%2])
					if i%64 == 1 {
						m.Plugin = source([]byte("not a plugin"))
					}
					if err == nil {
						if _, err = h.Deploy(ctx, m); i%64 == 1 && err != nil {
							err = nil
						}
					}
					if err == nil {
						_, err = made.Store().Get(ctx, []byte("k"), store.At(time.Now()))
					}
					if err == nil {
						err = h.Purge(ctx, name)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wait.Wait()
	}
	settled := func() holdings {
		require.Eventually(t, func() bool { return h.Stats().Modules == 2 }, minute, tick)
		time.Sleep(50 * time.Millisecond)
		told.forget()
		return holdingsNow(t)
	}
	work(min(cycles/2, 3000))
	before := settled()
	began := time.Now()
	work(cycles)
	after := settled()
	t.Logf("before: %v", before)
	t.Logf("after %d in %v: %v", cycles, time.Since(began).Round(time.Millisecond), after)
	require.LessOrEqual(t, after.goroutines, before.goroutines+8)
	require.LessOrEqual(t, after.mappings, before.mappings+40)
	require.LessOrEqual(t, after.handles, before.handles+8)
	require.LessOrEqual(t, after.heap, before.heap+4<<20)
	stats := h.Stats()
	require.Equal(t, 2, stats.Tenants)
	require.Equal(t, 2, stats.Plugins.Plugins)

	require.NoError(t, h.Close(ctx))
	end := host.Stats()
	require.Zero(t, end.Memory.Used)
	require.Zero(t, end.Handles.Used)
	require.Zero(t, end.AddressSpace.Used)
	require.Zero(t, end.Tasks)
	require.Zero(t, end.Modules)
	require.Zero(t, end.Mappings.Used)
}
