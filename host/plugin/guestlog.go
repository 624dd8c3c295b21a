package plugin

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/repeats"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// guestLog writes the lines of a plugin's guest to the host's log. It cleans and cuts
// them and bounds their rate. It thins out warnings and errors that repeat.
type guestLog struct {
	logger *slog.Logger
	name   func() string
	now    func() time.Time
	said   repeats.Filter

	mu       sync.Mutex
	lines    bucket
	bytes    bucket
	filled   time.Time
	limits   *limitCounts
	dropped  uint64 // in all
	reported uint64 // of these, reported in the log
}

const (
	// logBurst is for how many seconds a guest may save lines and bytes.
	logBurst = 4

	// logRepeats is how many warnings of one class are written at once. Each may be
	// about another file.
	logRepeats = 10

	// logSource is the source of lines that a guest logs rather than writes.
	logSource = "log"
)

func (g *guestLog) line(level slog.Level, shard int, source string, text []byte) {
	ctx := context.Background()
	if !g.logger.Enabled(ctx, level) {
		return
	}
	unsaid := 0
	// Lines of the standard streams are not thinned out: a line of a trace is useless
	// without those before it.
	if level >= slog.LevelWarn && source == logSource {
		var ok bool
		if ok, unsaid = g.said.Take(string(text[:min(len(text), repeats.ClassLen)]), g.now()); !ok {
			return
		}
	}
	text = printable.Cut(text, abi.MaxLog)
	ok, lost := g.take(len(text))
	if !ok {
		return
	}
	if lost > 0 {
		g.logger.Warn("lines of the guest were dropped: it writes too many", "plugin", g.name(), "dropped", lost)
	}
	args := []any{"plugin", g.name(), "shard", shard, "source", source}
	if unsaid > 0 {
		args = append(args, "repeated", unsaid)
	}
	g.logger.Log(ctx, level, printable.Clean(string(text)), args...)
}

// dials notes an address that the guest makes a connection to.
func (g *guestLog) dials(shard int, address []byte) {
	if ctx := context.Background(); g.logger.Enabled(ctx, slog.LevelDebug) {
		g.logger.Log(ctx, slog.LevelDebug, "the guest makes a connection", "plugin", g.name(), "shard", shard, "address", printable.Clean(string(address)))
	}
}

// take reports whether a line of that many bytes may be written, and how many lines were
// dropped since the last one.
func (g *guestLog) take(bytes int) (ok bool, lost uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if !g.filled.IsZero() {
		g.lines.fill(now.Sub(g.filled))
		g.bytes.fill(now.Sub(g.filled))
	}
	g.filled = now
	if g.lines.left < 1 || g.bytes.left < 1 {
		g.dropped++
		g.limits.count(LimitLog)
		return false, 0
	}
	g.lines.left--
	g.bytes.left -= float64(bytes)
	lost = g.dropped - g.reported
	g.reported = g.dropped
	return true, lost
}

// bucket is what a guest may still write. A line may be longer than that: the rest is owed.
type bucket struct{ rate, left float64 }

// newBucket returns a full bucket, or for a rate below 0 one that is never empty.
func newBucket(rate int) bucket {
	if rate < 0 {
		return bucket{math.Inf(1), math.Inf(1)}
	}
	return bucket{float64(rate), logBurst * float64(rate)}
}

func (b *bucket) fill(passed time.Duration) {
	if passed > 0 {
		b.left = min(logBurst*b.rate, b.left+passed.Seconds()*b.rate)
	}
}

func (g *guestLog) lost() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dropped
}

func (g *guestLog) drop(lines int) {
	g.mu.Lock()
	g.dropped += uint64(lines)
	g.limits.add(LimitLog, lines)
	g.mu.Unlock()
}

// logLevel returns the nearest level that the contract knows.
func logLevel(level int32) slog.Level {
	switch {
	case level < abi.LevelInfo:
		return slog.LevelDebug
	case level < abi.LevelWarn:
		return slog.LevelInfo
	case level < abi.LevelError:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// stream takes what a guest writes to one of its standard streams. It logs whole lines,
// and keeps the end of the output for the error that may follow.
type stream struct {
	inst  *instance
	level slog.Level
	name  string
	line  []byte
}

// maxStreamWrite bounds how much of one write is logged: its end.
const maxStreamWrite = 64 << 10

// Write implements io.Writer for wazero's fd_write.
func (s *stream) Write(p []byte) (int, error) {
	n := min(len(p), wasi.MaxTransfer)
	p = p[:n]
	if n > maxStreamWrite {
		s.inst.machine.log.drop(1)
		p = p[n-maxStreamWrite:]
	}
	s.inst.tail.write(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part, p = p[:end], p[end+1:]
		} else {
			p = nil
		}
		if room := abi.MaxLog - len(s.line); room > 0 {
			s.line = append(s.line, part[:min(len(part), room)]...)
		}
		if end >= 0 {
			s.inst.charge(lineFuel)
			s.inst.aside(s.flush)
		}
	}
	return n, nil
}

func (s *stream) flush() {
	if len(s.line) > 0 {
		s.inst.machine.log.line(s.level, s.inst.shard, s.name, s.line)
		s.line = s.line[:0]
	}
}

// tail keeps the last bytes of an output.
type tail struct{ b []byte }

const maxTail = 4096

func (t *tail) write(p []byte) {
	if len(p) >= maxTail {
		t.b = append(t.b[:0], p[len(p)-maxTail:]...)
		return
	}
	if over := len(t.b) + len(p) - maxTail; over > 0 {
		t.b = t.b[:copy(t.b, t.b[over:])]
	}
	t.b = append(t.b, p...)
}
