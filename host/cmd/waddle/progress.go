package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress is a line that changes, on a terminal only.
type progress struct {
	w io.Writer // nil for none

	mu    sync.Mutex
	shown time.Time
	dirty bool
}

// newProgress returns a line on standard error. It shows nothing if that is not a
// terminal or if other lines are expected on it.
func newProgress(env *environment, others bool) *progress {
	f, ok := env.stderr.(*os.File)
	if !ok || others {
		return &progress{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: f}
}

// progressInterval bounds how often the line changes.
const progressInterval = 100 * time.Millisecond

func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.w != nil && now.Sub(p.shown) >= progressInterval {
		line := fmt.Sprintf(format, args...)
		fmt.Fprintf(p.w, "\r%-78.78s", line)
		p.shown, p.dirty = now, true
	}
}

// end removes the line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty {
		fmt.Fprintf(p.w, "\r%78s\r", "")
		p.dirty = false
	}
}
