package plugin

import (
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// A guest with connections does things in the background: it answers pings, and keeps a pool. It
// does them in its calls, and session_idle is a call for nothing else.

const (
	// idleEvery is how often a guest is called that does not say how often, and idleLeast and
	// idleMost are the bounds of what it says. A call that took long, because a server did not
	// answer, is not repeated before idleShare times that has passed: callers wait meanwhile.
	idleEvery = time.Second
	idleLeast = 10 * time.Millisecond
	idleMost  = time.Minute
	idleShare = 20

	// idleWait is how long such a call may wait.
	idleWait = 250 * time.Millisecond
)

// Idle implements protocol.Idler.
func (inst *instance) Idle(now store.Millis) (next int64, err error) {
	if inst.conns == nil || !inst.machine.exports.has(exportIdle) {
		return 0, protocol.Absent
	}
	inst.conns.most = min(inst.conns.most, idleWait)
	defer func() { inst.conns.most = inst.machine.network.wait }()
	inst.stack[0], inst.stack[1] = exportIdle, uint64(now)
	if err := inst.run(inst.machine.callAllowed()); err != nil {
		return 0, err
	}
	return inst.number()
}

// idler calls session_idle of a plugin's instances.
type idler struct {
	c      *chores
	due    []atomic.Int64 // for each shard, by the steady clock
	unable atomic.Bool    // the guest does nothing in the background
}

// idles returns the task that gives the instances time, or nil if they need none.
func (c *chores) idles() *task {
	if c.p.machine.network == nil || !c.p.has(abi.ExportIdle) {
		return nil
	}
	i := &idler{c: c, due: make([]atomic.Int64, c.p.store.Shards())}
	t := c.p.config.Host.schedule.make(idleEvery, c.each(c.p.store.Shards, i.isDue, i.call))
	c.idler, t.until = i, i.wait
	return t
}

func (i *idler) isDue(shard int) bool {
	return !i.unable.Load() && i.due[shard].Load() <= int64(steady())
}

func (i *idler) call(shard int) {
	began := steady()
	next, absent := i.c.p.store.Idle(shard, i.c.p.judged())
	if absent {
		i.unable.Store(true)
	}
	took := steady() - began
	i.due[shard].Store(int64(began + max(idleAfter(next), idleShare*took)))
}

// idleAfter returns how long after a call the next one is made.
func idleAfter(next time.Duration) time.Duration {
	if next <= 0 {
		return idleEvery
	}
	return min(max(next, idleLeast), idleMost)
}

// wait returns how long it is until a shard is due, and no longer than idleEvery, since others may
// open. A shard that is overdue is in a call that does not return.
func (i *idler) wait() time.Duration {
	wait, now := idleEvery, steady()
	for shard := range i.due {
		if due := time.Duration(i.due[shard].Load()) - now; due > -idleEvery {
			wait = min(wait, max(due, idleLeast))
		}
	}
	return wait
}
