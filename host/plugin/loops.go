package plugin

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// countInterval is how often a guest that was written to is asked whether
// it has evicted.
const countInterval = time.Second

// startLoops starts what goes on beside operations until Close.
func (p *Plugin) startLoops() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stopLoops = cancel
	if p.has(abi.ExportSweep) && p.config.SweepInterval > 0 {
		p.loops.Go(func() { p.sweepLoop(ctx) })
	}
	if p.has(abi.ExportStats) {
		p.loops.Go(func() { every(ctx, p.config.countInterval, func() bool { p.store.Count(); return true }) })
	}
	if p.config.Durability == DurabilityInterval {
		p.loops.Go(func() { p.saveLoop(ctx) })
	}
}

// every calls f in intervals, until the context ends or f says so.
func every(ctx context.Context, interval time.Duration, f func() bool) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !f() {
			return
		}
	}
}

// sweepLoop removes expired records until it is told to stop.
func (p *Plugin) sweepLoop(ctx context.Context) {
	busy := make([]atomic.Bool, p.store.Parts())
	var unable atomic.Bool
	p.inTurn(ctx, busy, func(shard int) {
		if !p.store.TellTime(ctx, shard, p.judged()) {
			unable.Store(true)
		}
	})
	every(ctx, p.config.SweepInterval, func() bool {
		if unable.Load() {
			return false
		}
		p.inTurn(ctx, busy, func(shard int) {
			if !p.store.SweepShard(ctx, shard, p.judged) {
				unable.Store(true)
			}
		})
		return true
	})
}

// saveLoop saves what was written, shard by shard, until it is told to stop.
func (p *Plugin) saveLoop(ctx context.Context) {
	busy := make([]atomic.Bool, p.store.Parts())
	every(ctx, p.config.SaveInterval, func() bool {
		if p.snapshots != nil {
			_ = p.store.SaveAll(ctx, p.judged())
		} else {
			p.inTurn(ctx, busy, func(shard int) { _ = p.store.SaveShard(ctx, shard, p.judged()) })
		}
		return true
	})
}

// inTurn runs f for one shard after the other. One that takes long is left to
// itself, and left out until it has come back: a shard that hangs must not keep
// the others from what is done for them.
func (p *Plugin) inTurn(ctx context.Context, busy []atomic.Bool, f func(shard int)) {
	for i := range busy {
		if ctx.Err() != nil {
			return
		}
		if busy[i].Swap(true) {
			continue
		}
		done := make(chan struct{})
		p.loops.Go(func() {
			defer close(done)
			defer busy[i].Store(false)
			f(i)
		})
		patience := time.NewTimer(p.config.patience)
		select {
		case <-done:
		case <-patience.C:
		case <-ctx.Done():
		}
		patience.Stop()
	}
}
