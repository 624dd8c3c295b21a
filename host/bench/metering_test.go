package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// A guest does the same work in each of the four ways.
func TestFourWays(t *testing.T) {
	wasm, err := os.ReadFile(filepath.Join("..", "..", "examples", "guests", "c", "store.wasm"))
	require.NoError(t, err)
	four, err := fourWays(t.Context(), guestModule{"c", wasm})
	require.NoError(t, err)
	require.Len(t, four, 4)
	for i, way := range []string{unmetered, metered, bare, closeOnDone} {
		require.Equal(t, "c, "+way, four[i].name())
		require.NoError(t, verifyCallee(four[i]), way)
	}
	fuel := func(c callee) uint64 { return c.(*storeCallee).store.(interface{ Stats() plugin.Stats }).Stats().Fuel }
	require.Zero(t, fuel(four[0]))
	require.Positive(t, fuel(four[1]))
	for _, c := range four {
		require.NoError(t, c.close())
	}
}

// Close-on-done is in force: it ends a call that never returns.
func TestCloseOnDone(t *testing.T) {
	wasm, err := os.ReadFile(filepath.Join("..", "plugin", "testdata", "hostile.wasm"))
	require.NoError(t, err)
	g, err := newBareGuest(t.Context(), "hostile", wasm, true)
	require.NoError(t, err)
	defer func() { _ = g.close() }()
	var cancel context.CancelFunc
	g.ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	g.now = 2 // this guest's behaviour depends on the time: a loop without end
	_, err = g.get(0)
	require.ErrorContains(t, err, "context deadline exceeded")
}

// A neighbour serves while an endless guest runs, which its deadline ends.
func TestNeighbour(t *testing.T) {
	n, err := runNeighbour(t.Context(), plan{rounds: 2, span: time.Millisecond})
	require.NoError(t, err)
	require.Positive(t, n.Alone)
	require.Positive(t, n.Beside)
	require.Positive(t, n.Ratio)
}
