package plugin

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestExceededBound: an error names the bound that a guest exceeded, however it is wrapped,
// and no other failure names one.
func TestExceededBound(t *testing.T) {
	wasm, err := os.ReadFile("testdata/hostile.wasm")
	require.NoError(t, err)
	const works, traps, loops, recurs = 0, 1, 2, 3 // this guest's behaviour depends on the time
	for _, c := range []struct {
		want   string
		now    store.Millis
		config Config
	}{
		{"deadline", loops, Config{Deadline: time.Millisecond, Fuel: 1 << 50, FuelRate: -1}},
		{"fuel", loops, Config{Fuel: 1000}},
		{"depth", recurs, Config{}},
		{"rate", works, Config{FuelRate: 1, FuelBurst: 1}},
		{"", traps, Config{}},
	} {
		c.config.Shards, c.config.NoCache = 1, true
		p, err := Open(t.Context(), wasm, c.config)
		require.NoError(t, err)
		// What a guest used is told to the allowance in portions.
		for range 1 << 16 {
			if _, err = p.Get(t.Context(), []byte("key"), c.now); err != nil {
				break
			}
		}
		require.Error(t, err, c.want)
		require.Equal(t, c.want, store.ExceededBound(fmt.Errorf("wrapped: %w", err)))
		_ = p.Close(t.Context())
	}
	require.Empty(t, store.ExceededBound(nil))
	require.Empty(t, store.ExceededBound(context.DeadlineExceeded))
}
