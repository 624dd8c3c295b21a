package plugin

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Sweep implements [store.Sweeper]. Each shard looks at its part of max
// records, in one call, during which its other operations wait. It fails with
// [store.ErrUnsupported] if the guest does not sweep. After a leap of the host's clock
// nothing is removed that has only expired by it.
func (p *Plugin) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	if max <= 0 {
		return 0, ctx.Err()
	}
	now = p.notAfterJudged(now)
	part := (max + len(p.shards) - 1) / len(p.shards)
	var errs []error
	for _, s := range p.shards {
		n, _, err := s.sweep(ctx, part, now)
		removed += n
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// sweep has the shard look at so many records, and returns how long it took.
func (s *shard) sweep(ctx context.Context, most int, now store.Millis) (removed int, took time.Duration, err error) {
	in, err := s.lock(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer s.unlock()
	began := time.Now()
	removed, err = in.doSweep(most, now)
	return removed, time.Since(began), s.done(opSweep, in, err)
}

func (in *instance) doSweep(most int, now store.Millis) (int, error) {
	if in.sweep == nil {
		return 0, &answer{code: abi.Unsupported, message: "the guest does not export it"}
	}
	in.stack[0], in.stack[1] = uint64(now), uint64(min(most, 1<<30))
	if err := in.run(in.sweep, in.plugin.callLimit()); err != nil {
		return 0, err
	}
	n, err := in.number()
	if err == nil && n > int64(most) {
		n = int64(most) // it looked at about as many, and cannot have removed more
	}
	return int(n), err
}

const (
	// sweepStretch is how many records a shard looks at before it is decided
	// whether more of them are worth a look.
	sweepStretch = 4096
	// sweepStretches bounds one round.
	sweepStretches = 64
)

// sweepLoop removes expired records until it is told to stop. A shard that has
// many of them takes several stretches in a round.
func (p *Plugin) sweepLoop(ctx context.Context) {
	ticker := time.NewTicker(p.config.SweepInterval)
	defer ticker.Stop()
	steps := make([]sweepSize, len(p.shards))
	busy := make([]atomic.Bool, len(p.shards))
	var unsupported atomic.Bool
	// A guest that has been told the time removes nothing by a later one.
	p.inTurn(ctx, busy, func(s *shard) {
		_, _, err := s.sweep(ctx, 1, p.judged())
		if code, _ := codeFromError(err); code == abi.Unsupported {
			unsupported.Store(true)
		}
	})
	for !unsupported.Load() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		p.inTurn(ctx, busy, func(s *shard) {
			for range sweepStretches {
				n, err := s.sweepInSteps(ctx, &steps[s.index])
				if code, _ := codeFromError(err); code == abi.Unsupported {
					unsupported.Store(true)
				}
				// A failure is in the log already, where it belongs.
				if err != nil || n < sweepStretch/16 {
					return
				}
			}
		})
	}
}

// sweepInSteps goes over one stretch, in steps between which others use the shard.
func (s *shard) sweepInSteps(ctx context.Context, step *sweepSize) (removed int, err error) {
	for looked := 0; looked < sweepStretch; {
		size := min(step.records(), sweepStretch-looked)
		n, took, err := s.sweep(ctx, size, s.plugin.judged())
		removed += n
		if err != nil {
			return removed, err
		}
		looked += size
		step.adapt(size, took)
		runtime.Gosched() // to whoever waits for the shard
	}
	return removed, nil
}

// sweepSize is how many records a step looks at. To look at one costs tens of
// nanoseconds where it lies in memory and tens of microseconds where it is a file,
// and how many others wait for a step is a matter of time. The zero value is ready
// to use.
type sweepSize int

const (
	// sweepTime is how long a step may take that is followed by one as large.
	sweepTime = time.Millisecond

	leastStep, firstStep, mostStep = 16, 128, sweepStretch
)

func (s sweepSize) records() int { return cmp.Or(int(s), firstStep) }

// adapt makes the next step larger or smaller by how long one took that looked at
// so many.
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

func codeFromError(err error) (abi.Code, bool) {
	var e *Error
	if errors.As(err, &e) && e.Kind == nil {
		return e.Code, true
	}
	return 0, false
}
