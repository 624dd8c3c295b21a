package plugin

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// A guest that is chosen to be counted may fail and be made anew before it is: the host then looks
// at one that is gone.
func TestASharedGuestFailsBeforeItIsCounted(t *testing.T) {
	wasm, err := os.ReadFile("testdata/shares.wasm")
	require.NoError(t, err)
	ctx, key, now := context.Background(), []byte("key"), time.Now()
	h := NewHost(HostConfig{})
	defer h.Close(ctx)
	p, err := Open(ctx, wasm, Config{Host: h, Shared: true, Shards: 1, MemoryLimit: 1 << 20, NoCache: true, SweepInterval: -1,
		GuestConfig: map[string]string{"filler": strings.Repeat("x", 80)},
		Logger:      slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	require.NoError(t, err)
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
