package dirlock

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollEvery is how often to retry a lock that somebody holds. The system can wait
// for a lock by itself, but nothing can cancel that.
const pollEvery = 50 * time.Millisecond

// Wait is [Acquire] that keeps trying, for at most that time, while somebody else
// holds the lock. told, if it is not nil, is called with the holder: at once, and
// again whenever the holder changes. When the time or the context is over, it
// returns an error that wraps the last [*InUseError], and the context's.
func Wait(ctx context.Context, dir string, most time.Duration, told func(*InUseError)) (*Lock, error) {
	began := time.Now()
	end := time.NewTimer(most)
	defer end.Stop()
	var last InUseError
	for {
		lock, err := Acquire(dir)
		var held *InUseError
		if !errors.As(err, &held) || most <= 0 {
			return lock, err
		}
		// A holder that has locked but not signed yet is not a new one.
		if told != nil && (last.Dir == "" || held.PID != 0 && (held.PID != last.PID || held.Host != last.Host)) {
			last = *held
			told(held)
		}
		next := time.NewTimer(pollEvery)
		select {
		case <-next.C:
			continue
		case <-end.C:
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
		next.Stop()
		return nil, fmt.Errorf("%w (waited %v for it)", err, time.Since(began).Round(time.Millisecond))
	}
}
