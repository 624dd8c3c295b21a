package plugin

import (
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
)

// slice is the most fuel after which a guest's code gives Go control. Native code cannot be
// interrupted, so this is also how long the garbage collector may have to wait for it:
// 0.3 ms as a rule. If each read is far from the one before it is 50 ms, and if each write
// takes a new page of memory it is what the system needs for those. An instance therefore begins with
// firstSlice, and gets smaller ones when they take longer than slowLap.
const (
	slice      = 1 << 20
	firstSlice = 1 << 14
	leastSlice = 1 << 12
	slowLap    = time.Millisecond
)

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
	depth   api.MutableGlobal // bytes of stack that are left, up to shallow or up to DepthLimit
	deep    bool              // the call has got more than shallow
	allowed bounds            // of this call
	has     int64             // what left holds between calls, 0 if that is not known
	given   int64             // fuel given to this call so far
	slice   int64             // that the next one is
	ran     time.Duration
	watch   stopwatch

	waited  time.Duration // in functions of the host, in this call
	entered time.Time     // the last of them that may wait

	turn *fair.Call // of the instance
	told int64      // fuel of this call that the dispatcher knows of

	used   *uint64 // by all calls that have ended
	owing  int64   // of used, what those who share were not yet told
	shared *meters
	shard  int

	_ [48]byte // so that no two meters share a cache line
}

// newMeter makes a meter that counts on no executor yet.
func newMeter(shared *meters, shard int, turn *fair.Call, used *uint64) *meter {
	return &meter{slice: firstSlice, shared: shared, shard: shard, turn: turn, used: used}
}

// moves makes the meter count on other globals.
func (m *meter) moves(left, depth api.MutableGlobal) { m.left, m.depth, m.has = left, depth, 0 }

// begin starts a call. What the last one has left of its slice is enough for most, and setting
// the global costs as much as all else that a meter does for a short call.
func (m *meter) begin(allowed *bounds) {
	m.allowed, m.ran, m.waited, m.told = *allowed, 0, 0, 0
	if m.has < m.slice-m.slice/8 || m.has > min(m.slice, allowed.fuel) {
		m.has = min(m.slice, allowed.fuel)
		m.left.Set(uint64(m.has))
	}
	m.given = m.has
}

// end ends a call that has left so much of its slice, and returns the fuel that the dispatcher does not
// know of yet.
func (m *meter) end(left int64) (untold int64) {
	if m.watch.started {
		m.watch.stop()
	}
	m.has = left
	used := m.given - m.has
	*m.used += uint64(used)
	if m.owing += used; m.owing >= slice {
		m.settle()
	}
	return used - m.told
}

// settle tells others what was used: the allowance, and whoever reads statistics. Telling them at each
// call would make cores write to places that others read.
func (m *meter) settle() {
	m.shared.add(m.shard, m.owing)
	m.shared.spend(m.owing)
	m.owing = 0
}

// next gives the next slice, or ends the call by a panic with an [exceeded]. The guest
// calls it, by the function that the rewriter added, when a slice is used up or the stack
// is.
func (m *meter) next() {
	m.deepen()
	used := m.given - int64(m.left.Get())
	if used > m.allowed.fuel {
		panic(&exceeded{kind: ErrFuel, allowed: m.allowed.fuel, used: used})
	}
	// Most calls end within their first slice, which is therefore not timed.
	if m.watch.started {
		lap := m.watch.lap()
		m.ran += lap
		m.pace(lap)
	} else {
		m.watch.start()
		m.pace(0)
	}
	if m.ran > m.allowed.time {
		panic(&exceeded{kind: ErrDeadline, allowed: int64(m.allowed.time), used: int64(m.ran)})
	}
	m.share()
	more := min(m.slice, m.allowed.fuel-used)
	m.given = used + more
	m.left.Set(uint64(more))
}

// pace decides how large slices are, by the time that the last one took, or by 0 if that was
// short or is not known. It has no influence on how much fuel a call uses, nor on where it ends.
func (m *meter) pace(lap time.Duration) {
	if lap > slowLap {
		m.slice = max(int64(float64(m.slice)*float64(slowLap)/float64(lap)), leastSlice)
	} else if lap < slowLap/2 {
		m.slice = min(2*m.slice, slice)
	}
}

// leastWait is how long a call may wait in functions of the host, however short its
// deadline is. Nobody can tell a wait for a disk from one for a processor, and a guest must
// not fail because the machine is busy. What it computes meanwhile has bounds of its own.
const leastWait = DefaultDeadline

// shallow is the stack that a call gets at first. The engine keeps the stack that a call
// took, so one that was deeper leaves an instance with much that it may never need again.
const shallow = 256 << 10

// deepen gives a call the rest of the stack when it has used up the first part, or ends it.
func (m *meter) deepen() {
	left := int64(m.depth.Get())
	if left >= 0 {
		return
	}
	if !m.deep {
		left += rewrite.DepthLimit - shallow
	}
	if left < 0 {
		panic(&exceeded{kind: ErrDepth, allowed: rewrite.DepthLimit, used: rewrite.DepthLimit - left})
	}
	m.deep = true
	m.depth.Set(uint64(left))
}

// surfaced reports whether the call that has ended went deep.
func (m *meter) surfaced() bool {
	if !m.deep {
		return false
	}
	m.deep = false
	m.depth.Set(shallow)
	return true
}

// wait and waitEnds stand around what a function of the host may wait for. The wait is
// bounded by itself.
func (m *meter) wait() { m.entered = time.Now() }

func (m *meter) waitEnds() {
	m.waited += time.Since(m.entered)
	if most := max(m.allowed.time, leastWait); m.waited > most {
		panic(&exceeded{kind: ErrDeadline, allowed: int64(most), used: int64(m.waited), waiting: true})
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
