package plugin

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A day of one failure a millisecond is so many lines, which count all of them.
func TestRepeatsAreThinned(t *testing.T) {
	r := repeats{first: 3}
	now := time.UnixMilli(1_767_225_600_000)
	said, unsaid := 0, 0
	const failures = 24 * 60 * 60 * 10
	for i := range failures {
		if ok, n := r.take(fmt.Sprintf("shard %d failed after %dms", i%8, i), now.Add(time.Duration(i)*100*time.Millisecond)); ok {
			said, unsaid = said+1, unsaid+n
		}
	}
	require.Greater(t, said, 24)
	require.Less(t, said, 40)
	require.InDelta(t, failures, said+unsaid, 60*60*10, "all but those of the last interval")

	end := now.Add(24 * time.Hour)
	ok, _ := r.take("shard x failed for another reason", end)
	require.True(t, ok, "a class of its own")
	for i := range 3 {
		ok, _ = r.take("shard 1 failed after 1ms", end.Add(3*time.Hour))
		require.True(t, ok, "it had ended: %d", i)
	}
	ok, _ = r.take("shard 1 failed after 1ms", end.Add(3*time.Hour))
	require.False(t, ok)
	ok, _ = r.take("shard 1 failed after 1ms", now)
	require.True(t, ok, "the clock went back")
}

func TestRepeatsAreBounded(t *testing.T) {
	r := repeats{first: 1}
	now := time.UnixMilli(1_767_225_600_000)
	said := 0
	for i := range 10_000 {
		name := "z" + strings.Repeat("x", i%150) + strings.Repeat("y", i/150)
		if ok, _ := r.take(name, now); ok {
			said++
		}
	}
	require.Equal(t, repeatClasses+1, said)
	require.Len(t, r.classes, repeatClasses+1)
	ok, _ := r.take("new", now.Add(time.Hour))
	require.True(t, ok, "those that have ended make room")
	require.Len(t, r.classes, 1)
}

// What is no warning, and what a guest writes to its streams, is bounded by the rate.
func TestRateOfGuestLines(t *testing.T) {
	for _, c := range []struct {
		level  slog.Level
		source string
		lines  int
	}{
		{slog.LevelInfo, logSource, logBurst},
		{slog.LevelWarn, "stderr", logBurst},
		{slog.LevelWarn, logSource, logRepeats},
		{slog.LevelError, logSource, logRepeats},
	} {
		var out bytes.Buffer
		now := time.UnixMilli(1_767_225_600_000)
		g := &guestLog{logger: slog.New(slog.NewTextHandler(&out, nil)), name: "g", now: func() time.Time { return now }, said: repeats{first: logRepeats}}
		for i := range 1000 {
			g.line(c.level, 0, c.source, fmt.Appendf(nil, "line %d", i))
		}
		require.Equal(t, c.lines, strings.Count(out.String(), "source="+c.source))
		if c.lines == logBurst {
			require.EqualValues(t, 1000-logBurst, g.lost())
			now = now.Add(time.Second)
			g.line(c.level, 0, c.source, []byte("line"))
			require.Contains(t, out.String(), "lines of the guest were dropped: it writes too many")
		}
	}
}
