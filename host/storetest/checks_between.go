package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/host/store"
)

// betweenTests are about what happens between the chunks of an enumeration, and where
// chunks end.
func betweenTests() []Test {
	return []Test{
		{Name: "keys/reads-meanwhile", Section: secOptional, needs: needKeys,
			Requires: everyKey + ", whatever calls other than writes come between two chunks",
			Run:      func(p *Probe) { notAWriteMeanwhile(p, keysOf) }},
		{Name: "snapshot/reads-meanwhile", Section: secOptional, needs: needSnapshot,
			Requires: "a record that is stored throughout the enumeration appears at least once, whatever calls other than writes come between two chunks",
			Run:      func(p *Probe) { notAWriteMeanwhile(p, recordsOf) }},
		{Name: "snapshot/overwritten-meanwhile", Section: secOptional, needs: needSnapshot,
			Requires: "a record that is stored throughout the enumeration appears at least once, with either value if it is overwritten meanwhile",
			Run:      overwrittenMeanwhile},
		{Name: "keys/ends-of-chunks", Section: secOptional, needs: needKeys,
			Requires: everyKey + ", wherever a chunk ends",
			Run:      func(p *Probe) { endsOfChunks(p, keysOf, 4, 0) }},
		{Name: "snapshot/ends-of-chunks", Section: secOptional, needs: needSnapshot,
			Requires: "a record that is stored throughout the enumeration appears at least once, wherever a chunk ends",
			Run:      func(p *Probe) { endsOfChunks(p, recordsOf, 16, 24) }},
		{Name: "keys/gaps", Section: secOptional, needs: needKeys,
			Requires: everyKey + ", however many were removed before it",
			Run:      func(p *Probe) { gaps(p, keysOf) }},
		{Name: "snapshot/gaps", Section: secOptional, needs: needSnapshot,
			Requires: "a record that is stored throughout the enumeration appears at least once, however many were removed before it",
			Run:      func(p *Probe) { gaps(p, recordsOf) }},
	}
}

// enumeration is Keys or Snapshot: it returns how often each key was named, and calls
// during with each.
type enumeration func(s *Subject, now store.Millis, during func(key []byte)) map[string]int

func keysOf(s *Subject, now store.Millis, during func([]byte)) map[string]int {
	return s.Keys(now, during)
}

func recordsOf(s *Subject, now store.Millis, during func([]byte)) map[string]int {
	named := make(map[string]int)
	for key := range s.Snapshot(now, func(r store.Record) {
		if during != nil {
			during(r.Key)
		}
	}) {
		named[key]++
	}
	return named
}

// hasAll requires that an enumeration has named each of the keys that is there. A key
// that is not there was dropped to make room.
func (s *Subject) hasAll(named map[string]int, keys [][]byte, now store.Millis, how string) {
	for _, key := range keys {
		if named[string(key)] > 0 {
			continue
		}
		if _, err := s.target.Get(s.ctx(), key, now); errors.Is(err, store.ErrNotFound) {
			continue
		}
		s.probe.failAbout(key, fmt.Sprintf("%s: the key %s is missing among %d", how, bytesInWords(key), len(named)), "each stored key, at least once")
	}
}

// stores stores a record under each of the keys, as far as there is room, and returns
// the keys that are stored.
func (s *Subject) stores(keys [][]byte, body func(i int) []byte) [][]byte {
	for i, key := range keys {
		if !s.fits(store.Write{Key: key, Value: body(i), Now: Now}) {
			return keys[:i]
		}
	}
	return keys
}

// severalChunks stores enough records for several chunks of 64 KiB, and returns their
// keys. It uses long keys, if the store takes them, so that it needs few.
func severalChunks(s *Subject) (keys [][]byte, body func(i int) []byte) {
	const all = 160 << 10
	length := min(s.probe.Options().MaxKey, 1000)
	for i := range all / length {
		keys = append(keys, append(fmt.Appendf(nil, "%07d", i), bytes.Repeat([]byte("k"), length-7)...))
	}
	body = func(i int) []byte { return filled(uint64(i+1), 20) }
	return s.stores(keys, body), body
}

// notAWriteMeanwhile runs an enumeration with one kind of operation after each key
// that was named, and once more with all kinds.
func notAWriteMeanwhile(p *Probe, enumerate enumeration) {
	s := p.Store()
	keys, body := severalChunks(s)
	at := 0
	other := func() int { at = (at*7 + 3) % len(keys); return at }
	absent := k("absent")
	operations := []struct {
		name string
		do   func()
	}{
		{"get", func() { i := other(); s.getOrGone(keys[i], Now, body(i), true) }},
		{"get of an absent key", func() { s.Absent(absent, Now) }},
		{"touch", func() {
			if err := s.TryTouch(keys[other()], 0, Now); !errors.Is(err, store.ErrNotFound) {
				s.want(err, nil)
			}
		}},
		{"touch of an absent key", func() { s.TouchFails(absent, Now+1, Now, store.ErrNotFound) }},
		{"delete of an absent key", func() { s.Delete(absent, Now) }},
		{"a refused write", func() {
			s.SetFails(store.Write{Key: absent, Value: body(0), Now: Now, Expect: 1 << 40}, store.ErrConflict)
			s.SetFails(store.Write{Key: keys[other()], Value: body(0), Now: Now, Expect: 1 << 41}, store.ErrConflict)
		}},
		{"save", func() { s.Save(Now) }},
		{"sweep", func() {
			if p.suite.have&needSweep != 0 {
				s.Sweep(5, Now)
			}
		}},
	}
	for _, o := range operations {
		step := 0
		named := enumerate(s, Now, func([]byte) {
			// For operations that go to the disk, a few are enough.
			if step++; o.name != "save" || step%(len(keys)/8+1) == 0 {
				o.do()
			}
		})
		s.hasAll(named, keys, Now, "with "+o.name+" between the chunks")
	}
}

// overwrittenMeanwhile overwrites each record once during a snapshot, some before and
// some after they were named.
func overwrittenMeanwhile(p *Probe) {
	s := p.Store()
	keys, body := severalChunks(s)
	after := func(i int) []byte { return filled(uint64(1000+i), 20+i%3*40) }
	step, written, dropped := 0, make(map[int]bool), make(map[string]bool)
	got := s.Snapshot(Now, func(store.Record) {
		step++
		i := step * 7 % len(keys)
		if written[i] || dropped[string(keys[i])] {
			return
		}
		// A record that was dropped to make room must not be stored again.
		err := s.TrySet(store.Write{Key: keys[i], Value: after(i), Now: Now, Expect: int64(i + 1)})
		switch {
		case errors.Is(err, store.ErrConflict):
			dropped[string(keys[i])] = true
		case !errors.Is(err, store.ErrNoSpace):
			s.want(err, nil)
			written[i] = true
		}
	})
	named := make(map[string]int)
	for key := range got {
		named[key]++
	}
	s.hasAll(named, slices.DeleteFunc(slices.Clone(keys), func(key []byte) bool { return dropped[string(key)] }), Now,
		"with records overwritten between the chunks")
	for i, key := range keys {
		if r, ok := got[string(key)]; ok && !equal(r.Value, body(i)) && !equal(r.Value, after(i)) {
			p.failAbout(key, "the record "+bytesInWords(key)+" with "+differ(r.Value, body(i)), "one of the two values that it had meanwhile")
		}
	}
}

// endsOfChunks enumerates records of one size after one record, whose size takes
// every value up to that: sooner or later a chunk is exactly full, whatever it holds.
// The header is that of a record in the list.
func endsOfChunks(p *Probe, enumerate enumeration, header, value int) {
	s := p.Store()
	const each = 128
	length := min(p.Options().MaxKey, each-header-value)
	n := 9000/(length+header+value) + 1 // two chunks of 4096 bytes, and a few of less
	var keys [][]byte
	for i := range n {
		keys = append(keys, append(fmt.Appendf(nil, "%05d", i), bytes.Repeat([]byte("k"), length-5)...))
	}
	step := 1
	if p.suite.have&needDurable != 0 {
		step = 8 // every record goes to the disk
	}
	for odd := 2; odd < length; odd += step {
		p.forget()
		s.Clear(Now)
		all := append([][]byte{bytes.Repeat([]byte("o"), odd)}, keys...)
		all = append(all, bytes.Repeat([]byte("p"), odd))
		all = s.stores(all, func(i int) []byte { return filled(uint64(i+1), value) })
		s.hasAll(enumerate(s, Now, nil), all, Now, fmt.Sprintf("with two keys of %d bytes around %d of %d", odd, n, length))
	}
}

// gaps removes long runs of records, at both ends and in the middle.
func gaps(p *Probe, enumerate enumeration) {
	s := p.Store()
	var keys [][]byte
	for i := range 160 {
		keys = append(keys, fmt.Appendf(nil, "key %d", i))
	}
	for _, place := range []int{0, 1, 2} {
		p.forget()
		stored := s.stores(keys, func(i int) []byte { return filled(uint64(i+1), 30) })
		run := len(stored) * 4 / 5
		from := (len(stored) - run) * place / 2
		for _, key := range stored[from : from+run] {
			s.Delete(key, Now)
		}
		how := fmt.Sprintf("after %d records in a row were removed", run)
		named := enumerate(s, Now, nil)
		s.hasAll(named, stored[:from], Now, how)
		s.hasAll(named, stored[from+run:], Now, how)
		for _, key := range stored[from : from+run] {
			if named[string(key)] > 0 {
				p.failAbout(key, how+": the key "+bytesInWords(key)+", which is not stored", "only keys that are stored")
			}
		}
		s.Clear(Now)
	}
}
