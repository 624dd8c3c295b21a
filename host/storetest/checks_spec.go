package storetest

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/waddle-sessions/waddle/host/store"
)

// pageTests are about what the specification says in one sentence and guests easily
// overlook.
func pageTests() []Test {
	const (
		own = "other enumerations may take place between two chunks: the cursor alone says where an enumeration is"
		n   = 600
	)
	long := func(i int) []byte { return fmt.Appendf(nil, "a longer key, so that there are several chunks, %07d", i) }
	// fill stores records, every third of which is removed while enumerations run.
	fill := func(s *Subject) (stays [][]byte) {
		for i := range n {
			fits(s, long(i), filled(uint64(i+1), 20+i%40))
			if i%3 != 0 {
				stays = append(stays, long(i))
			}
		}
		return stays
	}
	change := func(s *Subject, step int) {
		if i := step * 7 % n; i%3 == 0 {
			s.Delete(long(i), Now)
		}
		if step < n {
			fits(s, long(n+step), value(1, ""))
		}
	}
	return []Test{
		{Name: "keys/two-at-once", Section: secOptional, Requires: own, needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				stays := fill(s)
				list := func() iter.Seq2[[]byte, error] { return store.Keys(s.ctx(), s.target, Now) }
				key := func(key []byte) []byte { return key }
				inTurn(s, change, stays, list, list, key, key)
			}},
		{Name: "snapshot/two-at-once", Section: secOptional, Requires: own, needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				stays := fill(s)
				list := func() iter.Seq2[store.Record, error] { return store.Snapshot(s.ctx(), s.target, Now) }
				key := func(r store.Record) []byte { return r.Key }
				inTurn(s, change, stays, list, list, key, key)
			}},
		{Name: "keys/beside-a-snapshot", Section: secOptional, Requires: own, needs: needKeys | needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				stays := fill(s)
				inTurn(s, change, stays, func() iter.Seq2[[]byte, error] { return store.Keys(s.ctx(), s.target, Now) },
					func() iter.Seq2[store.Record, error] { return store.Snapshot(s.ctx(), s.target, Now) },
					func(key []byte) []byte { return key }, func(r store.Record) []byte { return r.Key })
			}},
		{Name: "expiry/negative-times", Section: secTime, Requires: "times are signed: one before 1970 is negative, and compared like any other",
			Run: func(p *Probe) {
				for _, expires := range []store.Millis{-1, -1000, math.MinInt32, math.MinInt32 * 1000, -1 << 40, -1 << 53} {
					s := p.Store()
					set := func(key string, expires, now store.Millis) {
						s.Set(store.Write{Key: k(key), Value: value(1, key), Expires: expires, Now: now})
					}
					began := expires - 500
					set("key", expires-100, began)
					set("never", 0, began)
					set("later", Now, began)
					set("long gone", expires, began)
					s.Get(k("key"), expires-101, value(1, "key"))
					s.Set(store.Write{Key: k("key"), Value: value(2, "changed"), Expires: expires - 50, Now: expires - 101, Expect: 1})
					s.Get(k("key"), expires-51, value(2, "changed"))
					s.retime(k("key"), value(2, "changed"), expires, expires-51)
					s.Get(k("key"), expires-1, value(2, "changed"))
					s.Absent(k("key"), expires)
					s.Get(k("later"), expires, value(1, "later"))
					s.Get(k("later"), Now-1, value(1, "later"))
					s.Absent(k("long gone"), Now-1)
					s.retime(k("later"), value(1, "later"), expires, Now-1)
					s.Absent(k("later"), Now-1)
					set("written as past", expires, Now)
					s.Absent(k("written as past"), Now)
					s.Get(k("never"), Now, value(1, "never"))
				}
			}},
	}
}

// fits stores a value, or skips the check if the store is too small for it.
func fits(s *Subject, key, value []byte) {
	err := s.TrySet(store.Write{Key: key, Value: value, Now: Now})
	if errors.Is(err, store.ErrNoSpace) {
		s.probe.Skip("the store has no room for the records that several chunks take")
	}
	s.want(err, nil)
}

// inTurn runs two enumerations a step at a time, with changes in between, and a
// third one that is abandoned. It requires both to have everything that stays
// throughout.
func inTurn[A, B any](s *Subject, change func(s *Subject, step int), stays [][]byte, first func() iter.Seq2[A, error], second func() iter.Seq2[B, error],
	keyOfA func(A) []byte, keyOfB func(B) []byte) {
	p := s.probe
	nextA, stopA := iter.Pull2(first())
	defer stopA()
	nextB, stopB := iter.Pull2(second())
	defer stopB()
	seenA, seenB := make(map[string]bool), make(map[string]bool)
	for step, moreA, moreB := 1, true, true; moreA || moreB; step++ {
		if moreA {
			var a A
			var err error
			if a, err, moreA = nextA(); moreA {
				s.want(err, nil)
				seenA[string(keyOfA(a))] = true
			}
		}
		// The second one begins later, and goes twice as fast.
		for range 2 {
			if moreB && step > 20 {
				var b B
				var err error
				if b, err, moreB = nextB(); moreB {
					s.want(err, nil)
					seenB[string(keyOfB(b))] = true
				}
			}
		}
		change(s, step)
		if step%100 == 50 {
			for _, err := range first() {
				s.want(err, nil)
				break
			}
		}
	}
	for which, seen := range []map[string]bool{seenA, seenB} {
		for _, key := range stays {
			if seen[string(key)] {
				continue
			}
			// A cache may have dropped it meanwhile.
			if _, err := s.TryGet(key, Now); !errors.Is(err, store.ErrNotFound) {
				p.failAbout(key, fmt.Sprintf("the key %s is missing among %d of enumeration %d of two", bytesInWords(key), len(seen), which+1), everyKey)
			}
		}
	}
}
