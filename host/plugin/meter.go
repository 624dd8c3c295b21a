package plugin

import (
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// slice is the fuel after which a guest's code gives Go control. Native code cannot be
// interrupted, so this is also how long the garbage collector may have to wait for it:
// 0.3 ms as a rule, and 10 ms at worst, when each write takes a new page of memory.
const slice = 1 << 20

// bounds is what one call may take.
type bounds struct {
	fuel int64
	time time.Duration // of running
}

// meter counts the fuel that the calls of one instance use, and ends a call that
// exceeds its bounds. The rewriter has added what charges the fuel to the module: a
// global holds what is left of a slice, and a function of the host is called when there
// is nothing left. Only the goroutine that is in a call uses the meter. In particular,
// nobody else writes to the global: the guest's code would lose such a write.
type meter struct {
	left    api.MutableGlobal // of the slice
	depth   api.Global        // bytes of stack that are left
	allowed bounds            // of this call
	given   int64             // fuel given to this call so far
	ran     time.Duration
	watch   stopwatch

	waited  time.Duration // in functions of the host, in this call
	entered time.Time     // the function of the host that may wait, or zero

	used   uint64 // by all calls that have ended
	owing  int64  // of used, what the allowance was not yet told
	shared *meters
	shard  int
}

func newMeter(module api.Module, shared *meters, shard int) *meter {
	return &meter{
		left:   module.ExportedGlobal(rewrite.FuelExport).(api.MutableGlobal),
		depth:  module.ExportedGlobal(rewrite.DepthExport),
		shared: shared,
		shard:  shard,
	}
}

// begin starts a call.
func (m *meter) begin(allowed bounds) {
	m.allowed, m.given, m.ran, m.waited = allowed, min(slice, allowed.fuel), 0, 0
	m.left.Set(uint64(m.given))
}

// end ends the call, whatever its outcome.
func (m *meter) end() {
	m.watch.stop()
	used := m.given - int64(m.left.Get())
	m.used += uint64(used)
	m.shared.add(m.shard, used)
	if m.owing += used; m.owing >= slice {
		m.settle()
	}
}

// settle tells the allowance what was used. Telling it at each call would make all cores
// write to one place.
func (m *meter) settle() {
	m.shared.spend(m.owing)
	m.owing = 0
}

// next gives the next slice, or ends the call by a panic with an [exceeded]. The guest
// calls it, by the function that the rewriter added, when a slice is used up or the stack
// is.
func (m *meter) next() {
	if left := int64(m.depth.Get()); left < 0 {
		panic(&exceeded{kind: ErrDepth, allowed: rewrite.DepthLimit, used: rewrite.DepthLimit - left})
	}
	used := m.given - int64(m.left.Get())
	if used > m.allowed.fuel {
		panic(&exceeded{kind: ErrFuel, allowed: m.allowed.fuel, used: used})
	}
	// Most calls end within their first slice, which is therefore not timed.
	if m.watch.started {
		m.ran += m.watch.lap()
	} else {
		m.watch.start()
	}
	if m.ran > m.allowed.time {
		panic(&exceeded{kind: ErrDeadline, allowed: int64(m.allowed.time), used: int64(m.ran)})
	}
	more := min(slice, m.allowed.fuel-used)
	m.given = used + more
	m.left.Set(uint64(more))
}

// wait and waitEnds stand around what a function of the host may wait for. The wait is
// bounded as the running is, but by itself: on a busy machine a disk is slow, too.
func (m *meter) wait() { m.entered = time.Now() }

func (m *meter) waitEnds() {
	m.waited += time.Since(m.entered)
	if m.waited > m.allowed.time {
		panic(&exceeded{kind: ErrDeadline, allowed: int64(m.allowed.time), used: int64(m.waited), waiting: true})
	}
}

// charge takes fuel for what a function of the host does.
func (m *meter) charge(fuel int64) {
	left := int64(m.left.Get()) - fuel
	m.left.Set(uint64(left))
	if left < 0 {
		m.next()
	}
}
