package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// The commands say which limits a module exceeded while they ran.
func TestLimitsFrom(t *testing.T) {
	wasm, err := os.ReadFile("../../plugin/testdata/limits.wasm")
	require.NoError(t, err)
	ctx := context.Background()
	host := plugin.NewHost(plugin.HostConfig{})
	defer host.Close(ctx)
	p, err := plugin.Open(ctx, wasm, plugin.Config{Host: host, NoCache: true, Shards: 1, MaxValue: 4096, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	large := func() {
		require.ErrorIs(t, p.Set(ctx, store.Write{Key: []byte("key"), Value: make([]byte, 5000), Now: 1}), store.ErrTooLarge)
	}
	result := func() {
		_, err := p.Get(ctx, []byte("key"), 2)
		require.ErrorIs(t, err, store.ErrOversized)
	}
	var out bytes.Buffer
	large()
	say, sayLess := limitsFrom(host, &out), limitsFrom(host, &out, plugin.LimitValue)
	say()
	require.Empty(t, out.String(), "nothing since then")
	large()
	large()
	sayLess()
	require.Empty(t, out.String())
	result()
	say()
	require.Equal(t, "waddle: limits that were exceeded, and how often: value 2, result 1\n", out.String())
	out.Reset()
	sayLess()
	require.Equal(t, "waddle: limits that were exceeded, and how often: result 1\n", out.String())
}
