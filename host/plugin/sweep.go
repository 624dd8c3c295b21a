package plugin

import (
	"context"
	"errors"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// Sweep implements [store.Sweeper]. Each shard looks at its part of max
// records. It fails with [store.ErrUnsupported] if the guest does not sweep.
func (p *Plugin) Sweep(ctx context.Context, max int, now int64) (removed int, err error) {
	if max <= 0 {
		return 0, ctx.Err()
	}
	part := (max + len(p.shards) - 1) / len(p.shards)
	var errs []error
	for _, s := range p.shards {
		n, err := s.sweep(ctx, part, now)
		removed += n
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

func (s *shard) sweep(ctx context.Context, most int, now int64) (int, error) {
	in, err := s.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer s.unlock()
	n, err := in.doSweep(most, now)
	return n, s.done(opSweep, in, err)
}

func (in *instance) doSweep(most int, now int64) (int, error) {
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
	// sweepStep is how many records a shard looks at before it lets others in.
	sweepStep = 4096
	// sweepSteps bounds the steps of one round.
	sweepSteps = 64
)

// sweepLoop removes expired records until it is told to stop. A shard that has
// many of them takes several steps in a round.
func (p *Plugin) sweepLoop(ctx context.Context) {
	ticker := time.NewTicker(p.config.SweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, s := range p.shards {
			for range sweepSteps {
				n, err := s.sweep(ctx, sweepStep, p.config.Now().UnixMilli())
				if code, _ := codeFromError(err); code == abi.Unsupported {
					return
				}
				// A failure is in the log already, where it belongs.
				if err != nil || n < sweepStep/16 {
					break
				}
			}
		}
	}
}

func codeFromError(err error) (abi.Code, bool) {
	var e *Error
	if errors.As(err, &e) && e.Kind == nil {
		return e.Code, true
	}
	return 0, false
}
