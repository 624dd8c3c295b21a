package storetest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

func deleteTests() []Test {
	return []Test{
		{Name: "delete/removes", Section: secRequired, Requires: "session_delete removes the record",
			Run: func(p *Probe) {
				s := p.Store()
				for _, v := range [][]byte{value(1, "x"), nil, {1, 2, 3}, filled(2, 3000)} {
					s.Put(k("key"), v)
					s.Delete(k("key"), Now)
					s.Absent(k("key"), Now)
				}
			}},
		{Name: "delete/absent", Section: secRequired, Requires: "session_delete succeeds if there is no record",
			Run: func(p *Probe) {
				s := p.Store()
				s.Delete(k("key"), Now)
				s.Put(k("key"), value(1, "x"))
				s.Delete(k("other"), Now)
				s.Delete(k("key"), Now)
				s.Delete(k("key"), Now)
				s.Absent(k("key"), Now)
				s.Absent(k("other"), Now)
			}},
		{Name: "delete/neighbours", Section: secRequired, Requires: "session_delete removes the record under its key and no other",
			Run: func(p *Probe) {
				s := p.Store()
				key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
				n := p.Records(60, LeastRecords)
				order := p.Random().Perm(n)
				for i := range n {
					s.Put(key(i), filled(uint64(i+1), i))
				}
				for i, gone := range order {
					s.Delete(key(gone), Now)
					s.Absent(key(gone), Now)
					for _, left := range order[i+1:] {
						s.Get(key(left), Now, filled(uint64(left+1), left))
					}
				}
			}},
		{Name: "delete/then-set", Section: secRequired, Requires: "a value set after a deletion is there",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("other"), value(1, "other"))
				for i := range uint64(50) {
					v := filled(i+1, int(i*13%200))
					s.Set(store.Write{Key: k("key"), Value: v, Now: Now, Expect: store.Absent})
					s.Get(k("key"), Now, v)
					s.Delete(k("key"), Now)
					s.Absent(k("key"), Now)
				}
				s.Get(k("other"), Now, value(1, "other"))
			}},
	}
}

func clearTests() []Test {
	return []Test{
		{Name: "clear/everything", Section: secRequired, Requires: "session_clear removes every record",
			Run: func(p *Probe) {
				s := p.Store()
				s.Clear(Now)
				key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
				n := p.Records(200, LeastRecords)
				for i := range n {
					s.Set(store.Write{Key: key(i), Value: filled(uint64(i+1), i*3), Expires: store.Millis(i%2) * (Now + 1000), Now: Now})
				}
				s.Clear(Now)
				for i := range n {
					s.Absent(key(i), Now)
				}
				if p.suite.have&needKeys != 0 {
					s.HasExactly(s.Keys(Now, nil))
				}
			}},
		{Name: "clear/usable-after", Section: secRequired, Requires: "after session_clear the instance continues as if it were new",
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(40, LeastRecords)
				for turn := range uint64(5) {
					for i := range n {
						key := fmt.Appendf(nil, "key %d", i)
						v := filled(turn*100+uint64(i)+1, int(turn)*31+i)
						s.Set(store.Write{Key: key, Value: v, Now: Now, Expect: store.Absent})
						s.Get(key, Now, v)
					}
					for i := range n {
						s.Get(fmt.Appendf(nil, "key %d", i), Now, filled(turn*100+uint64(i)+1, int(turn)*31+i))
					}
					s.Clear(Now)
				}
				s.Absent(k("key 0"), Now)
			}},
		{Name: "clear/revision-is-gone", Section: secRevisions, Requires: "a removed record has no revision",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), value(5, "x"))
				s.Clear(Now)
				s.SetFails(store.Write{Key: k("key"), Value: value(6, "y"), Now: Now, Expect: 5}, store.ErrConflict)
				s.TouchFails(k("key"), Now+5, Now, store.ErrNotFound)
				s.Absent(k("key"), Now)
			}},
	}
}

func saveTests() []Test {
	return []Test{
		{Name: "save/keeps", Section: secRequired, Requires: "session_save drops nothing that has not expired",
			Run: func(p *Probe) {
				s := p.Store()
				s.Save(Now)
				n := p.Records(50, LeastRecords)
				for i := range n {
					s.Set(store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: filled(uint64(i+1), i), Expires: store.Millis(i%2) * (Now + 10), Now: Now})
				}
				for at := range store.Millis(3) {
					s.Save(Now + at*4)
					for i := range n {
						s.Get(fmt.Appendf(nil, "key %d", i), Now+at*4+1, filled(uint64(i+1), i))
					}
				}
			}},
		{Name: "save/expired-stays-absent", Section: secTime, Requires: "an expired record is absent, whether or not its space has been freed",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("a"), Value: value(1, "a"), Expires: Now + 10, Now: Now})
				s.Set(store.Write{Key: k("b"), Value: value(2, "b"), Expires: Now + 11, Now: Now})
				s.Save(Now + 10)
				s.Absent(k("a"), Now+10)
				s.Get(k("b"), Now+10, value(2, "b"))
				s.Set(store.Write{Key: k("a"), Value: value(3, "again"), Now: Now + 10, Expect: store.Absent})
				s.Save(Now + 11)
				s.Get(k("a"), Now+11, value(3, "again"))
				s.Absent(k("b"), Now+11)
			}},
		{Name: "save/between", Section: secRequired, Requires: "session_save changes nothing that a later operation could see",
			Run: func(p *Probe) {
				s := p.Store()
				for i := range uint64(20) {
					old, v := filled(i, int(i)*11), filled(i+1, int(i+1)*11)
					expect := int64(store.Absent)
					if i > 0 {
						s.Get(k("key"), Now, old)
						expect = int64(i)
					}
					s.Set(store.Write{Key: k("key"), Value: v, Now: Now, Expect: expect})
					s.Put(fmt.Appendf(nil, "key %d", i), v)
					s.Save(Now)
					s.Get(k("key"), Now, v)
					s.Delete(fmt.Appendf(nil, "key %d", i/2), Now)
					s.Save(Now)
					s.Absent(fmt.Appendf(nil, "key %d", i/2), Now)
				}
			}},
	}
}
