package store

import "sync"

// memoryShard keeps its records in a slice, so that a sweep can go on where the
// last one ended, which the order of a map does not allow.
type memoryShard struct {
	mu      sync.Mutex
	closed  bool
	index   map[string]int // of a key in records
	records []memoryRecord
	gaps    []int // in records
	next    int   // is looked at next by a sweep
}

// memoryRecord is a gap if it has no key.
type memoryRecord struct {
	key     string
	value   []byte
	expires Millis
}

func (r *memoryRecord) expired(now Millis) bool { return r.expires != 0 && now >= r.expires }

// What a write looks at for records that have expired. Each write adds one record
// at most. As it looks at two, the whole shard has been looked at when half as many
// writes have been made as it has records, and it holds at most twice as many as are
// alive. Where some have expired, more are likely to have, and the search goes
// on, so that a burst of visitors who never come back is forgotten soon; the second
// number keeps any one write from paying for all of them.
const (
	looksPerWrite = 2
	mostPerWrite  = 16
)

// leastToGiveBack is for how many records a shard has room at least when it gives
// some back.
const leastToGiveBack = 1024

// find returns the record of a key unless there is none, or it has expired.
func (s *memoryShard) find(key []byte, now Millis) *memoryRecord {
	if i, ok := s.index[string(key)]; ok && !s.records[i].expired(now) {
		return &s.records[i]
	}
	return nil
}

// put stores a record under a key, whatever is there.
func (s *memoryShard) put(key, value []byte, expires Millis) {
	value = append(make([]byte, 0, len(value)), value...)
	if i, ok := s.index[string(key)]; ok {
		s.records[i].value, s.records[i].expires = value, expires
		return
	}
	i := len(s.records)
	if last := len(s.gaps) - 1; last >= 0 {
		i, s.gaps = s.gaps[last], s.gaps[:last]
	} else {
		s.records = append(s.records, memoryRecord{})
	}
	s.records[i] = memoryRecord{string(key), value, expires}
	s.index[s.records[i].key] = i
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

// giveBack moves the records to memory of their size, in their order, so that a
// sweep finds its place again. A map never gives any back by itself.
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

// sweepSome is done with each write, by the time that is believed.
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

// sweep looks at so many records and removes those that have expired.
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
