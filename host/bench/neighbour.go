package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// neighbourResult tells what a plugin notices of another one in the process whose guest
// computes without an end: nanoseconds of an operation, of a hundred the slowest but one.
type neighbourResult struct {
	Alone  float64 `json:"alone_p99"`
	Beside float64 `json:"beside_p99"`
	Ratio  float64 `json:"ratio"` // the median of the ratios in one round
}

//go:embed emptyguest/endless.wasm
var endlessGuest []byte

// neighbourSpan is how many spans of a plan a measurement takes: the slowest operations
// are few.
const neighbourSpan = 10

// runNeighbour measures the bundled memory engine alone and beside an endless guest that is
// not trusted, in turns, on two cores.
func runNeighbour(ctx context.Context, p plan) (*neighbourResult, error) {
	wasm, err := memory.Module()
	if err != nil {
		return nil, err
	}
	engine, err := plugin.Open(ctx, wasm, meteringConfig(true))
	if err != nil {
		return nil, err
	}
	defer engine.Close(ctx)
	endless, err := plugin.DefaultHost().Compile(ctx, endlessGuest, meteringConfig(false))
	if err != nil {
		return nil, err
	}
	defer endless.Close()
	var alone, beside []float64
	err = onCores(2, func() error {
		for range p.rounds {
			a, err := slowOperation(ctx, engine, neighbourSpan*p.span)
			if err != nil {
				return err
			}
			b, err := slowOperationBeside(ctx, engine, endless, neighbourSpan*p.span)
			if err != nil {
				return err
			}
			alone, beside = append(alone, a), append(beside, b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &neighbourResult{median(alone), median(beside), median(ratios(beside, alone))}, nil
}

// slowOperation sets and gets for a while. It returns the time of the slowest but one of
// a hundred operations.
func slowOperation(ctx context.Context, p *plugin.Plugin, span time.Duration) (float64, error) {
	key, value := make([]byte, 32), make([]byte, 300)
	var took []float64
	for began := time.Now(); time.Since(began) < span; {
		start := time.Now()
		if err := p.Set(ctx, store.Write{Key: key, Value: value, Now: store.At(start)}); err != nil {
			return 0, err
		}
		if _, err := p.Get(ctx, key, store.At(start)); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(start)))
	}
	return quantile(took, 0.99), nil
}

// slowOperationBeside is slowOperation while a call of the endless guest runs. On a machine that is
// busy, that call may end first, and gets more time.
func slowOperationBeside(ctx context.Context, engine *plugin.Plugin, endless *plugin.Module, span time.Duration) (ns float64, err error) {
	for deadline := 3 * span; ; deadline *= 2 {
		err = besideEndless(ctx, endless, deadline, func() (err error) {
			ns, err = slowOperation(ctx, engine, span)
			return err
		})
		if !errors.Is(err, errEndedEarly) || deadline > 50*span {
			return ns, err
		}
	}
}

var errEndedEarly = errors.New("the endless guest ended too early")

// besideEndless calls f while a call of the endless guest runs, which its deadline ends.
func besideEndless(ctx context.Context, endless *plugin.Module, deadline time.Duration, f func() error) error {
	config := meteringConfig(false)
	config.Deadline = deadline
	p, err := endless.Open(ctx, config)
	if err != nil {
		return err
	}
	defer p.Close(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Get(ctx, []byte("key"), store.At(time.Now()))
		ended <- err
	}()
	for !p.Stats().Shards[0].Busy {
		select {
		case err := <-ended:
			return fmt.Errorf("%w: %w", errEndedEarly, err)
		case <-time.After(time.Millisecond):
		}
	}
	if err := f(); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("%w: %w", errEndedEarly, err)
	default:
	}
	if err := <-ended; !errors.Is(err, plugin.ErrDeadline) {
		return fmt.Errorf("the endless guest should have ended with its deadline: %w", err)
	}
	return nil
}

// onCores calls f with that many cores for Go code.
func onCores(n int, f func() error) error {
	before := runtime.GOMAXPROCS(n)
	defer runtime.GOMAXPROCS(before)
	return f()
}

func (t table) neighbour(n *neighbourResult) {
	t.line("beside an endless guest, on two cores, the slowest but one of a hundred operations of the memory engine takes %.2f times as long (%.0f ns, alone %.0f ns)",
		n.Ratio, n.Beside, n.Alone)
}
