package plugin

import (
	"sync"
	"sync/atomic"
)

// seats are the guests of a host that take turns on executors and are awake, in the order in which they
// were used. It puts some to sleep when there are too many, or when something that they
// take is wanted elsewhere.
type seats struct {
	most   int // that are awake at once, 0 for no bound
	memory *budget

	mu    sync.Mutex
	awake int // with those that are about to be
	// A guest whose memory was counted, and all that were used before it, are in rests; the
	// others are in uses. The last used is the first of its list.
	uses, rests seatList
	asleep      int

	woken, switches atomic.Uint64

	making sync.Mutex // room
}

func newSeats(most int, b *budgets) *seats {
	h := &seats{most: most, memory: b.memory}
	for _, b := range []*budget{b.memory, b.space, b.mappings} {
		b.reclaim = func(n int64) bool { return h.reclaim(b, n) }
	}
	return h
}

func (h *seats) stats() SharedStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return SharedStats{Awake: h.awake, Asleep: h.asleep, Wakes: h.woken.Load(), Switches: h.switches.Load()}
}

// admit makes room for one that will be awake, and counts it. All others may be in calls, so that
// there are more for as long as these take.
func (h *seats) admit() {
	for {
		h.mu.Lock()
		if h.most <= 0 || h.awake < h.most {
			break
		}
		h.mu.Unlock()
		h.making.Lock()
		slept := h.lull(func() bool { return !h.full() })
		h.making.Unlock()
		h.mu.Lock()
		if !slept {
			break
		}
		h.mu.Unlock()
	}
	h.awake++
	h.mu.Unlock()
}

func (h *seats) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.awake >= h.most
}

// leaves takes one back that was admitted and did not come.
func (h *seats) leaves() {
	h.mu.Lock()
	h.awake--
	h.mu.Unlock()
}

// join adds one that was admitted.
func (h *seats) join(s *seat) {
	h.mu.Lock()
	h.uses.pushFront(s)
	h.mu.Unlock()
}

// wakes adds one that was admitted and slept.
func (h *seats) wakes(s *seat) {
	h.woken.Add(1)
	h.mu.Lock()
	h.asleep--
	h.uses.pushFront(s)
	h.mu.Unlock()
}

// sleeps takes one out that sleeps now.
func (h *seats) sleeps(s *seat) {
	h.mu.Lock()
	h.remove(s)
	h.awake--
	h.asleep++
	h.mu.Unlock()
}

// gone takes one out that is closed, asleep or not.
func (h *seats) gone(s *seat) {
	h.mu.Lock()
	if s.list != nil {
		h.remove(s)
		h.awake--
	} else {
		h.asleep--
	}
	h.mu.Unlock()
}

// use notes that a guest is used. It is not told of each call of one that stays on its
// executor, which sets recent instead.
func (h *seats) use(s *seat) {
	h.mu.Lock()
	h.remove(s)
	h.uses.pushFront(s)
	h.mu.Unlock()
	s.recent.Store(false)
}

// counted notes that the memory of an idle guest was counted.
func (h *seats) counted(s *seat) {
	h.mu.Lock()
	h.remove(s)
	h.rests.pushFront(s)
	h.mu.Unlock()
}

func (h *seats) remove(s *seat) { s.list.remove(s) }

// reclaim makes room for n more of a budget and takes it, if it can. Nobody is in a call of the
// guests that it chooses, and none of their code runs.
func (h *seats) reclaim(b *budget, n int64) bool {
	h.making.Lock()
	defer h.making.Unlock()
	enough := func() bool { return b.tryTake(n) } // others may take what was made room for
	return b == h.memory && h.count(enough) || h.lull(enough)
}

// count counts the memories of guests, the least recently used first, until that is enough.
func (h *seats) count(enough func() bool) bool {
	for tries := h.len(); tries > 0; tries-- {
		if enough() {
			return true
		}
		s := h.next(&h.uses)
		if s == nil {
			return false
		}
		s.machine.idle(s.shard, func() {
			if s.room.awake() { // it may have failed or gone to sleep since
				s.room.count()
				h.counted(s)
			}
		})
	}
	return false
}

// lull puts guests to sleep, the least recently used first, until that is enough.
func (h *seats) lull(enough func() bool) bool {
	for tries := h.len(); tries > 0; tries-- {
		if enough() {
			return true
		}
		s := h.next(&h.rests)
		if s == nil {
			s = h.next(&h.uses)
		}
		if s == nil {
			break
		}
		s.machine.doze(s.shard)
	}
	return enough()
}

// next returns the least recently used of a list, and makes it the first of all, so that
// one that is in a call does not come again.
func (h *seats) next(l *seatList) *seat {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range l.n + 1 { // all may have been used
		s := l.last
		if s == nil {
			return nil
		}
		h.remove(s)
		h.uses.pushFront(s)
		if !s.recent.Swap(false) {
			return s
		}
	}
	return nil
}

func (h *seats) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.uses.n + h.rests.n
}

// seatList is a list of seats.
type seatList struct {
	first, last *seat
	n           int
}

func (l *seatList) pushFront(s *seat) {
	s.list, s.prev, s.next = l, nil, l.first
	if l.first == nil {
		l.last = s
	} else {
		l.first.prev = s
	}
	l.first = s
	l.n++
}

// remove takes a seat out of its list.
func (l *seatList) remove(s *seat) {
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.list, s.prev, s.next = nil, nil, nil
	l.n--
}
