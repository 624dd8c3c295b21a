package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

const everyKey = "a key that is stored throughout the enumeration appears at least once"

func listTests() []Test {
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	return []Test{
		{Name: "keys/all", Section: secOptional, Requires: everyKey, needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				s.HasExactly(s.Keys(Now, nil))
				var keys [][]byte
				for i := range p.Records(100, LeastRecords) {
					keys = append(keys, key(i))
					s.Put(key(i), filled(uint64(i+1), i))
					if i < 5 {
						s.HasExactly(s.Keys(Now, nil), keys...)
					}
				}
				s.HasExactly(s.Keys(Now, nil), keys...)
				s.HasExactly(s.Keys(Now, nil), keys...)
			}},
		{Name: "keys/binary", Section: secOptional, Requires: everyKey + ", whatever its bytes", needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				keys := append(colliding(), k("\x00"), k("a\x00b"), k("\xff\xff\xff\xff"), k("\x04\x00\x00\x00abcd"), k("/"), k("a"), k("a\x00"))
				for n := 1; n <= p.Options().MaxKey; n = n*3 + 1 {
					keys = append(keys, filled(uint64(n), n))
				}
				keys = append(keys, filled(3, p.Options().MaxKey))
				for part := range slices.Chunk(keys, p.Records(len(keys), 1)) {
					s.Clear(Now)
					for _, key := range part {
						s.Put(key, nil)
					}
					s.HasExactly(s.Keys(Now, nil), part...)
				}
			}},
		{Name: "keys/many", Section: secOptional, Requires: everyKey, needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				var keys [][]byte
				for i := range p.Records(2000, 2*LeastRecords) {
					keys = append(keys, fmt.Appendf(nil, "a longer key, so that there are several chunks, %07d", i))
					s.Put(keys[i], value(1, ""))
				}
				s.HasExactly(s.Keys(Now, nil), keys...)
			}},
		{Name: "keys/after-removal", Section: secOptional, Requires: "stored keys are enumerated, and no others", needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				var left [][]byte
				n := p.Records(150, LeastRecords)
				for i := range n {
					s.Set(store.Write{Key: key(i), Value: value(1, ""), Expires: store.Millis(i%2) * (Now + 1000), Now: Now})
				}
				for i := range n {
					switch i % 5 {
					case 0:
						s.Delete(key(i), Now)
					case 1:
						s.Set(store.Write{Key: key(i), Value: value(2, ""), Expires: Now, Now: Now})
					case 2:
						s.Touch(key(i), Now, Now)
					default:
						left = append(left, key(i))
					}
				}
				s.HasExactly(s.Keys(Now, nil), left...)
				s.Clear(Now)
				s.HasExactly(s.Keys(Now, nil))
			}},
		{Name: "keys/changes-meanwhile", Section: secOptional, Requires: everyKey + "; one that is added or removed meanwhile may or may not", needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(2400, 2*LeastRecords) / 2
				long := func(i int) []byte { return fmt.Appendf(nil, "a longer key, so that there are several chunks, %07d", i) }
				stays := make(map[string]bool)
				for i := range n {
					s.Put(long(i), filled(uint64(i+1), 20))
					if i%3 != 0 {
						stays[string(long(i))] = true
					}
				}
				// Enough records are removed, added and overwritten meanwhile
				// to make a table grow and chains move.
				step := 0
				keys := s.Keys(Now, func([]byte) {
					if step++; step > n {
						return
					}
					if i := step * 7 % n; i%3 == 0 {
						s.Delete(long(i), Now)
					} else {
						s.Put(long(i), filled(uint64(step), 60))
					}
					s.Put(long(n+step), value(1, ""))
				})
				for key := range stays {
					if keys[key] == 0 {
						p.Failf(everyKey, "the key %s is missing", bytesInWords([]byte(key)))
					}
				}
				for key := range keys {
					var i int
					if c, _ := fmt.Sscanf(key, "a longer key, so that there are several chunks, %d", &i); c != 1 || i > 2*n || key != string(long(i)) {
						p.Failf("only keys that are stored", "the key %s, which was never stored", bytesInWords([]byte(key)))
					}
				}
			}},
		{Name: "keys/others-removed", Section: secOptional, Requires: everyKey + ", even if those that were named before it are removed", needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(1000, 2*LeastRecords)
				long := func(i int) []byte { return fmt.Appendf(nil, "a longer key, so that there are several chunks, %07d", i) }
				for i := range n {
					s.Put(long(i), value(1, ""))
				}
				gone := make(map[string]bool)
				step := 0
				seen := s.Keys(Now, func(key []byte) {
					if step++; step%3 == 1 {
						s.Delete(key, Now)
						gone[string(key)] = true
					}
				})
				for i := range n {
					if seen[string(long(i))] == 0 {
						p.failAbout(long(i), fmt.Sprintf("the key %s is missing among %d", bytesInWords(long(i)), len(seen)), everyKey)
					}
				}
				for key := range gone {
					s.Absent([]byte(key), Now)
				}
			}},
		{Name: "keys/removed-as-seen", Section: secOptional, Requires: everyKey, needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				var keys [][]byte
				for i := range p.Records(800, 2*LeastRecords) {
					keys = append(keys, fmt.Appendf(nil, "a longer key, so that there are several chunks, %07d", i))
					s.Put(keys[i], value(1, ""))
				}
				seen := s.Keys(Now, func(key []byte) { s.Delete(key, Now) })
				s.HasExactly(seen, keys...)
				s.HasExactly(s.Keys(Now, nil))
			}},
		{Name: "keys/left-early", Section: secOptional, Requires: "an enumeration may be abandoned, and another begun", needs: needKeys,
			Run: func(p *Probe) {
				s := p.Store()
				var keys [][]byte
				for i := range p.Records(300, LeastRecords) {
					keys = append(keys, key(i))
					s.Put(key(i), value(1, ""))
				}
				for _, stop := range []int{1, len(keys) / 3} {
					for _, err := range store.Keys(s.ctx(), s.target, Now) {
						s.want(err, nil)
						if stop--; stop == 0 {
							break
						}
					}
				}
				s.HasExactly(s.Keys(Now, nil), keys...)
			}},
	}
}

// patience is about how long one call of a check may take, as far as the check
// can control it.
const patience = time.Second

func snapshotTests() []Test {
	return []Test{
		{Name: "snapshot/all", Section: secOptional, Requires: "session_snapshot enumerates the records with key, value and expiry", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				s.HasRecords(s.Snapshot(Now, nil), nil)
				want := variety(s)
				s.HasRecords(s.Snapshot(Now, nil), want)
				s.HasRecords(s.Snapshot(Now, nil), want)
			}},
		{Name: "snapshot/newest", Section: secOptional, Requires: "a snapshot has, for each record, the value and the expiry that it has now", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				want := variety(s)
				for i := range 200 {
					key := fmt.Appendf(nil, "key %d", i)
					r, stored := want[string(key)]
					if !stored {
						break
					}
					switch i % 5 {
					case 0:
						r.Value, r.Expires = filled(uint64(i+1000), 8+(i*13)%200), Now+7000
						s.Set(store.Write{Key: key, Value: r.Value, Expires: r.Expires, Now: Now})
					case 1:
						r.Expires = Now + 9000 + store.Millis(i)
						s.Touch(key, r.Expires, Now)
					case 2:
						s.Delete(key, Now)
						delete(want, string(key))
						continue
					case 3:
						r.Expires = 0
						s.Touch(key, 0, Now)
					}
					want[string(key)] = r
				}
				s.HasRecords(s.Snapshot(Now, nil), want)
				s.Clear(Now)
				s.HasRecords(s.Snapshot(Now, nil), nil)
			}},
		{Name: "snapshot/records-are-the-callers", Section: secMemory, Requires: "a record is a copy: changing it changes nothing", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), filled(1, 50))
				for _, r := range s.Snapshot(Now, nil) {
					r.Key[0], r.Value[10] = 'X', 'X'
				}
				s.Get(k("key"), Now, filled(1, 50))
				s.Absent(k("Xey"), Now)
				s.HasRecords(s.Snapshot(Now, nil), map[string]store.Record{"key": {Key: k("key"), Value: filled(1, 50)}})
			}},
		{Name: "snapshot/large-records", Section: secOptional, Requires: "a snapshot includes records of any size", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Open(Setup{Shards: 1, MemoryLimit: 256 << 20})
				want := make(map[string]store.Record)
				most := p.ValueSize(1 << 20)
				for i, size := range []int{10, 65535, 65536, 65537, 300_000, 1 << 20, 100} {
					key := fmt.Appendf(nil, "size %d", size)
					if most < 1<<20 {
						size = min(size, most/4) // so that there is room for all
					}
					want[string(key)] = store.Record{Key: key, Value: filled(uint64(i+1), size), Expires: Now + store.Millis(size)}
					s.Set(store.Write{Key: key, Value: want[string(key)].Value, Expires: Now + store.Millis(size), Now: Now})
				}
				s.HasRecords(s.Snapshot(Now, nil), want)
			}},
		{Name: "snapshot/changes-meanwhile", Section: secOptional, Requires: "a record that is stored throughout appears at least once, unchanged", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(1200, 2*LeastRecords) / 2
				key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
				body := func(i int) []byte { return filled(uint64(i+1), 100+i%50) }
				for i := range n {
					s.Put(key(i), body(i))
				}
				step := 0
				got := s.Snapshot(Now, func(store.Record) {
					if step++; step > n {
						return
					}
					if i := step * 7 % n; i%3 == 0 {
						s.Delete(key(i), Now)
					}
					s.Put(key(n+step), body(n+step))
				})
				for i := range n {
					r, ok := got[string(key(i))]
					if !ok && i%3 == 0 {
						continue
					}
					if !ok {
						p.Failf("each record that is stored throughout", "the record %s is missing", bytesInWords(key(i)))
					}
					if !equal(r.Value, body(i)) {
						p.Fail("the record "+bytesInWords(key(i))+" with "+differ(r.Value, body(i)), "the value "+bytesInWords(body(i)))
					}
				}
			}},
	}
}

func restoreTests() []Test {
	const stores = "session_restore stores each record as session_set with expect 0 would"
	rec := func(key string, value []byte, expires store.Millis) store.Record {
		return store.Record{Key: k(key), Value: value, Expires: expires}
	}
	return []Test{
		{Name: "restore/into-an-empty-store", Section: secOptional, Requires: stores, needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				s.Restore(records(), Now)
				s.Restore(records(rec("a", value(1, "a"), 0), rec("b", nil, Now+10), rec("c\x00", []byte{1}, 0)), Now)
				s.Get(k("c\x00"), Now, []byte{1})
				s.Get(k("b"), Now+9, nil)
				s.Absent(k("b"), Now+10)
				s.Get(k("a"), Now+100, value(1, "a"))
				s.SetFails(store.Write{Key: k("a"), Value: value(3, ""), Now: Now, Expect: 2}, store.ErrConflict)
				s.Set(store.Write{Key: k("a"), Value: value(3, ""), Now: Now, Expect: 1})
			}},
		{Name: "restore/over-what-is-there", Section: secOptional, Requires: stores + ", whatever is there", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("a"), Value: value(9, "a longer one that was there"), Expires: Now + 5, Now: Now})
				s.Set(store.Write{Key: k("b"), Value: value(9, ""), Now: Now})
				s.Set(store.Write{Key: k("kept"), Value: value(9, "kept"), Now: Now})
				s.Restore(records(rec("a", value(1, "new"), Now+100), rec("b", filled(2, 500), 0), rec("a", value(3, "newer"), Now+200)), Now)
				s.Get(k("a"), Now+6, value(3, "newer"))
				s.Get(k("b"), Now+6, filled(2, 500))
				s.Get(k("kept"), Now+6, value(9, "kept"))
				s.Get(k("a"), Now+199, value(3, "newer"))
				s.Absent(k("a"), Now+200)
			}},
		{Name: "restore/leaves-out-the-expired", Section: secOptional, Requires: "expired records are left out", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("a"), value(9, "kept"))
				s.Restore(records(rec("a", value(1, "gone"), Now), rec("b", value(1, "gone"), Now-1), rec("c", value(1, "gone"), 1),
					rec("d", value(1, "alive"), Now+1)), Now)
				s.Get(k("a"), Now, value(9, "kept"))
				s.Absent(k("b"), Now)
				s.Absent(k("c"), Now)
				s.Get(k("d"), Now, value(1, "alive"))
				s.HasRecords(s.Snapshot(Now, nil), map[string]store.Record{"a": rec("a", value(9, "kept"), 0), "d": rec("d", value(1, "alive"), Now+1)})
			}},
		{Name: "restore/into-another", Section: secOptional, Requires: "a snapshot of one guest can be restored into another", needs: needSnapshot,
			Run: func(p *Probe) {
				p.RecordsIn(Setup{Shards: 4}, 200+unusual+1, 200+unusual+1)
				from, to := p.Open(Setup{Shards: 1}), p.Open(Setup{Shards: 4})
				want := variety(from)
				to.Put(k("kept"), value(1, "kept"))
				to.Restore(store.Snapshot(p.Context(), from.target, Now), Now)
				want["kept"] = rec("kept", value(1, "kept"), 0)
				to.HasRecords(to.Snapshot(Now, nil), want)
				to.expireInTurn(want)
			}},
		{Name: "restore/into-itself", Section: secOptional, Requires: stores, needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				want := variety(s)
				held := slices.Collect(maps.Values(s.Snapshot(Now, nil)))
				s.Restore(records(held...), Now)
				s.HasRecords(s.Snapshot(Now, nil), want)
				s.Clear(Now)
				s.Restore(records(held...), Now)
				s.HasRecords(s.Snapshot(Now, nil), want)
			}},
		{Name: "restore/from-the-reference", Section: secOptional, Requires: "the form of a snapshot is the same for all guests", needs: needSnapshot,
			Run: func(p *Probe) {
				reference := &Subject{probe: p, number: 1, target: store.NewMemory()}
				want := variety(reference)
				s := p.Store()
				s.Restore(store.Snapshot(p.Context(), reference.target, Now+1), Now+1)
				for key, r := range want {
					if r.Expires != 0 && r.Expires <= Now+1 {
						delete(want, key)
					}
				}
				s.HasRecords(s.Snapshot(Now+1, nil), want)
			}},
		{Name: "restore/into-the-reference", Section: secOptional, Requires: "the form of a snapshot is the same for all guests", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				want := variety(s)
				reference := &Subject{probe: p, number: 2, target: store.NewMemory()}
				reference.Restore(store.Snapshot(p.Context(), s.target, Now), Now)
				reference.HasRecords(reference.Snapshot(Now, nil), want)
			}},
		{Name: "restore/many", Section: secOptional, Requires: stores, needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				var list []store.Record
				for i := range p.Records(2000, LeastRecords) {
					list = append(list, store.Record{Key: fmt.Appendf(nil, "key %d", i), Value: filled(uint64(i+1), i%300), Expires: Now + 10 + store.Millis(i%2)})
				}
				// A list is one call, which must not take too long: if every
				// record goes to a slow disk, the list is shorter.
				started, few := time.Now(), list[:LeastRecords/2]
				s.Restore(records(few...), Now)
				if each := time.Since(started) / time.Duration(len(few)); each > 0 {
					list = list[:min(len(list), max(LeastRecords, int(patience/each)))]
				}
				s.Restore(records(list...), Now)
				for _, r := range list {
					s.Get(r.Key, Now+9, r.Value)
				}
				s.Absent(list[0].Key, Now+10)
				s.Get(list[1].Key, Now+10, list[1].Value)
				s.Absent(list[1].Key, Now+11)
			}},
		{Name: "restore/ends-at-an-error", Section: secOptional, Requires: "an error in what is restored ends the restore and is returned (host/store, Restorer)", needs: needSnapshot,
			Run: func(p *Probe) {
				s := p.Store()
				fault := errors.New("an error in the sequence to restore")
				err := s.TryRestore(func(yield func(store.Record, error) bool) {
					_ = yield(rec("a", value(1, "x"), 0), nil) && yield(store.Record{}, fault)
				}, Now)
				s.want(err, fault)
				s.want(s.TryRestore(records(store.Record{Value: value(1, "no key")}), Now), store.ErrInvalid)
				s.Put(k("b"), value(2, "usable"))
				s.Get(k("b"), Now, value(2, "usable"))
			}},
	}
}
