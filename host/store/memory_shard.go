package store

import "sync"

// memoryShard keeps its records in a slice, so that a sweep can resume where the
// last one ended. The order of a map does not allow that.
type memoryShard struct {
	mu      sync.Mutex
	closed  bool
	index   map[string]int // from key to position in records
	records []memoryRecord
	gaps    []int // free positions in records
	next    int   // the position where the next sweep begins

	_ [48]byte // no two shards' locks in one line of a processor's cache, or in a pair of them
}

// memoryRecord is a gap if its key is empty.
type memoryRecord struct {
	key     string
	value   []byte
	expires Millis
}

func (r *memoryRecord) expired(now Millis) bool { return r.expires != 0 && now >= r.expires }

// Bounds on the records that a write checks for expiry. Each write adds at most one
// record and looks at two. So half as many writes as the shard has records cover the
// whole shard, and it holds at most twice as many records as are alive. Where one
// record has expired, others probably have too, so the search goes on: a burst of
// visitors who never come back is forgotten soon. The second number keeps one write
// from paying for all of them.
const (
	looksPerWrite = 2
	mostPerWrite  = 16
)

// leastToGiveBack is the least room, in records, from which a shard gives memory
// back.
const leastToGiveBack = 1024

// find returns the record of a key, or nil if there is none or it has expired.
func (s *memoryShard) find(key []byte, now Millis) *memoryRecord {
	if i, ok := s.index[string(key)]; ok && !s.records[i].expired(now) {
		return &s.records[i]
	}
	return nil
}

// put stores a record under a key, replacing any other.
func (s *memoryShard) put(key, value []byte, expires Millis) {
	if i, ok := s.index[string(key)]; ok {
		r := &s.records[i]
		r.value, r.expires = replaced(r.value, value), expires
		return
	}
	i := len(s.records)
	if last := len(s.gaps) - 1; last >= 0 {
		i, s.gaps = s.gaps[last], s.gaps[:last]
	} else {
		s.records = append(s.records, memoryRecord{})
	}
	s.records[i] = memoryRecord{string(key), replaced(nil, value), expires}
	s.index[s.records[i].key] = i
}

// replaced returns a copy of a value, in the memory of the old one if that has room and
// is not far too large. Nobody else has it: reads are copies.
func replaced(old, value []byte) []byte {
	if len(value) > cap(old) || len(value) < cap(old)/2 {
		old = nil
	}
	return append(old[:0], value...) // with all the room that the allocator gives
}

func (s *memoryShard) remove(key []byte) {
	if i, ok := s.index[string(key)]; ok {
		s.removeAt(i)
	}
}

func (s *memoryShard) removeAt(i int) {
	delete(s.index, s.records[i].key)
	s.records[i] = memoryRecord{}
	s.gaps = append(s.gaps, i)
	if len(s.records) >= leastToGiveBack && len(s.index) < len(s.records)/4 {
		s.giveBack()
	}
}

// giveBack moves the records to memory of their size. It keeps their order, so that
// a sweep finds its place again. A map never gives memory back by itself.
func (s *memoryShard) giveBack() {
	old, next := s.records, s.next
	s.clear()
	s.index, s.records = make(map[string]int, len(old)/4), make([]memoryRecord, 0, len(old)/4)
	for i, r := range old {
		if i == next {
			s.next = len(s.records)
		}
		if r.key != "" {
			s.index[r.key] = len(s.records)
			s.records = append(s.records, r)
		}
	}
}

// sweepSome runs with each write, by the time that steadyTime believes.
func (s *memoryShard) sweepSome(now Millis) {
	if s.sweep(looksPerWrite, now) == 0 {
		return
	}
	for range mostPerWrite - looksPerWrite {
		if s.sweep(1, now) == 0 {
			return
		}
	}
}

// sweep looks at that many records and removes those that have expired.
func (s *memoryShard) sweep(looks int, now Millis) (removed int) {
	for range looks {
		if s.next >= len(s.records) {
			s.next = 0
		}
		if len(s.records) == 0 {
			return removed
		}
		s.next++
		if i := s.next - 1; s.records[i].key != "" && s.records[i].expired(now) {
			s.removeAt(i)
			removed++
		}
	}
	return removed
}

func (s *memoryShard) clear() {
	s.index, s.records, s.gaps, s.next = make(map[string]int), nil, nil, 0
}
