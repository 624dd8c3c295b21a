package storetest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/waddle-sessions/waddle/host/store"
)

// Reopen closes a store and opens it again on the same directory.
func (p *Probe) Reopen(s *Subject) *Subject {
	s.Close()
	return p.Open(s.setup)
}

// Crashed opens a store on a copy of the directory as it is now, which is what
// a process killed at this moment leaves.
func (p *Probe) Crashed(s *Subject) *Subject {
	setup := s.setup
	setup.Dir = p.Dir()
	if err := copyDir(setup.Dir, s.setup.Dir); err != nil {
		p.Fail("the directory could not be copied: "+err.Error(), "a copy")
	}
	return p.Open(setup)
}

func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
}

func reopenTests() []Test {
	const durable = "when session_save returns success, every write that was answered before is durable"
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	// holds requires the records as they are now. It leaves all of them there.
	holds := func(s *Subject, want map[string]store.Record) {
		var keys [][]byte
		for _, key := range slices.Sorted(maps.Keys(want)) { // the same failure every time
			keys = append(keys, k(key))
			s.Get(k(key), Now, want[key].Value)
		}
		if s.probe.suite.have&needKeys != 0 {
			s.HasExactly(s.Keys(Now, nil), keys...)
		}
	}
	// check requires the records as they are now and at their expiries. After
	// that, neither the store nor its directory can be used for more checks.
	check := func(s *Subject, want map[string]store.Record) {
		holds(s, want)
		s.expireInTurn(want)
	}
	// change overwrites, touches, removes and lets expire a part of what
	// variety stored.
	change := func(s *Subject, want map[string]store.Record) {
		for i := range 200 {
			r, stored := want[string(key(i))]
			if !stored {
				break
			}
			switch i % 8 {
			case 0:
				s.Delete(key(i), Now)
				delete(want, string(key(i)))
				continue
			case 1:
				r.Value = filled(uint64(i+1000), 8+(i*13)%200)
				s.Set(store.Write{Key: key(i), Value: r.Value, Expires: r.Expires, Now: Now})
			case 2:
				r.Expires = Now + 5000 + store.Millis(i)
				s.Touch(key(i), r.Expires, Now)
			case 3:
				r.Expires = 0
				s.Touch(key(i), 0, Now)
			case 4:
				s.Set(store.Write{Key: key(i), Value: value(1, ""), Expires: Now, Now: Now})
				delete(want, string(key(i)))
				continue
			case 5:
				s.Touch(key(i), Now, Now)
				delete(want, string(key(i)))
				continue
			case 6:
				s.Delete(key(i), Now)
				r.Value, r.Expires = value(uint64(i+2000), "made again"), Now+77
				s.Set(store.Write{Key: key(i), Value: r.Value, Expires: r.Expires, Now: Now, Expect: store.Absent})
			}
			want[string(key(i))] = r
		}
	}
	setups := []Setup{{}, {Shards: 1}, {Shards: 4}}
	return []Test{
		{Name: "reopen/one-record", Section: secRequired, Requires: durable, needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: value(5, "hi!"), Expires: Now + 100, Now: Now})
				s.Save(Now)
				s = p.Reopen(s)
				s.Get(k("key"), Now+99, value(5, "hi!"))
				s.Absent(k("key"), Now+100)
				s.Absent(k("other"), Now)
			}},
		{Name: "reopen/after-save", Section: secRequired, Requires: durable, needs: needDurable,
			Run: func(p *Probe) {
				for _, setup := range setups {
					p.forget()
					s := p.Open(setup)
					want := variety(s)
					s.Save(Now)
					check(p.Reopen(s), want)
				}
			}},
		{Name: "reopen/after-close", Section: secLife, Requires: "a host that shuts down in an orderly way calls session_save just before", needs: needDurable,
			Run: func(p *Probe) {
				for _, setup := range setups {
					p.forget()
					s := p.Open(setup)
					want := variety(s)
					check(p.Reopen(s), want)
				}
			}},
		{Name: "reopen/changes", Section: secRequired, Requires: durable + ", including removals and expiries", needs: needDurable,
			Run: func(p *Probe) {
				for _, setup := range setups {
					p.forget()
					s := p.Open(setup)
					want := variety(s)
					s.Save(Now)
					change(s, want)
					s.Save(Now)
					check(p.Reopen(s), want)
				}
			}},
		{Name: "reopen/changes-after-reopening", Section: secRequired, Requires: durable, needs: needDurable,
			Run: func(p *Probe) {
				for _, setup := range setups {
					p.forget()
					s := p.Open(setup)
					want := variety(s)
					s = p.Reopen(s)
					change(s, want)
					s.Save(Now)
					s = p.Reopen(s)
					holds(s, want)
					check(p.Reopen(s), want)
				}
			}},
		{Name: "reopen/clear", Section: secRequired, Requires: durable + ", including session_clear", needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				variety(s)
				s.Save(Now)
				s.Clear(Now)
				s.Put(k("after"), value(1, "x"))
				s.Save(Now)
				s = p.Reopen(s)
				s.Absent(k("key 1"), Now)
				check(s, map[string]store.Record{"after": {Key: k("after"), Value: value(1, "x")}})
			}},
		{Name: "reopen/expired", Section: secTime, Requires: "an expired record is as good as absent in every operation", needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: value(5, "x"), Expires: Now + 100, Now: Now})
				s.Put(k("other"), value(6, "y"))
				s.Save(Now)
				s = p.Reopen(s)
				s.Absent(k("key"), Now+100)
				s.Set(store.Write{Key: k("key"), Value: value(7, "again"), Now: Now + 100, Expect: store.Absent})
				s.Save(Now + 101)
				s = p.Reopen(s)
				s.Get(k("key"), Now+101, value(7, "again"))
				s.Get(k("other"), Now+101, value(6, "y"))
			}},
		{Name: "reopen/revisions", Section: secRevisions, Requires: "the revision is part of the value, and is compared after reopening as before", needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), value(1<<63+5, "x"))
				s.Put(k("short"), []byte{0x81})
				s = p.Reopen(s)
				s.SetFails(store.Write{Key: k("key"), Value: value(6, ""), Now: Now, Expect: 5}, store.ErrConflict)
				s.SetFails(store.Write{Key: k("key"), Value: value(6, ""), Now: Now, Expect: store.Absent}, store.ErrConflict)
				s.Set(store.Write{Key: k("key"), Value: value(6, "y"), Now: Now, Expect: -1<<63 + 5})
				s.Set(store.Write{Key: k("short"), Value: value(7, "z"), Now: Now, Expect: 0x81})
				s = p.Reopen(s)
				s.Get(k("key"), Now, value(6, "y"))
				s.Get(k("short"), Now, value(7, "z"))
			}},
		{Name: "reopen/often", Section: secRequired, Requires: durable, needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				model := make(map[string][]byte)
				random := p.Random()
				n := p.Records(40, LeastRecords)
				for turn := range uint64(8) {
					for range 30 {
						i := random.IntN(n)
						if random.IntN(3) == 0 {
							s.Delete(key(i), Now)
							delete(model, string(key(i)))
							continue
						}
						model[string(key(i))] = filled(turn*100+uint64(i)+1, random.IntN(200))
						s.Put(key(i), model[string(key(i))])
					}
					if turn%2 == 0 {
						s.Save(Now)
					}
					s = p.Reopen(s)
					for i := range n {
						if v, ok := model[string(key(i))]; ok {
							s.Get(key(i), Now, v)
						} else {
							s.Absent(key(i), Now)
						}
					}
				}
			}},
		{Name: "reopen/one-change", Section: secRequired, Requires: durable + ", even if it is the only one since the last save", needs: needDurable,
			Run: func(p *Probe) {
				for _, c := range []struct {
					name   string
					change func(s *Subject)
					want   []byte // nil for none
					until  store.Millis
				}{
					{"overwrite", func(s *Subject) { s.Put(k("key"), value(6, "new")) }, value(6, "new"), 0},
					{"delete", func(s *Subject) { s.Delete(k("key"), Now) }, nil, 0},
					{"touch", func(s *Subject) { s.Touch(k("key"), Now+500, Now) }, value(5, "old"), Now + 500},
					{"touch to never", func(s *Subject) { s.Touch(k("key"), 0, Now) }, value(5, "old"), 0},
					{"a touch that removes", func(s *Subject) { s.Touch(k("key"), Now, Now) }, nil, 0},
					{"a write that removes", func(s *Subject) { s.Set(store.Write{Key: k("key"), Value: value(6, ""), Expires: Now, Now: Now}) }, nil, 0},
					{"clear", func(s *Subject) { s.Clear(Now) }, nil, 0},
				} {
					for _, killed := range []bool{false, true} {
						p.forget()
						s := p.Store()
						s.Set(store.Write{Key: k("key"), Value: value(5, "old"), Expires: Now + 100, Now: Now})
						s.Save(Now)
						c.change(s)
						if s.Save(Now); killed {
							s = p.Crashed(s)
						} else {
							s = p.Reopen(s)
						}
						switch {
						case c.want == nil:
							s.Absent(k("key"), Now)
						case c.until == 0:
							s.Get(k("key"), Now+1<<40, c.want)
						default:
							s.Get(k("key"), c.until-1, c.want)
							s.Absent(k("key"), store.Millis(c.until))
						}
					}
				}
			}},
		{Name: "reopen/save-of-nothing", Section: secRequired, Requires: "session_save succeeds whether or not there is anything to save", needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				s.Save(Now)
				s = p.Reopen(s)
				s.Save(Now)
				s.Save(Now)
				s.Absent(k("key"), Now)
				s.Put(k("key"), value(1, "x"))
				s.Save(Now)
				s.Save(Now)
				s = p.Crashed(s)
				s.Get(k("key"), Now, value(1, "x"))
			}},
		{Name: "reopen/long-value", Section: secMemory, Requires: "a saved value comes back whole, whatever size the exchange buffer has", needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				v := filled(1, p.ValueSize(1<<20))
				s.Put(k("key"), v)
				s.Put(k("small"), filled(2, 20))
				s = p.Reopen(s)
				s.Get(k("key"), Now, v)
				s.Get(k("small"), Now, filled(2, 20))
			}},
		{Name: "reopen/killed-after-save", Section: secRequired, Requires: durable + ": a host that is killed does not save again", needs: needDurable,
			Run: func(p *Probe) {
				for _, setup := range setups {
					p.forget()
					s := p.Open(setup)
					want := variety(s)
					s.Save(Now)
					check(p.Crashed(s), want)
					change(s, want)
					s.Save(Now)
					check(p.Crashed(s), want)
					s.Clear(Now)
					s.Save(Now)
					check(p.Crashed(s), nil)
				}
			}},
		{Name: "reopen/killed-without-save", Section: secRequired, Requires: "writes that were not saved need not come back, and a value that does was stored at some time since the last save", needs: needDurable,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(60, LeastRecords)
				may := make([]map[string]bool, n)
				for i := range n {
					may[i] = map[string]bool{string(filled(uint64(i+1), 50+i)): true}
					s.Put(key(i), filled(uint64(i+1), 50+i))
				}
				s.Save(Now)
				for turn := range 3 {
					for i := turn; i < n; i += turn + 1 {
						if (i+turn)%4 == 0 {
							s.Delete(key(i), Now)
							may[i][""] = true
							continue
						}
						v := filled(uint64(turn*1000+i+1), 20+(i*17+turn)%100)
						may[i][string(v)] = true
						s.Put(key(i), v)
					}
				}
				crashed := p.Crashed(s)
				for i := range n {
					got, err := crashed.TryGet(key(i), Now)
					if errors.Is(err, store.ErrNotFound) {
						got, err = nil, nil
					}
					crashed.want(err, nil)
					if !may[i][string(got)] {
						p.Failf("one of the values that it had since the last save", "the value %s", bytesInWords(got))
					}
				}
				crashed.Put(key(1), value(1, "usable"))
				crashed = p.Reopen(crashed)
				crashed.Get(key(1), Now, value(1, "usable"))
			}},
	}
}
