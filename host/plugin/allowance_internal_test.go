package plugin

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAllowance(t *testing.T) {
	var now time.Duration
	a := newAllowance(1000, 5000, func() time.Duration { return now })
	assert.Zero(t, a.wait())

	a.spend(4999)
	assert.Zero(t, a.wait(), "a call may begin while there is any fuel")
	a.spend(501)
	assert.InDelta(t, 501*time.Millisecond, a.wait(), float64(2*time.Millisecond), "what was taken beyond it is owed")

	now += 500 * time.Millisecond
	assert.InDelta(t, time.Millisecond, a.wait(), float64(time.Millisecond))
	now += 2 * time.Millisecond
	assert.Zero(t, a.wait())

	now += time.Hour
	a.wait()
	assert.EqualValues(t, 5000, a.left.Load(), "no more than a burst")

	a.spend(math.MaxInt64 / 2)
	assert.Positive(t, a.wait())
	now += 1<<62 - now
	a.wait()
	assert.LessOrEqual(t, a.left.Load(), int64(5000))
}

// TestAllowanceFractions looks at the clock so often that less than one unit comes each
// time.
func TestAllowanceFractions(t *testing.T) {
	var now time.Duration
	a := newAllowance(1000, 1000, func() time.Duration { return now })
	a.spend(1000)
	for range 1000 {
		now += 100 * time.Microsecond
		a.wait()
	}
	assert.InDelta(t, 100, a.left.Load(), 1)
}

func TestAllowanceInParallel(t *testing.T) {
	var mu sync.Mutex
	var now time.Duration
	a := newAllowance(1000, 100_000, func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		now += time.Millisecond
		return now
	})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 2000 {
				a.spend(10)
				a.wait()
				assert.LessOrEqual(t, a.left.Load(), int64(100_000))
			}
		})
	}
	wait.Wait()
	assert.InDelta(t, 100_000-8*2000*10+now.Seconds()*1000, a.left.Load(), 2)
}
