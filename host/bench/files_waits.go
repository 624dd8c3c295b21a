package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// waitsResult is how long operations wait for what an engine does beside them.
type waitsResult struct {
	Engine  string `json:"engine"`
	Records int    `json:"records"`
	// FirstSave is how long it took to save all records, none of which was saved before.
	FirstSave time.Duration `json:"first_save_ns"`

	Alone   latency `json:"alone"`
	AtFirst latency `json:"beside_first_save"`
	AtSaves latency `json:"beside_saves"`
	AtSweep latency `json:"beside_sweeps"`
}

// perTenThousand is the time of the first save for each ten thousand records.
func (r waitsResult) perTenThousand() time.Duration {
	return r.FirstSave * 10_000 / time.Duration(r.Records)
}

// waitsRecords is how many records there are at most.
const waitsRecords = 100_000

// runWaits stores records that are not saved, puts a load on them and saves, sweeps and saves
// again beside it.
func runWaits(ctx context.Context, e fileEngine, c crowd, dir string) (r waitsResult, err error) {
	r = waitsResult{Engine: e.name, Records: min(e.crowd(c.records), waitsRecords)}
	p, err := e.start(ctx, dir, plugin.DurabilityClose, 0)
	if err != nil {
		return r, err
	}
	defer p.Close(ctx)
	l := &load{ctx: ctx, store: p, mix: mixServing, present: make([]bool, r.Records)}
	if _, err := l.fill(); err != nil {
		return r, fmt.Errorf("fill: %w", err)
	}
	workers := min(max(1, runtime.GOMAXPROCS(0)-1), r.Records)
	var first, alone, saves, sweeps recorder
	save := func() error { return p.Save(ctx, store.At(time.Now())) }
	flush(filepath.Dir(dir)) // what others left to the system is not for this save to wait for
	err = l.beside(workers, &first, func() error {
		start := time.Now()
		err := save()
		r.FirstSave = time.Since(start)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("load beside the first save: %w", err)
	}
	for range c.slices {
		err := l.beside(workers, &alone, func() error { time.Sleep(c.span / 2); return nil })
		if err == nil {
			err = l.beside(workers, &saves, until(c.span/2, save))
		}
		if err == nil {
			err = l.beside(workers, &sweeps, until(c.span/2, func() error {
				_, err := p.Sweep(ctx, r.Records, store.At(time.Now()))
				return err
			}))
		}
		if err != nil {
			return r, fmt.Errorf("load beside saves and sweeps: %w", err)
		}
	}
	if err := l.verify(); err != nil {
		return r, err
	}
	r.AtFirst, r.Alone, r.AtSaves, r.AtSweep = first.latency(), alone.latency(), saves.latency(), sweeps.latency()
	return r, p.Close(ctx)
}

// until does something again and again for a span, with pauses.
func until(span time.Duration, do func() error) func() error {
	return func() error {
		for start := time.Now(); time.Since(start) < span; time.Sleep(sweepPause) {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
}

// beside puts the load on the store for as long as other takes.
func (l *load) beside(workers int, times *recorder, other func() error) error {
	var over atomic.Bool
	ended := make(chan error, 1)
	go func() {
		err := other()
		over.Store(true)
		ended <- err
	}()
	err := l.share(workers, times, func(time.Time) bool { return over.Load() })
	if other := <-ended; other != nil {
		return other
	}
	return err
}

func (t table) waits(r waitsResult) {
	t.line("\n%d sessions of %d bytes in files, a load of gets and sets beside what the engine does: %s", r.Records, valueSize, r.Engine)
	t.line("  the first save of all took %s, %s for ten thousand", short(r.FirstSave), short(r.perTenThousand()))
	t.latencies(namedLatency{"alone", r.Alone}, namedLatency{"beside the first save", r.AtFirst},
		namedLatency{"beside saves", r.AtSaves}, namedLatency{"beside sweeps", r.AtSweep})
}
