package plugin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// countInterval is how often a guest that was written to is asked whether
// it has evicted.
const countInterval = time.Second

// chores are what goes on beside a plugin's operations until Close, on its host's
// scheduler. They are there only while a shard has an instance.
type chores struct {
	p      *Plugin
	ctx    context.Context
	cancel context.CancelFunc
	tell   *task   // that a shard which has opened be told the time
	rounds []*task // what is done again and again

	untold []atomic.Bool  // shards that have opened and not been told the time
	unable atomic.Bool    // the guest does not sweep
	late   sync.WaitGroup // what a shard has not come back from

	mu    sync.Mutex
	begun bool
	ended bool
}

// begin says what is to be done, once the plugin stands.
func (c *chores) begin(p *Plugin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p = p
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.untold = make([]atomic.Bool, p.store.Shards())
	parts := p.store.Parts
	s := p.config.Host.schedule
	add := func(every time.Duration, f func()) { c.rounds = append(c.rounds, s.make(every, f)) }
	if p.has(abi.ExportSweep) && p.config.SweepInterval > 0 {
		c.tell = s.make(0, c.each(parts, func(shard int) bool { return c.untold[shard].Swap(false) }, c.tellTime))
		add(p.config.SweepInterval, c.each(parts, c.sweeps, c.sweep))
	}
	if p.has(abi.ExportStats) {
		add(p.config.countInterval, p.store.Count)
	}
	switch {
	case p.config.Durability != DurabilityInterval:
	case p.snapshots != nil:
		add(p.config.SaveInterval, func() { _ = p.store.SaveAll(c.ctx, p.judged()) })
	default:
		add(p.config.SaveInterval, c.each(parts, p.store.Unsaved, c.save))
	}
	if p.config.SleepAfter > 0 {
		sleep := c.each(p.store.Shards, always, c.sleep)
		add(p.config.SleepAfter, func() {
			sleep()
			c.rest()
		})
	}
	c.begun = true
	if !p.store.Resting() {
		for i := range c.untold {
			c.untold[i].Store(true)
		}
		c.resume()
	}
}

// opened has the chores done from now on: the shard has got an instance.
func (c *chores) opened(shard int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun || c.ended {
		return
	}
	c.untold[shard].Store(true)
	c.resume()
}

func (c *chores) resume() {
	s := c.p.config.Host.schedule
	for _, t := range c.rounds {
		s.resume(t)
	}
	if c.tell != nil {
		s.resume(c.tell)
	}
}

// rest has nothing done any more if no shard has an instance.
func (c *chores) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.p.store.Resting() {
		c.pause()
	}
}

func (c *chores) pause() {
	s := c.p.config.Host.schedule
	for _, t := range c.rounds {
		s.pause(t)
	}
	if c.tell != nil {
		s.pause(c.tell)
	}
}

// end stops everything, and wait waits for what was under way. Calls of shards that
// hang do not come back before these are closed.
func (c *chores) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		c.cancel()
		c.pause()
	}
}

func (c *chores) wait() {
	for _, t := range c.rounds {
		t.wait()
	}
	if c.tell != nil {
		c.tell.wait()
	}
	c.late.Wait()
}

// tellTime tells a shard the time: a guest that knows it removes nothing by a later one
// on the side of other operations.
func (c *chores) tellTime(shard int) {
	if !c.p.store.TellTime(c.ctx, shard, c.p.judged()) {
		c.unable.Store(true)
	}
}

// sweeps reports whether there may be something to sweep.
func (c *chores) sweeps(shard int) bool { return !c.unable.Load() && c.p.store.Awake(shard) }

// sweep removes expired records.
func (c *chores) sweep(shard int) {
	if !c.p.store.SweepShard(c.ctx, shard, c.p.judged) {
		c.unable.Store(true)
	}
}

// save saves what was written.
func (c *chores) save(shard int) { _ = c.p.store.SaveShard(c.ctx, shard, c.p.judged()) }

func always(int) bool { return true }

// sleep closes an instance that nobody used since the last time.
func (c *chores) sleep(shard int) { _ = c.p.store.SleepIfIdle(c.ctx, shard, c.p.judged()) }

// each returns what runs f for one shard after the other, of so many and of those that need it. One
// that takes long is left to itself, and left out until it has come back: a shard that
// hangs must not keep the others from what is done for them.
func (c *chores) each(of func() int, needs func(shard int) bool, f func(shard int)) func() {
	busy := make([]atomic.Bool, c.p.store.Shards())
	return func() {
		for i := range busy[:of()] {
			if c.ctx.Err() != nil {
				return
			}
			if busy[i].Swap(true) {
				continue
			}
			if !needs(i) {
				busy[i].Store(false)
				continue
			}
			c.patiently(func() {
				defer busy[i].Store(false)
				f(i)
			})
		}
	}
}

// patiently waits for f as long as it is worth it, and for no longer than the chores go
// on.
func (c *chores) patiently(f func()) {
	done := make(chan struct{})
	c.late.Go(func() {
		defer close(done)
		f()
	})
	patience := time.NewTimer(c.p.config.patience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	case <-c.ctx.Done():
	}
}
