package plugin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
