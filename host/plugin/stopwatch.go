package plugin

import (
	"runtime"
	"time"
)

// stopwatch measures how long a call has been running. On a machine that is short of
// processor time, a guest must not fail because the system ran something else.
type stopwatch struct {
	started bool
	last    time.Duration // of the thread's clock
	wall    time.Time     // at the last lap
}

// start begins the first lap. It locks the goroutine to its thread, whose time is
// measured.
func (s *stopwatch) start() {
	runtime.LockOSThread()
	s.started = true
	s.wall = time.Now()
	s.threadLap(0)
}

// shortLap is how long a lap must be by the clock on the wall to be measured. Reading the
// thread's clock is a system call, and there may be a lap every ten microseconds.
const shortLap = 100 * time.Microsecond

// lap returns how long the call has run since the last lap, and 0 as long as that is
// short.
func (s *stopwatch) lap() time.Duration {
	now := time.Now()
	wall := now.Sub(s.wall)
	if wall < shortLap {
		return 0
	}
	s.wall = now
	return s.threadLap(wall)
}

// finish ends the last lap, however short, and returns how long it was.
func (s *stopwatch) finish() time.Duration {
	d := s.threadLap(time.Since(s.wall))
	s.stop()
	return d
}

// skip leaves out what has passed since the last lap where only the wall's time is known.
func (s *stopwatch) skip() {
	if s.started {
		s.wall = time.Now()
	}
}

// stop unlocks the goroutine, if it was locked.
func (s *stopwatch) stop() {
	if s.started {
		*s = stopwatch{}
		runtime.UnlockOSThread()
	}
}

// longestLap is what a lap counts for at most where only wall time can be measured. Few
// slices of fuel take longer.
const longestLap = 10 * time.Millisecond
