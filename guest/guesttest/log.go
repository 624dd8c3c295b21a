//go:build !wasip1

package guesttest

import (
	"fmt"
	"sync"

	"github.com/waddle-sessions/waddle/guest"
)

// testLog shows what engines log, up to a number of lines.
type testLog struct {
	write func(line string)

	mu    sync.Mutex
	shown int
}

const maxShown = 200

func (l *testLog) lines(shard int, lines []guest.Line) {
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		switch l.shown++; {
		case l.shown <= maxShown:
			l.write(fmt.Sprintf("%s, shard %d: %s", levelName(line.Level), shard, line.Text))
		case l.shown == maxShown+1:
			l.write(fmt.Sprintf("more than %d lines were logged: the rest is left out", maxShown))
		}
	}
}

func levelName(level int32) string {
	switch {
	case level < guest.LevelInfo:
		return "debug"
	case level < guest.LevelWarn:
		return "info"
	case level < guest.LevelError:
		return "warning"
	}
	return "error"
}
