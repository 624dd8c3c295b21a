package main

import (
	"bytes"
	"log/slog"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// block is like the type of a stack: it decides itself how it is written.
type block string

func (b block) String() string { return string(b) }

func TestGuestLogger(t *testing.T) {
	for _, c := range []struct {
		name    string
		verbose bool
		level   slog.Level
		log     func(l *slog.Logger)
		want    string
	}{
		{"a line", false, slog.LevelInfo, func(l *slog.Logger) { l.Info("hello", "shard", 3, "why", "not") },
			"level=INFO msg=hello shard=3 why=not\n"},
		{"below the level", false, slog.LevelWarn, func(l *slog.Logger) { l.Info("hello"); l.Debug("details") }, ""},
		{"everything", true, slog.LevelWarn, func(l *slog.Logger) { l.Debug("details") }, "level=DEBUG msg=details\n"},
		{"a stack", false, slog.LevelInfo, func(l *slog.Logger) { l.Error("failed", "trace", block("f()\n\tf.go:1\ng()"), "shard", 0) },
			"level=ERROR msg=failed shard=0\n  trace:\n    f()\n    \tf.go:1\n    g()\n"},
		{"no stack", false, slog.LevelInfo, func(l *slog.Logger) { l.Error("failed", "trace", block(""), "output", "") },
			"level=ERROR msg=failed\n"},
		{"the stack again", true, slog.LevelInfo, func(l *slog.Logger) { l.Debug("f()", "source", "trace"); l.Debug("g()", "source", "log") },
			"level=DEBUG msg=g() source=log\n"},
		{"with attributes", false, slog.LevelInfo, func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Info("m", "b", "x\ny") },
			"level=INFO msg=m a=1\n  b:\n    x\n    y\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			c.log(guestLogger(&environment{stderr: &b}, c.verbose, c.level))
			require.Equal(t, c.want, regexp.MustCompile(`time=\S+ `).ReplaceAllString(b.String(), ""))
		})
	}
}

// The line of progress appears only on a terminal.
func TestStatusLineIsForTerminals(t *testing.T) {
	var b bytes.Buffer
	p := newStatusLine(&environment{stderr: &b}, false)
	p.show("[1/2] something")
	p.end()
	require.Empty(t, b.String())

	p = &statusLine{w: &b}
	p.show("[1/2] %s", "something")
	require.Contains(t, b.String(), "\r[1/2] something ")
	shown := b.Len()
	p.show("[2/2] at once after it")
	require.Equal(t, shown, b.Len(), "it does not change more often than can be read")
	p.end()
	require.True(t, bytes.HasSuffix(b.Bytes(), []byte(" \r")))
	ended := b.Len()
	p.end()
	require.Equal(t, ended, b.Len())
}

func TestCheckProgress(t *testing.T) {
	var b bytes.Buffer
	line := &statusLine{w: &b}
	tell := checkProgress(line)
	tell(storetest.Progress{Check: "soak/mixed", Number: 3, Of: 7})
	line.shown = line.shown.Add(-statusInterval)
	tell(storetest.Progress{Check: "soak/mixed", Done: 10, Total: 20})
	require.Contains(t, b.String(), "\r[3/7] soak/mixed  ")
	require.Contains(t, b.String(), "\r[3/7] soak/mixed: 10 of 20 ")
}
