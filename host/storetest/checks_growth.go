package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

func growthTests() []Test {
	return []Test{
		{Name: "growth/many-records", Section: secLimits, Requires: "a guest stays within memory_limit: it evicts, or answers NO_SPACE; and what it holds is right",
			Run: func(p *Probe) {
				n := 10_000
				if p.suite.have&needDurable != 0 {
					n = 3000 // every one goes to the disk
				}
				grow(p, n)
			}},
		{Name: "growth/long-values", Section: secLimits, Requires: "a guest stays within memory_limit: it evicts, or answers NO_SPACE; and what it holds is right",
			Run: func(p *Probe) {
				s := p.Store()
				size := p.ValueSize(100_000)
				held := make(map[int]bool)
				for i := range 60 {
					if held[i] = s.fits(store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: filled(uint64(i+1), size), Now: Now}); !held[i] {
						break
					}
				}
				for i := range len(held) {
					s.getOrGone(fmt.Appendf(nil, "key %d", i), Now, filled(uint64(i+1), size), held[i])
				}
			}},
		{Name: "growth/full", Section: secResults, Requires: "a guest that is full evicts, or answers NO_SPACE and has changed nothing; it continues when there is room again",
			Run: func(p *Probe) { fill(p) }},
	}
}

// grow stores more and more records and checks all of them from time to time.
func grow(p *Probe, n int) {
	s := p.Store()
	key := func(i int) []byte { return fmt.Appendf(nil, "session %d", i) }
	size := func(i int) int { return 40 + i*7%160 }
	held, next, kept := 0, 100, p.Records(min(n, 2000), LeastRecords)
	look := func() {
		for i := range held {
			got, err := s.TryGet(key(i), Now)
			if errors.Is(err, store.ErrNotFound) && held > kept {
				continue
			} else if err != nil {
				s.end(err, "the value "+bytesInWords(filled(uint64(i+1), size(i))))
			}
			if want := filled(uint64(i+1), size(i)); !equal(got, want) {
				p.Fail(differ(got, want), "the value "+bytesInWords(want))
			}
		}
	}
	for ; held < n; held++ {
		if !s.fits(store.Write{Key: key(held), Value: filled(uint64(held+1), size(held)), Now: Now}) {
			break
		}
		if held == next {
			look()
			next *= 3
			p.Progress(held, n)
		}
	}
	look()
}

// fits stores a value, or returns false if there is no room.
func (s *Subject) fits(w store.Write) bool {
	err := s.TrySet(w)
	if errors.Is(err, store.ErrNoSpace) {
		return false
	}
	s.want(err, nil)
	return true
}

// getOrGone requires the value, or its absence if it was not kept or has been
// dropped.
func (s *Subject) getOrGone(key []byte, now store.Millis, want []byte, held bool) (found bool) {
	got, err := s.TryGet(key, now)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	s.want(err, nil)
	if !held {
		s.probe.Fail("the value "+bytesInWords(got), "NOT_FOUND, since it was not stored")
	}
	if !equal(got, want) {
		s.probe.Fail(differ(got, want), "the value "+bytesInWords(want)+", or NOT_FOUND")
	}
	return true
}

// fill stores more than fits into a small memory.
func fill(p *Probe) {
	// Some engines need more memory from the start.
	var s *Subject
	limit := int64(8 << 20)
	for ; ; limit *= 2 {
		var err error
		if s, err = p.TryOpen(Setup{Shards: 1, MemoryLimit: limit}); err == nil {
			break
		}
		if limit >= 256<<20 {
			p.Fail("it does not open with a memory of "+fmt.Sprint(limit)+" bytes: "+err.Error(), "a store that opens")
		}
	}
	size := min(16<<10, p.Options().MaxValue)
	n := int(limit/int64(size)) * 5 / 4
	if p.suite.have&needDurable != 0 {
		n /= 2 // it is bound by the disk, and slower
	}
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	body := func(i, turn int) []byte { return filled(uint64(turn*100_000+i+1), size-i%64) }
	stored := 0
	for ; stored < n; stored++ {
		if !s.fits(store.Write{Key: key(stored), Value: body(stored, 0), Now: Now, Expect: store.Absent}) {
			break
		}
		if stored%64 == 0 {
			p.Progress(stored, n)
		}
	}
	full := stored < n
	if full {
		s.Absent(key(stored), Now) // a refused record is not there
	}
	// Overwriting with more is refused in the end, and then changes nothing. A
	// store may evict some records before it refuses others.
	larger, evicts := make(map[int][]byte), false
	for i := range min(stored, 50) {
		there := s.getOrGone(key(i), Now, body(i, 0), true)
		evicts = evicts || !there
		v := filled(uint64(100_001+i), min(size*3/2, p.Options().MaxValue))
		if s.fits(store.Write{Key: key(i), Value: v, Now: Now}) {
			larger[i] = v
			s.getOrGone(key(i), Now, v, true)
			continue
		}
		if full = true; there {
			s.Get(key(i), Now, body(i, 0))
		} else {
			s.Absent(key(i), Now)
		}
	}
	found := 0
	for i := range stored {
		want := body(i, 0)
		if larger[i] != nil {
			want = larger[i]
		}
		if full && !evicts {
			s.Get(key(i), Now, want)
			found++
		} else if s.getOrGone(key(i), Now, want, true) {
			found++
		}
	}
	if found == 0 {
		p.Failf("that it holds some of them", "none of %d records is there", stored)
	}
	for i := 0; i < stored; i += 2 {
		s.Delete(key(i), Now)
	}
	if !s.fits(store.Write{Key: k("again"), Value: body(1, 2), Now: Now}) {
		p.Fail("NO_SPACE after half of the records, of the same size, were deleted", "success")
	}
	if !p.has(needClear) {
		return
	}
	s.Clear(Now)
	for i := range min(stored, 100) {
		if !s.fits(store.Write{Key: key(i), Value: body(i, 3), Now: Now, Expect: store.Absent}) {
			if i < stored/2 {
				p.Failf("success", "NO_SPACE for record %d after all were cleared, although there was room for %d before", i, stored)
			}
			break
		}
		s.Get(key(i), Now, body(i, 3))
	}
}
