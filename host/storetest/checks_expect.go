package storetest

import (
	"bytes"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

func expectTests() []Test {
	v, w := value(5, "first"), value(6, "the second")
	const conflict = "if expect does not allow it, the guest stores nothing and returns CONFLICT"
	return []Test{
		{Name: "expect/any", Section: secRevisions, Requires: "expect 0 always stores",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Now: Now, Expect: store.Any})
				s.Get(k("key"), Now, v)
				s.Set(store.Write{Key: k("key"), Value: w, Now: Now, Expect: store.Any})
				s.Get(k("key"), Now, w)
			}},
		{Name: "expect/create-only", Section: secRevisions, Requires: "expect -1 stores only if there is no record",
			Run: func(p *Probe) {
				s := p.Store()
				s.Set(store.Write{Key: k("key"), Value: v, Expires: Now + 100, Now: Now, Expect: store.Absent})
				s.Get(k("key"), Now, v)
				s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: store.Absent}, store.ErrConflict)
				s.Get(k("key"), Now, v)
				s.SetFails(store.Write{Key: k("key"), Value: v, Now: Now + 99, Expect: store.Absent}, store.ErrConflict)
				s.Absent(k("key"), Now+100)
			}},
		{Name: "expect/create-only-over-any-value", Section: secRevisions, Requires: "expect -1 depends on whether there is a record, not on its value",
			Run: func(p *Probe) {
				s := p.Store()
				for i, old := range [][]byte{nil, {0}, make([]byte, 8), {1}, value(1<<64-1, ""), filled(3, 500)} {
					key := fmt.Appendf(nil, "key %d", i)
					s.Put(key, old)
					s.SetFails(store.Write{Key: key, Value: w, Now: Now, Expect: store.Absent}, store.ErrConflict)
					s.Get(key, Now, old)
				}
			}},
		{Name: "expect/create-after-delete", Section: secRevisions, Requires: "expect -1 stores if there is no longer a record",
			Run: func(p *Probe) {
				s := p.Store()
				for range 3 {
					s.Set(store.Write{Key: k("key"), Value: v, Now: Now, Expect: store.Absent})
					s.Delete(k("key"), Now)
				}
				s.Set(store.Write{Key: k("key"), Value: w, Now: Now, Expect: store.Absent})
				s.Get(k("key"), Now, w)
			}},
		{Name: "expect/replace", Section: secRevisions, Requires: "any other expect stores only if there is a record and its revision is expect",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), v)
				s.Set(store.Write{Key: k("key"), Value: w, Expires: Now + 100, Now: Now, Expect: 5})
				s.Get(k("key"), Now+99, w)
				s.Absent(k("key"), Now+100)
			}},
		{Name: "expect/replace-chain", Section: secRevisions, Requires: "a record's revision is that of the value stored last",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), filled(1, 8))
				for i := range uint64(300) {
					s.Set(store.Write{Key: k("key"), Value: filled(i+2, 8+int(i*7%90)), Now: Now, Expect: int64(i + 1)})
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: int64(i + 1)}, store.ErrConflict)
				}
				s.Get(k("key"), Now, filled(301, 8+299*7%90))
			}},
		{Name: "expect/other-revision", Section: secRevisions, Requires: conflict,
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), v)
				for _, expect := range []int64{4, 6, 1, -2, -5, 5 << 8, 5 << 32, 5<<32 | 5, 5 << 56, 1<<63 - 1, -1 << 63} {
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: expect}, store.ErrConflict)
				}
				s.Get(k("key"), Now, v)
			}},
		{Name: "expect/revision-of-nothing", Section: secRevisions, Requires: "a revision as expect requires a stored record",
			Run: func(p *Probe) {
				s := p.Store()
				for _, expect := range []int64{5, 1, -2, 1 << 40} {
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: expect}, store.ErrConflict)
					s.Absent(k("key"), Now)
				}
				s.Put(k("key"), v)
				s.Delete(k("key"), Now)
				s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: 5}, store.ErrConflict)
				s.Absent(k("key"), Now)
			}},
		{Name: "expect/every-byte", Section: secRevisions, Requires: "a revision is a little-endian number of 64 bits, all of which count",
			Run: func(p *Probe) {
				s := p.Store()
				const base = 0x1122334455667788
				for bit := range 64 {
					stored := uint64(base) ^ 1<<bit
					s.Put(k("key"), value(stored, "x"))
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: base}, store.ErrConflict)
					s.Set(store.Write{Key: k("key"), Value: w, Now: Now, Expect: int64(stored)})
					s.Get(k("key"), Now, w)
				}
			}},
		{Name: "expect/high-revisions", Section: secRevisions, Requires: "a revision is unsigned, and a host may choose any but 0 and 2⁶⁴−1",
			Run: func(p *Probe) {
				s := p.Store()
				for _, revision := range []uint64{1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<63 + 1, 1<<64 - 3, 1<<64 - 2} {
					s.Put(k("key"), value(revision, "old"))
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: int64(revision ^ 1<<40)}, store.ErrConflict)
					s.Get(k("key"), Now, value(revision, "old"))
					s.Set(store.Write{Key: k("key"), Value: w, Now: Now, Expect: int64(revision)})
					s.Get(k("key"), Now, w)
				}
			}},
		{Name: "expect/short-values", Section: secRevisions, Requires: "if a value is shorter than eight bytes, the missing bytes count as zero",
			Run: func(p *Probe) {
				s := p.Store()
				for size := 1; size < 8; size++ {
					// The missing bytes must not come from the value that was
					// there before, nor from other values.
					for range 3 {
						s.Put(k("key"), bytes.Repeat([]byte{0xff}, 8))
						s.Put(k("key"), bytes.Repeat([]byte{0xff}, 8+size))
					}
					short := make([]byte, size)
					short[size-1] = 0x81
					s.Put(k("key"), short)
					revision := int64(0x81) << (8 * (size - 1))
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: revision + 1<<62}, store.ErrConflict)
					s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: revision | 1<<60}, store.ErrConflict)
					s.Get(k("key"), Now, short)
					s.Set(store.Write{Key: k("key"), Value: w, Now: Now, Expect: revision})
					s.Get(k("key"), Now, w)
				}
				s.Put(k("key"), nil)
				s.SetFails(store.Write{Key: k("key"), Value: w, Now: Now, Expect: 6}, store.ErrConflict)
				s.Get(k("key"), Now, nil)
			}},
		{Name: "expect/conflict-keeps-the-value", Section: secResults, Requires: "an operation that answers an error has changed nothing that a later operation could see",
			Run: func(p *Probe) {
				s := p.Store()
				for _, size := range []int{0, 3, 8, 400} {
					old := filled(9, size)
					s.Put(k("key"), old)
					for _, expect := range []int64{store.Absent, 8, 10} {
						for _, length := range []int{0, 2, 9, 1000} {
							s.SetFails(store.Write{Key: k("key"), Value: filled(11, length), Now: Now, Expect: expect}, store.ErrConflict)
							s.Get(k("key"), Now, old)
						}
					}
				}
			}},
		{Name: "expect/conflict-keeps-the-expiry", Section: secResults, Requires: "an operation that answers an error has changed nothing that a later operation could see",
			Run: func(p *Probe) {
				s := p.Store()
				for i, expect := range []int64{store.Absent, 4} {
					for j, expires := range []store.Millis{0, Now + 50, Now + 200, Now} {
						key := fmt.Appendf(nil, "key %d", i*4+j)
						s.Set(store.Write{Key: key, Value: v, Expires: Now + 100, Now: Now})
						s.SetFails(store.Write{Key: key, Value: w, Expires: store.Millis(expires), Now: Now, Expect: expect}, store.ErrConflict)
						s.Get(key, Now+99, v)
						s.Absent(key, Now+100)
					}
				}
			}},
	}
}
