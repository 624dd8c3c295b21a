package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// statusLine is a line that changes, on a terminal only.
type statusLine struct {
	w io.Writer // nil for none

	mu    sync.Mutex
	shown time.Time
	dirty bool
}

// newStatusLine returns a line on standard error. It shows nothing if that is not a
// terminal or if other lines are expected on it.
func newStatusLine(env *environment, others bool) *statusLine {
	f, ok := env.stderr.(*os.File)
	if !ok || others {
		return &statusLine{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &statusLine{}
	}
	return &statusLine{w: f}
}

// statusInterval bounds how often a line changes.
const statusInterval = 100 * time.Millisecond

func (p *statusLine) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.w != nil && now.Sub(p.shown) >= statusInterval {
		line := fmt.Sprintf(format, args...)
		fmt.Fprintf(p.w, "\r%-78.78s", line)
		p.shown, p.dirty = now, true
	}
}

// end removes the line.
func (p *statusLine) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty {
		fmt.Fprintf(p.w, "\r%78s\r", "")
		p.dirty = false
	}
}
