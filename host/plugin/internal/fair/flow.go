package fair

import (
	"container/heap"
	"slices"
	"sync/atomic"
	"time"
)

// Flow is what the calls of one plugin have in common. It gets the same share as any
// other flow, however many calls it has.
type Flow struct {
	d *Dispatcher

	// Guarded by the dispatcher's lock.
	tag     int64 // the virtual time of its next call
	waiting [kinds][]*Call
	index   [kinds]int    // in the heap
	since   [kinds]uint64 // when the first of waiting came

	waits  atomic.Uint64
	waited atomic.Int64
}

// Flow makes a flow. It needs no closing.
func (d *Dispatcher) Flow() *Flow { return &Flow{d: d} }

// Waited returns how many calls had to wait for a turn so far, and for how long together.
func (f *Flow) Waited() (calls uint64, sum time.Duration) {
	return f.waits.Load(), time.Duration(f.waited.Load())
}

// spend adds fuel that was used. The caller holds the lock.
func (f *Flow) spend(fuel int64) {
	d := f.d
	start := max(f.tag, d.virtual)
	if d.word.Load() < oneWaits {
		// Nobody waits, so the call was let in when it came, and the time goes on with it.
		d.virtual = start
	}
	f.tag = start + fuel
	for kind := range f.waiting {
		if len(f.waiting[kind]) > 0 {
			heap.Fix(&d.waits[kind], f.index[kind])
		}
	}
}

// joins lets a call wait. The caller holds the lock.
func (f *Flow) joins(kind int, c *Call) {
	d := f.d
	if c.ready == nil {
		c.ready = make(chan struct{}, 1)
	}
	if len(f.waiting[short])+len(f.waiting[long]) == 0 {
		f.tag = max(f.tag, d.virtual)
	}
	d.arrived++
	c.arrived = d.arrived
	d.word.Add(oneWaits)
	f.waiting[kind] = append(f.waiting[kind], c)
	if len(f.waiting[kind]) == 1 {
		f.since[kind] = c.arrived
		heap.Push(&d.waits[kind], f)
	}
}

// leaves takes a call that waits out of the line. The caller holds the lock.
func (f *Flow) leaves(kind int, c *Call) {
	d := f.d
	d.word.Add(^uint64(oneWaits - 1))
	i := slices.Index(f.waiting[kind], c)
	f.waiting[kind] = slices.Delete(f.waiting[kind], i, i+1)
	if len(f.waiting[kind]) == 0 {
		heap.Remove(&d.waits[kind], f.index[kind])
	} else {
		f.since[kind] = f.waiting[kind][0].arrived
		heap.Fix(&d.waits[kind], f.index[kind])
	}
}

// before reports whether a call of f, of kind k, comes before one of g, of kind l.
func before(f, g *Flow, k, l int) bool {
	if f.tag != g.tag {
		return f.tag < g.tag
	}
	return f.since[k] < g.since[l]
}

// flows has the flow whose call of a kind should run next at the front.
type flows struct {
	kind int
	all  []*Flow
}

func (h *flows) first() *Flow {
	if len(h.all) == 0 {
		return nil
	}
	return h.all[0]
}

func (h *flows) Len() int           { return len(h.all) }
func (h *flows) Less(i, j int) bool { return before(h.all[i], h.all[j], h.kind, h.kind) }
func (h *flows) Swap(i, j int) {
	h.all[i], h.all[j] = h.all[j], h.all[i]
	h.all[i].index[h.kind], h.all[j].index[h.kind] = i, j
}

func (h *flows) Push(x any) {
	f := x.(*Flow)
	f.index[h.kind] = len(h.all)
	h.all = append(h.all, f)
}

func (h *flows) Pop() any {
	last := len(h.all) - 1
	f := h.all[last]
	h.all[last] = nil
	h.all = h.all[:last]
	return f
}
