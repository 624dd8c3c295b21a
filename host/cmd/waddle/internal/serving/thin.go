package serving

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// thinned returns a handler that passes on a few records a minute, and with the next the
// number of those that it left out. net/http reports each handshake that fails, and
// anybody who reaches an address can make them.
func thinned(h slog.Handler) slog.Handler { return &thinHandler{Handler: h, state: &thinState{}} }

const linesPerMinute = 10

type thinHandler struct {
	slog.Handler
	state *thinState
}

type thinState struct {
	mu      sync.Mutex
	minute  time.Time
	lines   int
	leftOut int
}

// Handle implements slog.Handler.
func (h *thinHandler) Handle(ctx context.Context, r slog.Record) error {
	s := h.state
	s.mu.Lock()
	if r.Time.Sub(s.minute) >= time.Minute {
		s.minute, s.lines = r.Time, 0
	}
	if s.lines == linesPerMinute {
		s.leftOut++
		s.mu.Unlock()
		return nil
	}
	s.lines++
	line := slog.NewRecord(r.Time, r.Level, "connection", r.PC)
	line.AddAttrs(slog.String("error", r.Message))
	if s.leftOut > 0 {
		line.AddAttrs(slog.Int("left_out", s.leftOut))
		s.leftOut = 0
	}
	s.mu.Unlock()
	return h.Handler.Handle(ctx, line)
}
