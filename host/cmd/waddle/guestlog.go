package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// guestLogger shows a module's log: from the level up, or everything.
func guestLogger(env *environment, verbose bool, level slog.Level) *slog.Logger {
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(newBlockHandler(env.stderr, level))
}

// blockHandler writes lines as slog's text handler does, except that values of
// several lines, such as a stack, follow the line, indented for reading. It leaves
// out empty values.
type blockHandler struct {
	slog.Handler
	w  io.Writer
	mu *sync.Mutex
}

func newBlockHandler(w io.Writer, level slog.Level) *blockHandler {
	return &blockHandler{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}), w, new(sync.Mutex)}
}

// Handle implements slog.Handler.
func (h *blockHandler) Handle(ctx context.Context, record slog.Record) error {
	line := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	var blocks strings.Builder
	repeated := false
	record.Attrs(func(a slog.Attr) bool {
		text := a.Value.Resolve().String()
		switch {
		case strings.Contains(text, "\n"):
			blocks.WriteString("  " + a.Key + ":\n")
			for part := range strings.Lines(text) {
				blocks.WriteString("    " + strings.TrimRight(part, "\n") + "\n")
			}
		case text != "":
			line.AddAttrs(a)
		}
		repeated = repeated || a.Key == "source" && text == "trace"
		return true
	})
	if repeated && record.Level == slog.LevelDebug {
		return nil // the stack was already shown with its failure
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.Handler.Handle(ctx, line); err != nil {
		return err
	}
	_, err := io.WriteString(h.w, blocks.String())
	return err
}

// WithAttrs implements slog.Handler.
func (h *blockHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &blockHandler{h.Handler.WithAttrs(attrs), h.w, h.mu}
}

// WithGroup implements slog.Handler.
func (h *blockHandler) WithGroup(name string) slog.Handler {
	return &blockHandler{h.Handler.WithGroup(name), h.w, h.mu}
}
