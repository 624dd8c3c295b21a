package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// spaceTests compare the room that a store counts with what it holds. A store
// that leaves something in its count is full in the end, or drops what it was
// just given, although it holds next to nothing.
func spaceTests() []Test {
	const requires = "NO_SPACE says that there is no room and that none can be made: "
	var tests []Test
	for _, w := range waysToUseSpace() {
		tests = append(tests, Test{Name: "space/" + w.name, Section: secResults, needs: w.needs, Requires: requires + w.requires,
			Run: func(p *Probe) { useSpace(p, w) }})
	}
	return append(tests,
		Test{Name: "space/refused", Section: secResults, Requires: requires + "a refused write takes none",
			Run: func(p *Probe) { refuseSpace(p, nil) }},
		Test{Name: "space/restore-refused", Section: secResults, needs: needSnapshot, Requires: requires + "a refused list takes none",
			Run: func(p *Probe) {
				refuseSpace(p, func(s *Subject, size int) error {
					var list []store.Record
					for i := range 4 {
						list = append(list, store.Record{Key: fmt.Appendf(nil, "refused %d", i), Value: filled(1, size)})
					}
					return s.TryRestore(records(list...), Now)
				})
			}},
		Test{Name: "space/refused-is-nowhere", Section: secResults,
			Requires: "an operation that answers an error has changed nothing that a later operation could see",
			Run:      refusedIsNowhere},
	)
}

// A way to store records, and then to remove them or have them refused.
type wayToUseSpace struct {
	name     string
	needs    need
	requires string
	// round stores records under some of the keys, and leaves none.
	round func(u *user)
}

func waysToUseSpace() []wayToUseSpace {
	const removed = "a removed record takes none"
	each := func(f func(u *user, key []byte)) func(*user) {
		return func(u *user) {
			for _, key := range u.keys {
				f(u, key)
			}
		}
	}
	// expired stores records that expire in the next millisecond, and lets it
	// pass.
	expired := func(u *user) {
		for _, key := range u.keys {
			u.set(store.Write{Key: key, Value: u.body, Expires: store.Millis(u.now + 1), Now: store.Millis(u.now)})
		}
		u.now++
	}
	put := func(u *user, key []byte) { u.set(store.Write{Key: key, Value: u.body, Now: store.Millis(u.now)}) }
	remove := func(u *user, key []byte) { u.s.Delete(key, store.Millis(u.now)) }
	return []wayToUseSpace{
		{"delete", 0, removed, each(func(u *user, key []byte) { put(u, key); remove(u, key) })},
		{"delete-of-nothing", 0, "an absent record takes none", each(func(u *user, key []byte) { remove(u, key); u.used += len(u.body) / 4 })},
		{"clear", 0, removed, func(u *user) { each(put)(u); u.s.Clear(store.Millis(u.now)) }},
		{"overwrite", 0, "an overwritten record takes none", each(func(u *user, key []byte) {
			for range 4 {
				put(u, key)
			}
			remove(u, key)
		})},
		{"overwrite-with-less", 0, "an overwritten record takes none", each(func(u *user, key []byte) {
			for range 4 {
				put(u, key)
				u.set(store.Write{Key: key, Value: u.body[:8], Now: store.Millis(u.now)})
			}
			remove(u, key)
		})},
		{"write-that-removes", 0, removed, each(func(u *user, key []byte) {
			put(u, key)
			u.s.Set(store.Write{Key: key, Value: u.body, Expires: store.Millis(u.now), Now: store.Millis(u.now)})
		})},
		{"touch", 0, "a touch takes none", each(func(u *user, key []byte) {
			put(u, key)
			for range 4 {
				u.touch(key, u.now+1000)
			}
			remove(u, key)
		})},
		{"touch-that-removes", 0, removed, each(func(u *user, key []byte) { put(u, key); u.touch(key, store.Millis(u.now)) })},
		{"create-refused", 0, "a refused write takes none", each(func(u *user, key []byte) { u.refused(key, store.Absent) })},
		{"replace-refused", 0, "a refused write takes none", each(func(u *user, key []byte) { u.refused(key, 1<<40) })},
		{"expired-and-saved", 0, "an expired record takes none once session_save has dropped it", func(u *user) { expired(u); u.s.Save(store.Millis(u.now)) }},
		{"expired-and-swept", needSweep, "an expired record takes none once session_sweep has removed it", func(u *user) {
			expired(u)
			for range 3 {
				u.s.Sweep(1<<10, store.Millis(u.now))
			}
		}},
		{"expired-and-read", 0, "an expired record takes none once session_save has dropped it", func(u *user) {
			expired(u)
			for _, key := range u.keys {
				u.s.Absent(key, store.Millis(u.now))
			}
			u.tidy()
		}},
		{"expired-and-deleted", 0, removed, func(u *user) { expired(u); each(remove)(u) }},
		{"expired-and-replaced", 0, "an overwritten record takes none", func(u *user) {
			expired(u)
			for _, key := range u.keys {
				u.set(store.Write{Key: key, Value: u.body, Now: store.Millis(u.now), Expect: store.Absent})
				remove(u, key)
			}
		}},
		{"restore", needSnapshot, "an overwritten record takes none", func(u *user) {
			for range 4 {
				var list []store.Record
				for _, key := range u.keys {
					list = append(list, store.Record{Key: key, Value: u.body})
				}
				u.restore(list)
			}
			each(remove)(u)
		}},
	}
}

const (
	// usedRecords is how many records a round stores.
	usedRecords = 24
	// usedMemory is how many times the memory is used.
	usedMemory = 3
)

// user stores records and counts the bytes.
type user struct {
	way  wayToUseSpace
	p    *Probe
	s    *Subject
	now  store.Millis
	keys [][]byte
	body []byte
	used int // bytes that the store was given
	fit  int // records that it held at first
}

// useSpace runs rounds until the store was given a multiple of what it may hold.
// It must then hold nearly as much as at first.
func useSpace(p *Probe, way wayToUseSpace) {
	s, limit := p.small()
	size := min(16<<10, p.Options().MaxValue)
	u := &user{way: way, p: p, s: s, now: Now, body: filled(5, size)}
	for i := range usedRecords {
		u.keys = append(u.keys, fmt.Appendf(nil, "key %d", i))
	}
	u.fit = u.holds()
	if u.fit == 0 {
		p.Failf("that it holds one of them", "none of %d records of %d bytes is there", usedRecords, size)
	}
	u.keys = u.keys[:u.fit]
	most := usedMemory * int(limit)
	if p.suite.have&needDurable != 0 {
		most /= 16 // every write goes to the disk
	}
	u.used = 0
	for u.used < most {
		p.Progress(u.used, most)
		way.round(u)
		p.forget() // the calls of a round say nothing about another
	}
	if n := u.holds(); 2*n < u.fit {
		p.Failf(fmt.Sprintf("about %d, as at first", u.fit), "%d of %d records of %d bytes are there, after %d bytes were stored and none was left (%s)",
			n, u.fit, size, u.used, way.name)
	}
}

// holds counts how many of the records the store holds at once, and removes them.
func (u *user) holds() (n int) {
	for _, key := range u.keys {
		w := store.Write{Key: key, Value: u.body, Now: store.Millis(u.now)}
		if u.s.fits(w) {
			continue
		}
		if u.tidy(); !u.s.fits(w) {
			break
		}
	}
	for _, key := range u.keys {
		if u.s.getOrGone(key, store.Millis(u.now), u.body, true) {
			n++
		}
	}
	for _, key := range u.keys {
		u.s.Delete(key, store.Millis(u.now))
	}
	return n
}

// tidy lets the store free what it frees gradually.
func (u *user) tidy() {
	u.s.Save(store.Millis(u.now))
	if u.p.suite.have&needSweep != 0 {
		for range 3 {
			u.s.Sweep(1<<10, store.Millis(u.now))
		}
	}
}

func (u *user) set(w store.Write) {
	u.used += len(w.Value)
	if u.s.fits(w) {
		return
	}
	if u.tidy(); !u.s.fits(w) {
		u.full(fmt.Sprintf("a record of %d bytes", len(w.Value)))
	}
}

func (u *user) restore(list []store.Record) {
	u.used += len(list) * len(u.body)
	err := u.s.TryRestore(records(list...), store.Millis(u.now))
	if errors.Is(err, store.ErrNoSpace) {
		// A list may need more room than the records that it replaces, until it
		// is stored.
		u.s.Clear(store.Millis(u.now))
		if err = u.s.TryRestore(records(list...), store.Millis(u.now)); errors.Is(err, store.ErrNoSpace) {
			u.full(fmt.Sprintf("a list of %d records of %d bytes", len(list), len(u.body)))
		}
	}
	u.s.want(err, nil)
}

// touch touches a record, which may have been dropped to make room.
func (u *user) touch(key []byte, expires store.Millis) {
	u.used += len(u.body)
	err := u.s.TryTouch(key, expires, store.Millis(u.now))
	if errors.Is(err, store.ErrNoSpace) {
		u.full("a touch")
	}
	if !errors.Is(err, store.ErrNotFound) {
		u.s.want(err, nil)
	}
}

// refused makes writes over an existing record that are refused.
func (u *user) refused(key []byte, expect int64) {
	u.set(store.Write{Key: key, Value: u.body[:8], Now: store.Millis(u.now)})
	for range 4 {
		u.used += len(u.body)
		err := u.s.TrySet(store.Write{Key: key, Value: u.body, Now: store.Millis(u.now), Expect: expect})
		if errors.Is(err, store.ErrNoSpace) {
			u.full("a write that expect does not allow")
		}
		u.s.want(err, store.ErrConflict)
	}
	u.s.Delete(key, store.Millis(u.now))
}

func (u *user) full(what string) {
	u.p.Failf(fmt.Sprintf("success: at most %d records are stored, which fitted at first", u.fit),
		"NO_SPACE for %s, after %d bytes were stored and removed again (%s)", what, u.used, u.way.name)
}

// small opens a store with little memory; some engines need more from the start.
func (p *Probe) small() (*Subject, int64) {
	for limit := int64(8 << 20); ; limit *= 2 {
		s, err := p.TryOpen(Setup{Shards: 1, MemoryLimit: limit})
		if err == nil {
			return s, limit
		}
		if limit >= 256<<20 {
			p.Fail("it does not open with a memory of "+fmt.Sprint(limit)+" bytes: "+err.Error(), "a store that opens")
		}
	}
}

// filledUp stores records until one is refused, and returns how many there are.
// It skips the check for a store that never refuses one. Records of up to largest
// bytes will follow: the exchange buffer of a guest has room for them.
func (p *Probe) filledUp(s *Subject, limit int64, size, largest int) (stored int) {
	n := int(limit/int64(size)) * 5 / 4
	if p.suite.have&needDurable != 0 {
		p.Skip("the store keeps files: it is not its memory that gets full")
	}
	if key := k("a key that is longer than the others"); s.fits(store.Write{Key: key, Value: filled(1, largest), Now: Now}) {
		s.Delete(key, Now)
	}
	for ; stored < n; stored++ {
		w := store.Write{Key: fmt.Appendf(nil, "key %d", stored), Value: filled(uint64(stored+1), size), Expires: Now + 1000, Now: Now}
		if !s.fits(w) {
			return stored
		}
		if stored%64 == 0 {
			p.Progress(stored, n)
		}
	}
	p.Skip("the store makes room: it never answered NO_SPACE")
	return 0
}

// refuseSpace makes a full store refuse writes, or what try does, and then
// removes everything: the store must then hold as much as before.
func refuseSpace(p *Probe, try func(s *Subject, size int) error) {
	s, limit := p.small()
	size := min(16<<10, p.Options().MaxValue)
	held := p.filledUp(s, limit, size, min(5*size, p.Options().MaxValue))
	if held == 0 {
		p.Failf("that it holds one of them", "NO_SPACE for the first record of %d bytes", size)
	}
	if try == nil {
		body := filled(1, size)
		try = func(s *Subject, size int) error {
			return s.TrySet(store.Write{Key: k("refused"), Value: body, Now: Now})
		}
	}
	refusals := 0
	for range 4 * held {
		err := try(s, size)
		if err == nil {
			s.Delete(k("refused"), Now) // a smaller key may have found a gap
			continue
		}
		s.want(err, store.ErrNoSpace)
		refusals++
	}
	if s.Clear(Now); refusals == 0 {
		p.Skip("the store makes room: it never answered NO_SPACE")
	}
	for i := range held / 2 {
		if !s.fits(store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: filled(uint64(i+1), size), Now: Now}) {
			p.Failf(fmt.Sprintf("success for about %d records, as before", held), "NO_SPACE for record %d after all were cleared, and %d writes had been refused before", i, refusals)
		}
	}
}

// refusedIsNowhere looks for records that were refused with NO_SPACE.
func refusedIsNowhere(p *Probe) {
	s, limit := p.small()
	size := min(16<<10, p.Options().MaxValue)
	larger := min(4*size, p.Options().MaxValue)
	held := p.filledUp(s, limit, size, larger)
	key := func(i int) []byte { return fmt.Appendf(nil, "refused %d", i) }
	refused := 0
	for i := range 20 {
		if s.fits(store.Write{Key: key(i), Value: filled(9, size), Expires: Now + 5000, Now: Now, Expect: store.Absent}) {
			s.Delete(key(i), Now)
			continue
		}
		refused++
		s.Absent(key(i), Now)
		s.TouchFails(key(i), Now+5000, Now, store.ErrNotFound)
		s.SetFails(store.Write{Key: key(i), Value: filled(8, 8), Now: Now, Expect: 9}, store.ErrConflict)
	}
	if refused == 0 {
		p.Skip("the store makes room: it never answered NO_SPACE")
	}
	if p.suite.have&needKeys != 0 {
		keys, err := s.tryKeys(Now, nil)
		if !errors.Is(err, store.ErrUnavailable) { // which may happen when there is no room for a chunk
			s.want(err, nil)
		}
		for i := range 20 {
			if keys[string(key(i))] > 0 {
				p.failAbout(key(i), "the key "+bytesInWords(key(i))+", whose write was refused with NO_SPACE", "only keys that are stored")
			}
		}
	}
	// Larger values over existing ones, with another expiry.
	over := make([]bool, min(held, 20))
	for i := range over {
		w := store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: filled(99, larger), Expires: Now + 5000, Now: Now}
		over[i] = larger > size && !s.fits(w)
	}
	for i, refused := range over {
		if refused {
			s.Get(fmt.Appendf(nil, "key %d", i), Now+999, filled(uint64(i+1), size))
		}
	}
	for i, refused := range over {
		if refused {
			s.Absent(fmt.Appendf(nil, "key %d", i), Now+1000)
		}
	}
	for i := range held {
		s.Delete(fmt.Appendf(nil, "key %d", i), Now+1000)
	}
	for i := range min(held/2, 20) {
		s.Set(store.Write{Key: key(i), Value: filled(7, size), Now: Now + 1000, Expect: store.Absent})
		s.Get(key(i), Now+1000, filled(7, size))
	}
}
