package plugin

import (
	"context"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// guestNetwork is the network of a plugin.
type guestNetwork struct {
	*network.Network
	wait time.Duration // of one call in all

	// ending ends the waits of calls under way when the plugin is closed.
	ending chan struct{}
	end    sync.Once
}

// closeWait is how long calls under way may go on waiting when the plugin is closed: answers that
// are on their way still come, and a server that does not answer holds nobody up.
const closeWait = 250 * time.Millisecond

// ends lets the calls under way wait for a moment more, no longer than the context lasts, and
// returns what gives it back.
func (n *guestNetwork) ends(ctx context.Context) (release func()) {
	if n == nil {
		return func() {}
	}
	end := func() { n.end.Do(func() { close(n.ending) }) }
	timer, stop := time.AfterFunc(closeWait, end), context.AfterFunc(ctx, end)
	return func() {
		timer.Stop()
		stop()
	}
}

// closing is the context of calls that Close makes itself. They wait until it ends.
type closing struct{ context.Context }

// connections are those of an instance, and how long its call may wait for them. Only the
// goroutine that is in the call uses them.
//
// A region of the guest's memory may be held over a wait. Only the guest could make its memory
// move, by growing it, and it does not run as long as its call is in a function of the host: an
// instance has one thread, and neither the host nor another instance grows or frees a memory that is
// in a call.
type connections struct {
	*network.Table
	inst    *instance
	blocked map[int32]bool // descriptors that the guest has set to wait

	polling polling

	most  time.Duration // that a call may wait
	left  time.Duration // that this one may
	spent time.Time     // when a wait was first refused for that; zero if none was
}

func newConnections(inst *instance, n *guestNetwork) *connections {
	return &connections{Table: n.Open(), inst: inst, most: n.wait}
}

// callBegins gives a call its time.
func (c *connections) callBegins() { c.left, c.spent = c.most, time.Time{} }

// lateWait is for how long a call may go on asking after its waiting was refused. One in which many
// goroutines wait takes a while to tell them all.
const lateWait = 2 * time.Second

// wait calls f, which waits no longer than until a moment, and returns its errno. If f finds nothing
// until then it returns EAGAIN. A timeout of less than 0 is as long as the call may wait.
func (c *connections) wait(timeout time.Duration, f func(network.Until) int32) int32 {
	if timeout == 0 {
		return f(network.Until{})
	}
	began := time.Now()
	left, end := c.bounds(began)
	if left <= 0 {
		if errno := f(network.Until{}); errno != abi.ErrnoAgain {
			return errno
		}
		return c.late(began)
	}
	until := network.Until{At: began.Add(left), Done: end}
	if timeout > 0 && timeout < left {
		until.At = began.Add(timeout)
	}
	errno := int32(0)
	c.inst.awaits(func() { errno = f(until) })
	waited := time.Since(began)
	if c.left -= waited; errno == abi.ErrnoAgain && (waited >= left || isDone(end)) {
		return c.late(began.Add(waited))
	}
	return errno
}

// bounds returns how long the call may wait from now on, and what ends that sooner.
func (c *connections) bounds(now time.Time) (left time.Duration, end <-chan struct{}) {
	left, end = c.left, c.inst.machine.network.ending
	if caller := c.inst.register.Caller; caller != nil {
		if deadline, ok := caller.Deadline(); ok {
			left = min(left, deadline.Sub(now))
		}
		if own, ok := caller.(closing); ok {
			end = own.Done()
		}
	}
	if isDone(end) {
		left = 0
	}
	return left, end
}

// late refuses to wait. A call that goes on asking is ended: it would never return, and only a
// guest that is metered has another bound.
func (c *connections) late(now time.Time) int32 {
	if c.spent.IsZero() {
		c.spent, c.left = now, 0
		c.inst.machine.limits.count(LimitNetworkWait)
	}
	if late := now.Sub(c.spent); late > lateWait {
		panic(&exceeded{kind: ErrDeadline, allowed: int64(lateWait), used: int64(late), network: true})
	}
	return abi.ErrnoTimedOut
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// awaits calls a function that waits for a network. Meanwhile the call has no turn, and does not
// run.
func (inst *instance) awaits(f func()) {
	timed := inst.meter != nil && inst.meter.watch.started
	if timed {
		inst.meter.ran += inst.meter.watch.finish()
	}
	inst.aside(f)
	if timed {
		inst.meter.watch.start()
	}
}
