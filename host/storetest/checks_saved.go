package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// savedTests kill a host after a save, as those of reopenTests do, where a store
// might think that there was nothing to save.
func savedTests() []Test {
	const durable = "when session_save returns success, every write that was answered before is durable"
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	return []Test{
		{Name: "reopen/restored", Section: secRequired, Requires: durable + ": session_restore stores as session_set does", needs: needDurable | needSnapshot,
			Run: func(p *Probe) {
				for _, killed := range []bool{false, true} {
					p.forget()
					s := p.Store()
					s.Put(k("before"), value(1, "before"))
					s.Save(Now)
					s.Restore(records(store.Record{Key: k("before"), Value: value(2, "restored")}, store.Record{Key: k("new"), Value: value(3, "new"), Expires: Now + 100}), Now)
					s.Save(Now)
					if killed {
						s = p.Crashed(s)
					} else {
						s = p.Reopen(s)
					}
					s.Get(k("before"), Now, value(2, "restored"))
					s.Get(k("new"), Now+99, value(3, "new"))
					s.Absent(k("new"), Now+100)
				}
			}},
		{Name: "reopen/after-what-is-no-write", Section: secRequired, Requires: durable + ", whatever came between the write and session_save", needs: needDurable,
			Run: func(p *Probe) {
				absent := k("absent")
				for _, between := range []struct {
					name string
					do   func(s *Subject)
				}{
					{"get", func(s *Subject) { s.Get(key(1), Now, value(2, "new")); s.Absent(absent, Now) }},
					{"a refused write", func(s *Subject) {
						s.SetFails(store.Write{Key: key(1), Value: value(9, "no"), Now: Now, Expect: 7}, store.ErrConflict)
						s.SetFails(store.Write{Key: key(1), Value: value(9, "no"), Now: Now, Expect: store.Absent}, store.ErrConflict)
					}},
					{"touch of an absent key", func(s *Subject) { s.TouchFails(absent, Now+1, Now, store.ErrNotFound) }},
					{"delete of an absent key", func(s *Subject) { s.Delete(absent, Now) }},
					{"sweep", func(s *Subject) {
						if p.suite.have&needSweep != 0 {
							s.Sweep(100, Now)
						}
					}},
					{"keys", func(s *Subject) {
						if p.suite.have&needKeys != 0 {
							s.Keys(Now, nil)
						}
					}},
					{"snapshot", func(s *Subject) {
						if p.suite.have&needSnapshot != 0 {
							s.Snapshot(Now, nil)
						}
					}},
				} {
					p.forget()
					s := p.Store()
					s.Put(key(1), value(1, "old"))
					s.Put(key(2), value(1, "deleted"))
					s.Put(key(3), value(1, "touched"))
					s.Save(Now)
					s.Put(key(1), value(2, "new"))
					s.Delete(key(2), Now)
					s.Touch(key(3), Now+100, Now)
					between.do(s)
					s.Save(Now)
					s = p.Crashed(s)
					if got, err := s.TryGet(key(1), Now); err != nil || !equal(got, value(2, "new")) {
						p.Failf("the value "+bytesInWords(value(2, "new")), "with %s before the save: %s %s", between.name, bytesInWords(got), errorInWords(err))
					}
					s.Absent(key(2), Now)
					s.Get(key(3), Now+99, value(1, "touched"))
					s.Absent(key(3), Now+100)
				}
			}},
		{Name: "reopen/many", Section: secRequired, Requires: durable + ", however many there are", needs: needDurable,
			Run: func(p *Probe) {
				const n = 1200
				s := p.Store()
				held := make([]bool, n)
				for i := range n {
					held[i] = s.fits(store.Write{Key: key(i), Value: filled(uint64(i+1), 20), Now: Now})
				}
				for i := range n { // a record that was dropped to make room need not come back
					if held[i] {
						_, err := s.TryGet(key(i), Now)
						held[i] = !errors.Is(err, store.ErrNotFound)
					}
				}
				s.Save(Now)
				s = p.Crashed(s)
				for i := range n {
					if held[i] {
						s.Get(key(i), Now, filled(uint64(i+1), 20))
					}
				}
			}},
	}
}
