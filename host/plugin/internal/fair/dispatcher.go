package fair

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Short is how long a call may run before it counts as a long one. Nearly all calls
	// of a storage engine end within a tenth of it.
	Short = 250 * time.Microsecond

	// Quantum is how long a long call runs before it gives its turn to another long call.
	// A change costs about ten microseconds, most of it for changing threads.
	Quantum = time.Millisecond

	// Noticed is how long a call runs before the dispatcher notices it. Calls that are
	// shorter take no longer than the rest of a request.
	Noticed = 100 * time.Microsecond

	// tell is the fuel that a call may use before it tells its flow, if nobody waits. Telling
	// takes a lock that all calls share.
	tell = 1 << 20

	// quietTells is after how many tells during which no call waited or was noticed the
	// dispatcher goes back to letting calls run without turns.
	quietTells = 32
)

// Dispatcher has the turns that the calls of all flows share.
type Dispatcher struct {
	turns, mostLong int
	strict          bool

	// engaged says that calls take turns. It is seldom written, and every call reads it.
	engaged atomic.Bool
	_       [64]byte // so that nothing else shares its cache line

	// word is the number of calls that wait, in the upper half, and that of free turns, in
	// the lower. They are in one word so that no release can miss a call that has begun to
	// wait.
	word atomic.Uint64
	_    [56]byte

	work atomic.Int32 // other work that keeps a processor busy; see [Dispatcher.Work]

	mu      sync.Mutex
	virtual int64 // the tag of the call that was let in last
	long    int   // turns that long calls hold
	quiet   int   // tells in a row during which no call waited or was noticed
	waits   [kinds]flows
	arrived uint64 // calls that have waited so far, which tells equals apart
}

const oneWaits = 1 << 32

// The kinds of calls that wait.
const (
	short = iota
	long
	kinds
)

// New makes a dispatcher with that many turns, at least one. A strict one bounds the calls
// that run at once always, and any other only from when it notices a call until nothing has waited
// for a while: before that, calls are so short that their order does not matter.
func New(turns int, strict bool) *Dispatcher {
	turns = max(turns, 1)
	d := &Dispatcher{turns: turns, mostLong: max(turns-1, 1), strict: strict}
	d.waits[long].kind = long
	d.word.Store(uint64(turns))
	d.engaged.Store(strict)
	return d
}

// Stats is what a dispatcher does at this moment.
type Stats struct {
	Running int  // calls that have a turn
	Long    int  // of these, long ones
	Waiting int  // calls that wait
	Engaged bool // calls take turns
}

// Stats returns what the dispatcher does at this moment.
func (d *Dispatcher) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.word.Load()
	return Stats{Running: d.turns - int(uint32(w)), Long: d.long, Waiting: int(w >> 32), Engaged: d.engaged.Load()}
}

// Work tells that something else begins to keep a processor busy for long, such as
// compiling; the function that it returns tells the end. While long calls and such work
// together would leave no turn for a short call, long calls rest after each slice.
func (d *Dispatcher) Work() (ends func()) {
	d.work.Add(1)
	return sync.OnceFunc(func() { d.work.Add(-1) })
}

// engage makes calls take turns from now on. The caller holds the lock.
func (d *Dispatcher) engage() {
	d.quiet = 0
	d.engaged.Store(true)
}

// tells counts towards the end of taking turns. The caller holds the lock.
func (d *Dispatcher) tells() {
	if d.strict || d.long > 0 || d.word.Load() >= oneWaits {
		d.quiet = 0
		return
	}
	if d.quiet++; d.quiet >= quietTells {
		d.engaged.Store(false)
	}
}

// single reports whether there is only one turn, which a long call must give up for short
// ones.
func (d *Dispatcher) single() bool { return d.turns == 1 }

// take takes a free turn if no call waits.
func (d *Dispatcher) take() bool {
	for {
		w := d.word.Load()
		if w >= oneWaits || w == 0 {
			return false
		}
		if d.word.CompareAndSwap(w, w-1) {
			return true
		}
	}
}

// takeFirst takes a free turn whoever waits. The caller holds the lock.
func (d *Dispatcher) takeFirst() bool {
	for {
		w := d.word.Load()
		if uint32(w) == 0 {
			return false
		}
		if d.word.CompareAndSwap(w, w-1) {
			return true
		}
	}
}

// give makes a turn free, and reports whether a call waits.
func (d *Dispatcher) give() (waited bool) { return d.word.Add(1) >= oneWaits }

// dispatch lets calls in that may run now. The caller holds the lock.
func (d *Dispatcher) dispatch() {
	for {
		f, kind := d.next()
		if f == nil || !d.takeFirst() {
			return
		}
		c := f.waiting[kind][0]
		f.leaves(kind, c)
		d.virtual = max(d.virtual, f.tag)
		c.starts()
		c.ready <- struct{}{} // has room for one
	}
}

// next returns the flow whose call should run next, or nil. The caller holds the lock.
func (d *Dispatcher) next() (*Flow, int) {
	f, g := d.waits[short].first(), d.waits[long].first()
	if g == nil || d.long >= d.mostLong {
		return f, short
	}
	if f == nil || before(g, f, long, short) {
		return g, long
	}
	return f, short
}
