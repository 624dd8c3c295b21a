package tenant_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// A tenant that is idle falls asleep, and the next request wakes it, with its sessions.
func TestIdleTenantsSleep(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{SleepAfter: 20 * time.Millisecond})
	web := serve(t, h, nil, counter())
	made := deploy(t, h, named("alice"))
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	require.Eventually(t, func() bool { return made.Stats().State == tenant.StateAsleep }, minute, tick)
	require.Equal(t, 1, h.Stats().States[tenant.StateAsleep])
	// It is noticed a moment later.
	var seen []tenant.EventKind
	require.Eventually(t, func() bool {
		seen = append(seen, told.kinds("alice")...)
		return len(seen) > 0 && seen[len(seen)-1] == tenant.EventAsleep
	}, minute, tick)
	require.Equal(t, []tenant.EventKind{tenant.EventDeployed, tenant.EventAsleep}, seen)
	v.ok(t, "alice.localhost", "/", "alice 2")
	require.Equal(t, []tenant.EventKind{tenant.EventAwake}, told.kinds("alice"))
}

func TestSleep(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{SleepAfter: -1})
	web := serve(t, h, nil, counter())
	made := deploy(t, h, named("alice"))
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	awake := made.Stats().Memory
	require.NoError(t, made.Sleep(ctx))
	require.Less(t, made.Stats().Memory, awake)
	require.Equal(t, tenant.StateAsleep, made.Stats().State)
	v.ok(t, "alice.localhost", "/", "alice 2")
	require.Equal(t, []tenant.EventKind{tenant.EventDeployed, tenant.EventAsleep, tenant.EventAwake}, told.kinds("alice"))

	// One that sleeps is replaced with its sessions, and removed.
	require.NoError(t, made.Sleep(ctx))
	m := named("alice")
	m.Plugin = source(guest(t, "rust"))
	deploy(t, h, m)
	v.ok(t, "alice.localhost", "/", "alice 3")
	require.NoError(t, made.Sleep(ctx))
	require.NoError(t, h.Remove(ctx, "alice"))
	require.ErrorIs(t, made.Sleep(ctx), store.ErrClosed)
}

// A guest that fails on each call is started again after pauses that grow. It is shown with
// its reason, and its neighbour notices nothing.
func TestCrashLoop(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	deploy(t, h, named("alice"))
	m := tenant.Manifest{Name: "mallory", Hosts: []string{"mallory.localhost"}, Plugin: source(readFile(t, "testdata/moody.wasm"))}
	mallory := deploy(t, h, m)
	told.kinds("mallory")
	now := store.At(time.Now())
	for range 20 {
		_, err := mallory.Store().Get(ctx, []byte("trap"), now)
		require.ErrorIs(t, err, store.ErrUnavailable)
	}
	kinds := told.kinds("mallory")
	require.Contains(t, kinds, tenant.EventCrashed)
	require.Contains(t, kinds, tenant.EventBackoff)
	stats := mallory.Stats()
	require.Equal(t, tenant.StateBackoff, stats.State)
	require.Contains(t, stats.Reason, "trap")
	require.Positive(t, stats.RetryAfter)
	require.Positive(t, stats.Errors["trap"])
	require.Positive(t, stats.Errors["backoff"])
	require.Equal(t, uint64(20), stats.Errors["trap"]+stats.Errors["backoff"])
	require.Equal(t, 1, h.Stats().States[tenant.StateBackoff])
	require.Equal(t, 1, h.Stats().States[tenant.StateServing])
	web.visitor().ok(t, "alice.localhost", "/", "alice 1")

	// It serves again, and says so.
	require.Eventually(t, func() bool {
		_, err := mallory.Store().Get(ctx, []byte("k"), store.At(time.Now()))
		return err == nil || isKind(err, store.ErrNotFound)
	}, minute, tick)
	require.Equal(t, tenant.StateServing, mallory.Stats().State)
}

// Deploys of different names run side by side, those of one name one after the other.
func TestDeploysSideBySide(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	var wait sync.WaitGroup
	for g := range 16 {
		wait.Go(func() {
			m := named([]string{"alice", "bob", "carol", "dave"}[g%4])
			m.Limits.Fuel = plugin.DefaultFuel - int64(g)
			_, err := h.Deploy(ctx, m)
			if err != nil {
				t.Error(err)
			}
			if g >= 12 {
				if err := h.Remove(ctx, m.Name); err != nil && !isKind(err, tenant.ErrUnknown) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	require.Equal(t, len(h.Tenants()), h.Stats().Plugins.Plugins)
	require.LessOrEqual(t, h.Stats().Modules, 1, "equal bytes have one module")
}

// Close ends deploys that run.
func TestCloseEndsDeploys(t *testing.T) {
	h, err := tenant.NewHost(tenant.HostConfig{Logger: discard, Events: func(tenant.Event) {}})
	require.NoError(t, err)
	var wait sync.WaitGroup
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		wait.Go(func() {
			for i := int64(1); ; i++ {
				m := named(name)
				m.Limits.Fuel = plugin.DefaultFuel - i
				if _, err := h.Deploy(ctx, m); err != nil {
					if !isKind(err, tenant.ErrClosed) {
						t.Errorf("%v", err)
					}
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	require.NoError(t, h.Close(ctx))
	wait.Wait()
	require.Empty(t, h.Tenants())
	require.Zero(t, h.Stats().Plugins.Plugins)
}

// A removal does not wait for ever for a request that does not end.
func TestRemoveIsBounded(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{Grace: 50 * time.Millisecond})
	inside, goOn := make(chan struct{}), make(chan struct{})
	web := serve(t, h, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-goOn
		counter().ServeHTTP(w, r)
	}))
	deploy(t, h, named("alice"))
	answered := make(chan int)
	go func() {
		status, _, _, _ := web.visitor().get("alice.localhost", "/")
		answered <- status
	}()
	<-inside
	require.NoError(t, h.Remove(ctx, "alice"))
	require.Zero(t, h.Stats().Plugins.Plugins)
	close(goOn)
	require.Equal(t, http.StatusServiceUnavailable, <-answered, "its store is closed")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, h.Remove(ended, "alice"), context.Canceled)
}

func TestStats(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	m := bundled("alice", "memory")
	made := deploy(t, h, m)
	v := web.visitor()
	for range 3 {
		_, _, _, err := v.get("alice.localhost", "/")
		require.NoError(t, err)
	}
	before := made.Stats()
	require.Equal(t, "alice", before.Name)
	require.Equal(t, tenant.StateServing, before.State)
	require.Equal(t, uint64(3), before.Requests)
	require.Equal(t, uint64(3), before.Calls["set"])
	require.Equal(t, before.Calls["set"]+before.Calls["get"], before.Latency.Count)
	require.Positive(t, before.Latency.Sum)
	require.GreaterOrEqual(t, before.Latency.Quantile(0.99), before.Latency.Quantile(0.5))
	require.Less(t, before.Latency.Quantile(0.99), time.Minute)
	require.Positive(t, before.Fuel)
	require.Positive(t, before.Memory)
	require.EqualValues(t, 1, before.Records)
	require.Empty(t, before.Errors)

	// A replacement starts no count again.
	m.Plugin = source(guest(t, "c"))
	deploy(t, h, m)
	after := made.Stats()
	require.GreaterOrEqual(t, after.Fuel, before.Fuel)
	require.Equal(t, before.Calls, after.Calls)
	require.Equal(t, uint64(2), after.Deploys)
	require.Equal(t, uint64(1), after.Replacements)
}

// A guest that could not be woken with its records stays awake.
func TestGuestThatCannotSleep(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{SleepAfter: time.Millisecond})
	m := named("alice")
	m.Plugin = source(without(t, guest(t, "c"), "session_snapshot"))
	made := deploy(t, h, m)
	now := store.At(time.Now())
	require.NoError(t, made.Store().Set(ctx, store.Write{Key: []byte("k"), Value: value(1), Now: now}))
	time.Sleep(50 * time.Millisecond)
	_, err := made.Store().Get(ctx, []byte("k"), now)
	require.NoError(t, err)
	if err := made.Sleep(ctx); err != nil {
		require.ErrorIs(t, err, store.ErrUnsupported)
	}
	_, err = made.Store().Get(ctx, []byte("k"), now)
	require.NoError(t, err)
}

// Tenants of a module that allows it share instances, and each has its own records. One that
// may have files has an instance of its own, and says why.
func TestTenantsShareInstances(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: plugins share instances on Linux")
	}
	h, _ := newHost(t, tenant.HostConfig{})
	now := store.At(time.Now())
	var tenants []*tenant.Tenant
	for i := range 100 {
		made := deploy(t, h, named(fmt.Sprint("tenant-", i)))
		require.True(t, made.Stats().Shared, made.Stats().NotShared)
		tenants = append(tenants, made)
		require.NoError(t, made.Store().Set(ctx, store.Write{Key: []byte("k"), Value: value(uint64(i)), Now: now}))
	}
	for i, made := range tenants {
		got, err := made.Store().Get(ctx, []byte("k"), now)
		require.NoError(t, err)
		require.Equal(t, value(uint64(i)), got)
	}
	h, _ = newHost(t, tenant.HostConfig{Dir: t.TempDir()})
	m := named("files")
	m.Mounts = []tenant.Mount{{Dir: "files"}}
	made := deploy(t, h, m)
	require.False(t, made.Stats().Shared)
	require.Contains(t, made.Stats().NotShared, "mounts")
}
