package storetest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

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
