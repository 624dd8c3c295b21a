package plugin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// countInterval is how often the host asks a guest that was written to whether it
// has evicted records.
const countInterval = time.Second

// chores run beside a plugin's operations until Close, on its host's scheduler. They
// are scheduled only while a shard has an instance that does not sleep.
type chores struct {
	p      *Plugin
	ctx    context.Context
	cancel context.CancelFunc
	tell   *task   // tells the time to shards that have opened
	rounds []*task // repeated at intervals

	idler  *idler         // nil for a guest that does nothing in the background
	untold []atomic.Bool  // shards that have opened and do not know the time
	unable atomic.Bool    // the guest does not sweep
	late   sync.WaitGroup // calls that shards have not returned from

	mu    sync.Mutex
	begun bool
	ended bool
}

// begin sets up the tasks once the plugin is open.
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
		add(p.config.SaveInterval, c.each(p.store.Shards, p.store.Unsaved, c.save))
	}
	if p.config.SleepAfter > 0 {
		sleep := c.each(p.store.Shards, always, c.sleep)
		add(p.config.SleepAfter, func() {
			sleep()
			c.rest()
		})
	}
	if t := c.idles(); t != nil {
		c.rounds = append(c.rounds, t)
	}
	c.begun = true
	if !p.store.Resting() {
		for i := range c.untold {
			c.untold[i].Store(true)
		}
		c.resume()
	}
}

// opened starts the chores: the shard has an instance now.
func (c *chores) opened(shard int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun || c.ended {
		return
	}
	c.untold[shard].Store(true)
	if c.idler != nil {
		c.idler.due[shard].Store(0)
	}
	c.resume()
}

// woken is opened for a guest that goes on as it was. It was told the time.
func (c *chores) woken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun && !c.ended {
		c.resume()
	}
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

// rest stops the chores if no shard has an instance.
func (c *chores) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun && c.p.store.Resting() {
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

// end stops all chores, and wait waits for those under way. Calls of shards that
// hang do not return before those shards are closed.
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

// tellTime tells a shard the time. After that, the guest removes nothing by a later
// time on the side of other operations.
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

// save saves the shard's writes.
func (c *chores) save(shard int) { _ = c.p.store.SaveShard(c.ctx, shard, c.p.judged) }

func always(int) bool { return true }

// sleep closes an instance that had no call since the last round.
func (c *chores) sleep(shard int) { _ = c.p.store.SleepIfIdle(c.ctx, shard, c.p.judged()) }

// each returns a function that runs f for one shard after the other: for the first
// of() of them, if they need it. It does not wait long for a shard, and skips it until
// its call has returned: a shard that hangs must not hold up the others.
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

// patiently runs f, and waits for it until its patience or the chores end.
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
