package plugin

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The sweeper's stretch is several calls, between which others have their turn.
func TestSweepInSteps(t *testing.T) {
	wasm, err := os.ReadFile("testdata/store.wasm")
	require.NoError(t, err)
	p, err := Open(t.Context(), wasm, Config{NoCache: true, Shards: 1, MemoryLimit: 1 << 24, SweepInterval: -1,
		Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer p.Close(t.Context())
	step := sweepSize(mostStep / 2)
	_, err = p.shards[0].sweepInSteps(t.Context(), &step)
	require.NoError(t, err)
	require.GreaterOrEqual(t, p.Stats().Ops["sweep"].Calls, uint64(2))
	require.GreaterOrEqual(t, step.records(), leastStep)
}

func TestSweepSize(t *testing.T) {
	for _, c := range []struct {
		name   string
		full   sweepSize
		looked int
		took   time.Duration
		want   int
	}{
		{"the first", 0, firstStep, sweepTime / 2, firstStep},
		{"fast", 128, 128, sweepTime / 5, 256},
		{"fast, but fewer were left", 128, 100, sweepTime / 5, 128},
		{"as it should be", 128, 128, sweepTime / 2, 128},
		{"slow", 128, 128, sweepTime + 1, 64},
		{"slow, and fewer were left", 128, 100, sweepTime + 1, 64},
		{"never smaller", leastStep, leastStep, time.Second, leastStep},
		{"never larger", mostStep, mostStep, 0, mostStep},
	} {
		c.full.adapt(c.looked, c.took)
		require.Equal(t, c.want, c.full.records(), c.name)
	}
}
