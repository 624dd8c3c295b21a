package storetest

import (
	"errors"
	"fmt"
	"math"

	"github.com/waddle-sessions/waddle/host/store"
)

func expiryTests() []Test {
	v, w := value(5, "first"), value(6, "the second")
	const absent = "an expired record is as good as absent in every operation"
	// expired returns a store with one record, under "key", that expires at
	// Now+100 and has the revision 5.
	expired := func(p *Probe) *Subject {
		s := p.Store()
		s.Set(store.Write{Key: k("key"), Value: v, Expires: Now + 100, Now: Now})
		return s
	}
	return []Test{
		{Name: "expiry/exact-millisecond", Section: secTime, Requires: "a record is there while now_ms < expires_ms",
			Run: func(p *Probe) {
				for i, life := range []store.Millis{1, 2, 60_000, 604_800_000} {
					// It uses a store of its own: going back in time would be
					// too far.
					p.forget()
					s, key, at := p.Store(), fmt.Appendf(nil, "key %d", i), Now+life
					s.Set(store.Write{Key: key, Value: v, Expires: at, Now: Now})
					s.Get(key, Now, v)
					s.Get(key, at-1, v)
					s.Absent(key, at)
				}
				p.forget()
				s := p.Store()
				s.Set(store.Write{Key: k("late"), Value: v, Expires: Now + 10, Now: Now + 9})
				s.Get(k("late"), Now+9, v)
				s.Absent(k("late"), Now+11)
			}},
		{Name: "expiry/never", Section: secTime, Requires: "expires_ms 0 means that the record never expires",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Now: Now})
				for _, now := range []store.Millis{Now, Now + 1, Now + 1<<32, 1 << 52, math.MaxInt64} {
					s.Get(k("key"), now, v)
				}
			}},
		{Name: "expiry/given-clock", Section: secTime, Requires: "the guest compares with now_ms and not with a clock of its own",
			Run: func(p *Probe) {
				s := p.Store()
				for _, start := range []store.Millis{1000, 1 << 31, 1 << 32, Now - 1<<38, Now, 1 << 41, 1 << 42, 1 << 50} {
					key := fmt.Appendf(nil, "%d", start)
					s.Set(store.Write{Key: key, Value: v, Expires: start + 1000, Now: start})
					s.Get(key, start+999, v)
					s.Absent(key, start+1000)
					s.Set(store.Write{Key: key, Value: w, Expires: start + 2000, Now: start + 1000, Expect: store.Absent})
					s.retime(key, w, start+3000, start+1999)
					s.Get(key, start+2999, w)
					if p.has(needTouch) {
						s.TouchFails(key, start+9000, start+3000, store.ErrNotFound)
					}
					s.Absent(key, start+3000)
				}
			}},
		{Name: "expiry/large-times", Section: secTime, Requires: "times are signed numbers of 64 bits",
			Run: func(p *Probe) {
				s := p.Store()
				times := []store.Millis{1 << 53, 1 << 62, math.MaxInt64 - 1, math.MaxInt64}
				key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
				for i, at := range times {
					s.Set(store.Write{Key: key(i), Value: v, Expires: at, Now: Now})
					s.Get(key(i), Now, v)
				}
				for i, at := range times {
					s.Get(key(i), at-1, v)
					s.Absent(key(i), at)
				}
			}},
		{Name: "expiry/small-times", Section: secTime, Requires: "times are milliseconds since the Unix epoch",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Expires: 3, Now: 1})
				s.Get(k("key"), 2, v)
				s.Absent(k("key"), 3)
				s.Set(store.Write{Key: k("key"), Value: w, Expires: 5, Now: 3, Expect: store.Absent})
				s.Get(k("key"), 4, w)
				s.Set(store.Write{Key: k("key"), Value: v, Expires: 4, Now: 4})
				s.Absent(k("key"), 4)
			}},
		{Name: "expiry/each-its-own", Section: secTime, Requires: "every record expires at its own time",
			Run: func(p *Probe) {
				s := p.Store()
				key := func(i store.Millis) []byte { return fmt.Appendf(nil, "key %d", i) }
				n := store.Millis(p.Records(50, LeastRecords))
				for i := range n {
					s.Set(store.Write{Key: key(i), Value: filled(uint64(i+1), 40), Expires: Now + 1 + i*37%50, Now: Now})
				}
				for at := range store.Millis(52) {
					for i := range n {
						if Now+at < Now+1+i*37%50 {
							s.Get(key(i), Now+at, filled(uint64(i+1), 40))
						} else {
							s.Absent(key(i), Now+at)
						}
					}
				}
			}},
		{Name: "expiry/clock-goes-back", Section: secTime, Requires: "now_ms may go backwards; a record that was seen as expired may be visible again or not, and if it is, it is unchanged",
			Run: func(p *Probe) {
				s := expired(p)
				s.Set(store.Write{Key: k("other"), Value: w, Expires: Now + 200, Now: Now})
				s.Absent(k("key"), Now+100)
				if got, err := s.TryGet(k("key"), Now+99); err == nil && !equal(got, v) {
					p.Fail(differ(got, v), "the value "+bytesInWords(v)+", or NOT_FOUND")
				} else if err != nil && !errors.Is(err, store.ErrNotFound) {
					p.Fail(errorInWords(err), "the value "+bytesInWords(v)+", or NOT_FOUND")
				}
				s.Get(k("other"), Now+150, w)
				s.Get(k("other"), Now+50, w)
				s.Set(store.Write{Key: k("other"), Value: v, Expires: Now + 60, Now: Now + 40})
				s.Get(k("other"), Now+59, v)
			}},
		{Name: "expiry/set-replaces-it", Section: secRequired, Requires: "session_set stores the value and its expiry in place of what was there",
			Run: func(p *Probe) {
				s := p.Store()
				for _, c := range []struct{ before, after store.Millis }{{100, 200}, {200, 100}, {0, 100}, {100, 100}, {100, 0}} {
					p.forget()
					at := func(d store.Millis) store.Millis {
						if d == 0 {
							return 0
						}
						return Now + d
					}
					s.Set(store.Write{Key: k("key"), Value: v, Expires: at(c.before), Now: Now})
					s.Set(store.Write{Key: k("key"), Value: w, Expires: at(c.after), Now: Now + 1})
					if c.after == 0 {
						s.Get(k("key"), Now+100_000, w)
						continue
					}
					s.Get(k("key"), Now+c.after-1, w)
					s.Absent(k("key"), Now+c.after)
				}
			}},
		{Name: "expiry/absent-for-create", Section: secRevisions, Requires: "expect -1 stores if there is no record, or an expired one",
			Run: func(p *Probe) {
				s := expired(p)
				s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now + 99, Expect: store.Absent}, store.ErrConflict)
				s.Get(k("key"), Now+99, v)
				s.Set(store.Write{Key: k("key"), Value: w, Expires: Now + 300, Now: Now + 100, Expect: store.Absent})
				s.Get(k("key"), Now+299, w)
				s.Absent(k("key"), Now+300)
			}},
		{Name: "expiry/absent-for-revision", Section: secRevisions, Requires: "an expired record has no revision to compare with",
			Run: func(p *Probe) {
				s := expired(p)
				s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now + 100, Expect: 5}, store.ErrConflict)
				s.Absent(k("key"), Now+100)
			}},
		{Name: "expiry/absent-for-touch", Section: secOptional, Requires: "session_touch never brings an expired record back",
			Run: func(p *Probe) {
				s := expired(p)
				s.TouchFails(k("key"), Now+500, Now+100, store.ErrNotFound)
				s.Absent(k("key"), Now+100)
				s.TouchFails(k("key"), 0, Now+101, store.ErrNotFound)
				s.Absent(k("key"), Now+101)
			}},
		{Name: "expiry/absent-for-delete", Section: secTime, Requires: absent,
			Run: func(p *Probe) {
				s := expired(p)
				s.Delete(k("key"), Now+100)
				s.Absent(k("key"), Now+100)
				s.Set(store.Write{Key: k("key"), Value: w, Now: Now + 100, Expect: store.Absent})
				s.Get(k("key"), Now+100, w)
			}},
		{Name: "expiry/absent-in-keys", Section: secTime, Requires: absent, needs: needKeys,
			Run: func(p *Probe) {
				s := expired(p)
				s.Set(store.Write{Key: k("later"), Value: v, Expires: Now + 101, Now: Now})
				s.HasExactly(s.Keys(Now+99, nil), k("key"), k("later"))
				s.HasExactly(s.Keys(Now+100, nil), k("later"))
				s.HasExactly(s.Keys(Now+101, nil))
			}},
		{Name: "expiry/absent-in-snapshot", Section: secOptional, Requires: "session_snapshot enumerates records that have not expired", needs: needSnapshot,
			Run: func(p *Probe) {
				s := expired(p)
				first := store.Record{Key: k("key"), Value: v, Expires: Now + 100}
				later := store.Record{Key: k("later"), Value: w, Expires: Now + 101}
				s.Set(store.Write{Key: later.Key, Value: w, Expires: later.Expires, Now: Now})
				s.HasRecords(s.Snapshot(Now+99, nil), map[string]store.Record{"key": first, "later": later})
				s.HasRecords(s.Snapshot(Now+100, nil), map[string]store.Record{"later": later})
				s.HasRecords(s.Snapshot(Now+101, nil), nil)
			}},
		{Name: "expiry/write-removes", Section: secRequired, Requires: "a write whose expiry is not above now_ms removes what is there and answers success",
			Run: func(p *Probe) {
				s := p.Store()
				for i, at := range []store.Millis{Now + 10, Now + 9, Now - 1_000_000, 1} {
					key := fmt.Appendf(nil, "key %d", i)
					s.Put(key, v)
					s.Put(k("other"), v)
					s.Set(store.Write{Key: key, Value: w, Expires: at, Now: Now + 10})
					s.Absent(key, Now+10)
					s.Absent(key, Now) // it is really removed, and not merely treated as absent
					s.Get(k("other"), Now+10, v)
					s.Set(store.Write{Key: key, Value: w, Now: Now + 10, Expect: store.Absent})
					s.Get(key, Now+10, w)
				}
			}},
		{Name: "expiry/write-creates-nothing", Section: secRequired, Requires: "a write whose expiry is not above now_ms stores nothing",
			Run: func(p *Probe) {
				s := p.Store()
				for i, at := range []store.Millis{Now, Now - 1, 1} {
					key := fmt.Appendf(nil, "key %d", i)
					s.Set(store.Write{Key: key, Value: v, Expires: at, Now: Now})
					s.Absent(key, Now)
					if p.has(needTouch) {
						s.TouchFails(key, Now+10, Now, store.ErrNotFound)
					}
					s.SetFails(store.Write{Key: key, Value: w, Now: Now, Expect: 5}, store.ErrConflict)
					s.Absent(key, Now)
				}
				if p.suite.have&needKeys != 0 {
					s.HasExactly(s.Keys(Now, nil))
				}
			}},
		{Name: "expiry/write-removes-on-condition", Section: secRequired, Requires: "a write whose expiry is not above now_ms removes what is there, if expect allows it",
			Run: func(p *Probe) {
				s := p.Store()
				gone := func(expect int64) store.Write {
					return store.Write{Key: k("key"), Value: w, Expires: Now + 9, Now: Now + 10, Expect: expect}
				}
				s.Set(gone(store.Absent))
				s.SetFails(gone(5), store.ErrConflict)
				s.Absent(k("key"), Now+10)
				s.Put(k("key"), v)
				s.SetFails(gone(4), store.ErrConflict)
				s.Get(k("key"), Now+10, v)
				s.SetFails(gone(6), store.ErrConflict)
				s.Get(k("key"), Now+10, v)
				s.SetFails(gone(store.Absent), store.ErrConflict)
				s.Get(k("key"), Now+10, v)
				s.Set(gone(5))
				s.Absent(k("key"), Now+10)
			}},
	}
}

func touchTests() []Test {
	v := value(5, "value")
	return []Test{
		{Name: "touch/extends", Section: secOptional, Requires: "session_touch gives an existing record a new expiry",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Expires: Now + 100, Now: Now})
				s.Touch(k("key"), Now+200, Now+99)
				s.Get(k("key"), Now+199, v)
				s.Absent(k("key"), Now+200)
			}},
		{Name: "touch/shortens", Section: secOptional, Requires: "session_touch gives an existing record a new expiry",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Expires: Now + 100, Now: Now})
				s.Touch(k("key"), Now+50, Now)
				s.Get(k("key"), Now+49, v)
				s.Absent(k("key"), Now+50)
			}},
		{Name: "touch/to-never-and-from", Section: secOptional, Requires: "session_touch gives an existing record a new expiry, which may be 0",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Expires: Now + 100, Now: Now})
				s.Touch(k("key"), 0, Now)
				s.Get(k("key"), Now+1_000_000, v)
				s.Touch(k("key"), Now+1_000_100, Now+1_000_000)
				s.Get(k("key"), Now+1_000_099, v)
				s.Absent(k("key"), Now+1_000_100)
			}},
		{Name: "touch/keeps-the-value", Section: secOptional, Requires: "session_touch leaves value and revision alone",
			Run: func(p *Probe) {
				s := p.Store()
				for i, size := range []int{0, 1, 7, 8, 9, 300, 4096} {
					key, want := fmt.Appendf(nil, "key %d", i), filled(1<<63+uint64(i)+1, size)
					s.Set(store.Write{Key: key, Value: want, Expires: Now + 100, Now: Now})
					for range 3 {
						s.Touch(key, Now+200, Now)
						s.Get(key, Now, want)
					}
				}
				s.Put(k("key"), v)
				s.Touch(k("key"), Now+10, Now)
				s.SetFails(store.Write{Key: k("key"), Value: value(7, ""), Now: Now, Expect: 6}, store.ErrConflict)
				s.Set(store.Write{Key: k("key"), Value: value(6, "next"), Now: Now, Expect: 5})
				s.Get(k("key"), Now, value(6, "next"))
			}},
		{Name: "touch/never-creates", Section: secOptional, Requires: "NOT_FOUND if there is no record: touching never creates",
			Run: func(p *Probe) {
				s := p.Store()
				s.TouchFails(k("key"), Now+100, Now, store.ErrNotFound)
				s.Absent(k("key"), Now)
				s.Put(k("other"), v)
				s.TouchFails(k("key"), 0, Now, store.ErrNotFound)
				s.TouchFails(k("key"), Now-1, Now, store.ErrNotFound)
				s.Absent(k("key"), Now)
				s.Put(k("key"), v)
				s.Delete(k("key"), Now)
				s.TouchFails(k("key"), Now+100, Now, store.ErrNotFound)
				s.Absent(k("key"), Now)
				s.Set(store.Write{Key: k("key"), Value: v, Now: Now, Expect: store.Absent})
			}},
		{Name: "touch/past-removes", Section: secOptional, Requires: "an expires_ms that is not 0 and not above now_ms removes the record",
			Run: func(p *Probe) {
				s := p.Store()
				for i, at := range []store.Millis{Now + 10, Now + 9, 1} {
					key := fmt.Appendf(nil, "key %d", i)
					s.Put(key, v)
					s.Put(k("other"), v)
					s.Touch(key, at, Now+10)
					s.Absent(key, Now+10)
					s.Absent(key, Now)
					s.TouchFails(key, Now+100, Now+10, store.ErrNotFound)
					s.Get(k("other"), Now+10, v)
					s.Set(store.Write{Key: key, Value: v, Now: Now + 10, Expect: store.Absent})
				}
			}},
		{Name: "touch/neighbours", Section: secOptional, Requires: "session_touch changes the record under its key and no other",
			Run: func(p *Probe) {
				s := p.Store()
				key := func(i store.Millis) []byte { return fmt.Appendf(nil, "key %d", i) }
				n := store.Millis(p.Records(30, LeastRecords))
				for i := range n {
					s.Set(store.Write{Key: key(i), Value: filled(uint64(i+1), 20), Expires: Now + 100, Now: Now})
				}
				for i := store.Millis(0); i < n; i += 3 {
					s.Touch(key(i), Now+200+i, Now)
				}
				for i := range n {
					s.Get(key(i), Now+99, filled(uint64(i+1), 20))
				}
				for i := range n {
					if i%3 != 0 {
						s.Absent(key(i), Now+100)
					}
				}
				for i := store.Millis(0); i < n; i += 3 {
					s.Get(key(i), Now+199+i, filled(uint64(i+1), 20))
					s.Absent(key(i), Now+200+i)
				}
			}},
	}
}
