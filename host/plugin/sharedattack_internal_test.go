package plugin

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func openShares(t *testing.T, h *Host, now func() time.Time) *Plugin {
	wasm, err := os.ReadFile("testdata/shares.wasm")
	require.NoError(t, err)
	p, err := Open(t.Context(), wasm, Config{Host: h, Shared: true, Shards: 1, MemoryLimit: 1 << 20, NoCache: true, SweepInterval: -1, Now: now,
		GuestConfig: map[string]string{"filler": strings.Repeat("x", 80)}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return p
}

// A module has as many executors as calls of it are under way, and a few stay when the calls have
// ended. No guest loses anything by either.
func TestExecutorsComeAndGoWithCalls(t *testing.T) {
	const guests, rounds, wait, calls = 4 * fewExecutors, 20, 12, 44
	ctx, key := t.Context(), []byte("key")
	h := NewHost(HostConfig{})
	defer h.Close(ctx)
	all := make([]*Plugin, guests)
	for i := range all {
		all[i] = openShares(t, h, nil)
	}
	var most atomic.Int64
	errs := make([]error, guests)
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() {
			for range rounds {
				_, err := p.Get(ctx, key, wait)
				errs[i] = errors.Join(errs[i], err)
				most.Store(max(most.Load(), int64(p.machine.pool.count.Load())))
			}
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Greater(t, most.Load(), int64(2*fewExecutors))
	for i := range 3 * guests {
		value, err := all[i%guests].Get(ctx, key, 0)
		require.NoError(t, err)
		require.EqualValues(t, rounds+1+i/guests, binary.LittleEndian.Uint32(value[calls:]))
	}
	require.LessOrEqual(t, h.Stats().Shared.Executors, fewExecutors+1)
}

// A guest that is chosen to be counted may fail and be made anew before it is: the host then looks
// at one that is gone.
func TestASharedGuestFailsBeforeItIsCounted(t *testing.T) {
	ctx, key, now := t.Context(), []byte("key"), time.Now()
	h := NewHost(HostConfig{})
	defer h.Close(ctx)
	p := openShares(t, h, func() time.Time { return now })
	get := func(act store.Millis) error { _, err := p.Get(ctx, key, act); return err }
	require.NoError(t, get(0))
	idle := p.machine.idle
	p.machine.idle = func(shard int, f func()) {
		require.ErrorIs(t, get(1), ErrTrap)
		now = now.Add(time.Minute)
		require.NoError(t, get(0))
		idle(shard, f)
	}
	require.NotPanics(t, func() { h.seats.count(func() bool { return false }) })
	require.NoError(t, get(0))
	require.NoError(t, p.Close(ctx))
	require.Zero(t, h.Stats().Memory.Used)
}
