package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/waddle-sessions/waddle/host/store"
)

// farTests go to the extremes of what other checks cover: sizes, times, keys
// with one hash.
func farTests() []Test {
	v, w := value(5, "first"), value(6, "the second")
	// far are expiries that fit neither into less than 64 bits nor into a
	// floating-point number.
	far := []store.Millis{Now + 1<<31, Now + 1<<31 + 1, Now + 1<<32, Now + 1<<33 - 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64}
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	put := func(s *Subject) {
		for i, at := range far {
			s.Set(store.Write{Key: key(i), Value: v, Expires: at, Now: Now})
		}
	}
	there := func(s *Subject) { // in the order of time
		for i, at := range far {
			s.Get(key(i), at-1, v)
			s.Absent(key(i), at)
		}
	}
	const signed = "times are signed numbers of 64 bits"
	return []Test{
		{Name: "set/every-power-of-two", Section: secRequired,
			Requires: "session_get returns the value byte for byte as it was stored, whatever its size",
			Run: func(p *Probe) {
				s := p.Open(Setup{Shards: 1, MemoryLimit: 256 << 20})
				s.Put(k("before"), filled(1, 100))
				for _, size := range powersOfTwo(p.Options().MaxValue) {
					v := filled(uint64(size+2), size)
					if !s.fits(store.Write{Key: k("key"), Value: v, Now: Now}) {
						continue // the store need not have room for it
					}
					s.Get(k("key"), Now, v)
				}
				s.getOrGone(k("before"), Now, filled(1, 100), true)
			}},
		{Name: "restore/every-power-of-two", Section: secOptional, needs: needSnapshot,
			Requires: "session_restore stores each record as session_set with expect 0 would, whatever its size",
			Run: func(p *Probe) {
				s := p.Open(Setup{Shards: 1, MemoryLimit: 256 << 20})
				small := []store.Record{{Key: k("before"), Value: filled(1, 10)}, {Key: k("between"), Value: filled(3, 10)}}
				for _, size := range powersOfTwo(p.Options().MaxValue) {
					v := filled(uint64(size+2), size)
					s.Delete(k("key"), Now)
					err := s.TryRestore(records(append(small[:2:2], store.Record{Key: k("key"), Value: v})...), Now)
					if errors.Is(err, store.ErrNoSpace) {
						continue
					}
					s.want(err, nil)
					s.Get(k("key"), Now, v)
					for _, r := range small {
						s.getOrGone(r.Key, Now, r.Value, true)
					}
				}
			}},
		{Name: "key/one-hash", Section: secLimits,
			Requires: "keys are any bytes, and two keys are the same only if all of their bytes are, however many of them have one hash",
			Run: func(p *Probe) {
				families := oneHash()
				for _, hash := range slices.Sorted(maps.Keys(families)) {
					p.forget()
					apart(p, families[hash])
				}
			}},
		{Name: "touch/far", Section: secTime, Requires: signed,
			Run: func(p *Probe) {
				s := p.Store()
				for i, at := range far {
					s.Set(store.Write{Key: key(i), Value: v, Expires: Now + 1000, Now: Now})
					s.Touch(key(i), at, Now)
				}
				there(s)
			}},
		{Name: "save/far", Section: secTime, Requires: signed + ": session_save drops nothing that has not expired",
			Run: func(p *Probe) {
				s := p.Store()
				put(s)
				s.Save(Now)
				there(s)
			}},
		{Name: "sweep/far", Section: secTime, Requires: signed + ": session_sweep removes nothing that has not expired", needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				put(s)
				for range 10 {
					if n := s.Sweep(100, Now); n != 0 {
						p.Failf("0, since none has expired", "%d records removed", n)
					}
				}
				there(s)
			}},
		{Name: "restore/far", Section: secTime, Requires: signed, needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				var list []store.Record
				want := make(map[string]store.Record)
				for i, at := range far {
					r := store.Record{Key: key(i), Value: v, Expires: at}
					list, want[string(r.Key)] = append(list, r), r
				}
				s.Restore(records(list...), Now)
				s.HasRecords(s.Snapshot(Now, nil), want)
				there(s)
			}},
		{Name: "expect/after-restore", Section: secRevisions, Requires: "a record's revision is that of the value stored last, even by a restore", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				for turn := range uint64(3) {
					before, after := 100+turn, 200+turn
					s.Put(k("key"), value(before, "before"))
					s.Restore(records(store.Record{Key: k("key"), Value: value(after, "restored")}), Now)
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: int64(before)}, store.ErrConflict)
					s.Get(k("key"), Now, value(after, "restored"))
					s.Set(store.Write{Key: k("key"), Value: w, Now: Now, Expect: int64(after)})
					s.Get(k("key"), Now, w)
				}
			}},
		{Name: "sweep/after-clear", Section: secOptional, Requires: "session_sweep returns how many records it removed, and continues at the next call where this one ended, even if there are fewer records than before", needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				for turn := range store.Millis(3) {
					now := Now + turn*1000
					const n = 14
					for i := range n {
						s.Set(store.Write{Key: key(i), Value: filled(1, 30), Expires: now + 100, Now: now})
					}
					for range 3 { // it stands somewhere in the middle
						s.Sweep(4, now)
					}
					s.Clear(now + 100)
					for range 10 {
						if got := s.Sweep(1000, now+100); got != 0 {
							p.Failf("0, since there are none", "%d records removed after a clear", got)
						}
					}
					for i := range 5 {
						s.Set(store.Write{Key: key(i), Value: filled(1, 30), Expires: now + 200, Now: now + 100})
					}
					total := 0
					for range idleSweeps {
						if total += s.Sweep(5, now+200); total >= 5 {
							break
						}
					}
					if total != 5 {
						p.Failf("5, as many as had expired", "%d records removed by sweeps after a clear", total)
					}
				}
			}},
	}
}

// powersOfTwo returns the powers of two and their neighbours up to the largest.
func powersOfTwo(largest int) (sizes []int) {
	for power := 1; power <= largest; power *= 2 {
		for _, size := range []int{power - 1, power, power + 1} {
			if size <= largest {
				sizes = append(sizes, size)
			}
		}
	}
	return sizes
}
