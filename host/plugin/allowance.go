package plugin

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// allowance bounds what all instances of a plugin compute per second. It is a bucket
// of fuel: it fills at a steady rate, and holds no more than a burst. A call may begin
// while there is any fuel in it. What the call then takes is owed.
type allowance struct {
	rate, burst int64 // fuel per second, and fuel
	passed      func() time.Duration

	left atomic.Int64

	mu     sync.Mutex
	filled time.Duration // when it was last filled
}

func newAllowance(rate, burst int64, passed func() time.Duration) *allowance {
	a := &allowance{rate: rate, burst: burst, passed: passed, filled: passed()}
	a.left.Store(burst)
	return a
}

// spend takes fuel that was used.
func (a *allowance) spend(fuel int64) { a.left.Add(-fuel) }

// wait returns how long it takes until a call may begin, 0 if it may begin now. It
// looks at the clock only if less than half is left.
func (a *allowance) wait() time.Duration {
	if a.left.Load() > a.burst/2 {
		return 0
	}
	return a.waits()
}

func (a *allowance) waits() time.Duration {
	left := a.fill()
	if left > 0 {
		return 0
	}
	return time.Duration(min(float64(1-left)/float64(a.rate), longestWait.Seconds()) * float64(time.Second))
}

// longestWait bounds what a caller is told to wait, not what is owed.
const longestWait = time.Hour

// fill adds what has come since it was last filled, and returns what there is.
func (a *allowance) fill() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.passed()
	came := math.Floor((now - a.filled).Seconds() * float64(a.rate))
	// Others may spend meanwhile, and nobody else adds: the sum stays within the burst.
	if room := float64(a.burst) - float64(a.left.Load()); came > room {
		came = room
		a.filled = now
	} else {
		// The fraction of a unit that is left over counts at the next time.
		a.filled += time.Duration(came / float64(a.rate) * float64(time.Second))
	}
	return a.left.Add(int64(came))
}
