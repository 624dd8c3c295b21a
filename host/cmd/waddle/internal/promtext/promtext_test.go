package promtext_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext/promtest"
)

func TestDurations(t *testing.T) {
	var d promtext.Durations
	for _, took := range []time.Duration{-time.Second, 0, time.Microsecond, time.Microsecond + 1, time.Millisecond, time.Hour} {
		d.Observe(took)
	}
	var b strings.Builder
	w := promtext.NewWriter(&b)
	w.Family("x", promtext.Histogram, "Something.")
	d.Write(w, "x", promtext.Labels{"of", "a \"\\\n"})
	require.NoError(t, w.Flush())
	all, kinds := promtest.Parse(t, b.String())
	require.Equal(t, map[string]string{"x": "histogram"}, kinds)
	for bound, want := range map[string]float64{"1e-06": 3, "4e-06": 4, "0.000256": 4, "0.001024": 5, "4.194304": 5, "+Inf": 6} {
		require.Equal(t, want, all["x_bucket of=a \"\\n le="+bound], bound)
	}
	require.Equal(t, 6.0, all["x_count of=a \"\\n"])
	require.InDelta(t, time.Hour.Seconds()+0.001002001, all["x_sum of=a \"\\n"], 1e-6)
}

// broken is a connection that was closed.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestFlush(t *testing.T) {
	w := promtext.NewWriter(broken{})
	w.Family("x", promtext.Gauge, "Something.")
	require.EqualError(t, w.Flush(), "closed")
}
