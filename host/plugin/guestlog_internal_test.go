package plugin

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/repeats"
)

// The rate bounds a guest's output on its streams, and its messages below a warning.
func TestRateOfGuestLines(t *testing.T) {
	const burst = logBurst * DefaultLogLines
	for _, c := range []struct {
		level  slog.Level
		source string
		lines  int
	}{
		{slog.LevelInfo, logSource, burst},
		{slog.LevelWarn, "stderr", burst},
		{slog.LevelWarn, logSource, logRepeats},
		{slog.LevelError, logSource, logRepeats},
	} {
		var out bytes.Buffer
		now := time.UnixMilli(1_767_225_600_000)
		g := &guestLog{logger: slog.New(slog.NewTextHandler(&out, nil)), name: func() string { return "g" }, now: func() time.Time { return now },
			lines: newBucket(DefaultLogLines), bytes: newBucket(DefaultLogBytes), said: repeats.Filter{First: logRepeats}}
		for i := range 1000 {
			g.line(c.level, 0, c.source, fmt.Appendf(nil, "line %d", i))
		}
		require.Equal(t, c.lines, strings.Count(out.String(), "source="+c.source))
		if c.lines == burst {
			require.EqualValues(t, 1000-burst, g.lost())
			now = now.Add(time.Second)
			g.line(c.level, 0, c.source, []byte("line"))
			require.Contains(t, out.String(), "lines of the guest were dropped: it writes too many")
		}
	}
}
