package protocol

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Sweep implements [store.Sweeper]. Each shard looks at its part of max records in one
// call, during which its other operations wait. Sweep fails with
// [store.ErrUnsupported] if the guest does not sweep. It removes no record that has
// expired only because the host's clock leapt.
func (st *Store) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	if max <= 0 {
		return 0, ctx.Err()
	}
	now = st.config.judge(now)
	if _, err := st.description(ctx); err != nil {
		return 0, err
	}
	parts := st.shards[:st.Parts()]
	part := (max + len(parts) - 1) / len(parts)
	var errs []error
	for _, s := range parts {
		swept, err := s.sweep(ctx, part, now, waking)
		removed += swept.removed
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// swept is the result of a call of session_sweep.
type swept struct {
	removed int
	took    time.Duration
	absent  bool // the guest does not sweep
}

// sweep makes the guest look at up to most records of the shard's part.
func (s *shard) sweep(ctx context.Context, most int, now store.Millis, lock locking) (done swept, err error) {
	s, inst, err := s.enterPart(ctx, lock)
	if err != nil {
		return swept{}, err
	}
	defer s.unlock()
	began := time.Now()
	n, err := inst.Sweep(min(most, 1<<30), now)
	code, _ := CodeOf(err)
	done.absent = code == abi.Unsupported
	done.took = time.Since(began)
	if err == nil {
		// It looked at about that many and cannot have removed more.
		done.removed = int(min(n, int64(most)))
	}
	return done, s.done(opSweep, inst, err)
}

const (
	// sweepStretch is how many records a shard looks at before the host decides
	// whether to look at more.
	sweepStretch = 4096
	// sweepStretches bounds one round.
	sweepStretches = 64
)

// SweepShard is a step of sweeping: it removes expired records of a shard and resumes where
// the last step ended. It covers one stretch of records, or several if many have expired.
// Others use the shard meanwhile. It skips a shard that was never open or sleeps. It
// reports false if the guest does not sweep, and logs failures.
//
// Each call of the guest gets the time anew. A clock that is set back meanwhile
// must not lose records written by the right time.
func (st *Store) SweepShard(ctx context.Context, shard int, now func() store.Millis) (able bool) {
	s := st.shards[shard]
	if st.rests(shard) {
		return true
	}
	for range sweepStretches {
		done, err := s.sweepInSteps(ctx, now)
		if done.absent {
			return false
		}
		if err != nil || done.removed < sweepStretch/16 {
			break
		}
	}
	return true
}

// TellTime makes a shard look at one record. A guest that knows the time does not
// remove records by a later one as a side effect of other operations. It reports false
// if the guest does not sweep.
func (st *Store) TellTime(ctx context.Context, shard int, now store.Millis) (able bool) {
	s := st.shards[shard]
	if st.rests(shard) {
		return true
	}
	done, _ := s.sweep(ctx, 1, now, awake) // failures are logged
	return !done.absent
}

// sweepInSteps sweeps one stretch in steps, between which others use the shard.
// Only one sweep of a shard runs at a time.
func (s *shard) sweepInSteps(ctx context.Context, now func() store.Millis) (all swept, err error) {
	for looked := 0; looked < sweepStretch; {
		size := min(s.sweeping.records(), sweepStretch-looked)
		done, err := s.sweep(ctx, size, now(), awake)
		all.removed, all.absent = all.removed+done.removed, done.absent
		if err != nil {
			return all, err
		}
		looked += size
		s.sweeping.adapt(size, done.took)
		runtime.Gosched() // let waiting goroutines have the shard
	}
	return all, nil
}

// sweepSize is how many records a step looks at. Looking at a record costs tens of
// nanoseconds in memory and tens of microseconds in a file, and others wait for a
// step, so its size follows the time it takes. The zero value is ready to use.
type sweepSize int

const (
	// sweepTime is the longest step after which the next is as large.
	sweepTime = time.Millisecond

	leastStep, firstStep, mostStep = 16, 128, sweepStretch
)

func (s sweepSize) records() int { return cmp.Or(int(s), firstStep) }

// adapt makes the next step larger or smaller according to how long a step over
// looked records took.
func (s *sweepSize) adapt(looked int, took time.Duration) {
	full := s.records()
	switch {
	case took > sweepTime:
		full = max(leastStep, full/2)
	case looked == full && took < sweepTime/4:
		full = min(mostStep, full*2)
	}
	*s = sweepSize(full)
}
