//go:build linux || darwin

package plugin

import (
	"time"

	"golang.org/x/sys/unix"
)

// lap returns how long this thread has run since the last lap. It does not count the
// time in which the system ran other threads in its place. The goroutine must be locked
// to the thread.
func (s *stopwatch) lap() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return s.wallLap() // a sandbox such as gVisor may lack the clock
	}
	now := time.Duration(ts.Nano())
	d := now - s.last
	s.last = now
	return d
}
