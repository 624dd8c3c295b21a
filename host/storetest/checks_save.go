package storetest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

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
