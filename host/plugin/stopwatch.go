package plugin

import (
	"runtime"
	"time"
)

// stopwatch measures how long a call has been running. On a machine that is short of
// processor time, a guest must not fail because the system ran something else.
type stopwatch struct {
	started bool
	last    time.Duration
	wall    time.Time
}

// start begins the first lap. It locks the goroutine to its thread, whose time is
// measured.
func (s *stopwatch) start() {
	runtime.LockOSThread()
	s.started = true
	s.wall = time.Now()
	s.lap()
}

// stop unlocks the goroutine, if it was locked.
func (s *stopwatch) stop() {
	if s.started {
		*s = stopwatch{}
		runtime.UnlockOSThread()
	}
}

// longestLap is what a lap counts for at most where only wall time can be measured. A
// slice of fuel takes 0.2 ms as a rule and 10 ms at worst.
const longestLap = 10 * time.Millisecond

func (s *stopwatch) wallLap() time.Duration {
	now := time.Now()
	d := now.Sub(s.wall)
	s.wall = now
	return min(d, longestLap)
}
