//go:build linux || darwin

package plugin

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadLap returns how long this thread has run since the last lap, which took that
// long on the wall. The goroutine must be locked to the thread.
func (s *stopwatch) threadLap(wall time.Duration) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return min(wall, longestLap) // a sandbox such as gVisor may lack the clock
	}
	now := time.Duration(ts.Nano())
	d := now - s.last
	s.last = now
	return d
}
