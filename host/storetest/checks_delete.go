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
