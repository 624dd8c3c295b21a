package storetest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/host/store"
)

func getTests() []Test {
	return []Test{
		{Name: "get/not-found", Section: secRequired,
			Requires: "session_get returns NOT_FOUND for a key under which nothing is stored",
			Run: func(p *Probe) {
				s := p.Store()
				s.Absent(k("key"), Now)
				s.Put(k("another"), value(1, "x"))
				s.Absent(k("key"), Now)
				s.Absent(k("anothe"), Now)
				s.Absent(k("another "), Now)
			}},
		{Name: "get/what-was-set", Section: secRequired,
			Requires: "session_get returns the value byte for byte as it was stored",
			Run: func(p *Probe) {
				s := p.Store()
				all := value(1, "")
				for i := range 256 {
					all = append(all, byte(i))
				}
				for i, v := range [][]byte{value(5, "hi!"), all, value(1, "\x00\x00\x00"), value(1<<64-2, "\xff\xff\xff\xff"), value(0, "")} {
					key := fmt.Appendf(nil, "key %d", i)
					s.Put(key, v)
					s.Get(key, Now, v)
				}
			}},
		{Name: "get/again", Section: secRequired,
			Requires: "session_get changes nothing",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("a"), value(1, "first"))
				s.Put(k("b"), value(2, "the second"))
				for range 120 {
					s.Get(k("a"), Now, value(1, "first"))
					s.Get(k("b"), Now, value(2, "the second"))
					s.Absent(k("c"), Now)
				}
			}},
		{Name: "get/result-is-the-callers", Section: secMemory,
			Requires: "a result is a copy: neither changing it nor later calls change anything",
			Run: func(p *Probe) {
				s := p.Store()
				want := filled(1, 300)
				s.Put(k("key"), want)
				got, err := s.TryGet(k("key"), Now)
				s.want(err, nil)
				s.Put(k("key"), filled(2, 300))
				s.Put(k("other"), filled(3, 300))
				s.Get(k("other"), Now, filled(3, 300))
				s.Delete(k("key"), Now)
				if !equal(got, want) {
					p.Fail("the value returned earlier is now "+differ(got, want), "that it stays as it was")
				}
				s.Put(k("key"), want)
				got, err = s.TryGet(k("key"), Now)
				s.want(err, nil)
				for i := range got {
					got[i] = 0xaa
				}
				s.Get(k("key"), Now, want)
			}},
	}
}

func setTests() []Test {
	return []Test{
		{Name: "set/arguments-are-the-callers", Section: secMemory,
			Requires: "a guest that keeps a key or value copies it",
			Run: func(p *Probe) {
				s := p.Store()
				key, v := k("key"), value(1, "body")
				s.Set(store.Write{Key: key, Value: v, Now: Now})
				key[0], v[8] = 'X', 'X'
				s.Get(k("key"), Now, value(1, "body"))
				s.Absent(k("Xey"), Now)
			}},
		{Name: "set/overwrite-same", Section: secRequired,
			Requires: "session_set stores the value in place of what was there",
			Run:      func(p *Probe) { overwrite(p, 100, 100) }},
		{Name: "set/overwrite-longer", Section: secRequired,
			Requires: "session_set stores the value in place of what was there, even if it is longer",
			Run:      func(p *Probe) { overwrite(p, 20, 21); overwrite(p, 9, p.ValueSize(5000)) }},
		{Name: "set/overwrite-shorter", Section: secRequired,
			Requires: "session_set stores the value in place of what was there, even if it is shorter",
			Run:      func(p *Probe) { overwrite(p, 21, 20); overwrite(p, p.ValueSize(5000), 9) }},
		{Name: "set/overwrite-often", Section: secRequired,
			Requires: "if many values are set one after the other, the last one is there",
			Run: func(p *Probe) {
				s := p.Store()
				random := p.Random()
				other := filled(1, 64)
				s.Put(k("other"), other)
				for i := range uint64(200) {
					v := filled(i+1, random.IntN(300))
					s.Put(k("key"), v)
					s.Get(k("key"), Now, v)
				}
				s.Get(k("other"), Now, other)
			}},
		{Name: "set/empty-value", Section: secRequired,
			Requires: "a stored empty value is a success with len 0",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("empty"), nil)
				s.Get(k("empty"), Now, nil)
				s.Put(k("empty"), value(1, "x"))
				s.Get(k("empty"), Now, value(1, "x"))
				s.Put(k("empty"), []byte{})
				s.Get(k("empty"), Now, nil)
				s.Absent(k("absent"), Now)
				s.Delete(k("empty"), Now)
				s.Absent(k("empty"), Now)
			}},
		{Name: "set/short-values", Section: secRevisions,
			Requires: "a value may be shorter than a revision, and is stored as it is",
			Run: func(p *Probe) {
				s := p.Store()
				for size := range 9 {
					v := slices.Repeat([]byte{byte(0xf0 + size)}, size)
					s.Put(fmt.Appendf(nil, "%d", size), v)
				}
				for size := range 9 {
					s.Get(fmt.Appendf(nil, "%d", size), Now, slices.Repeat([]byte{byte(0xf0 + size)}, size))
				}
			}},
		{Name: "set/sizes", Section: secRequired,
			Requires: "a value of any size is stored, and no other record is affected",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("before"), filled(1, 100))
				sizes := []int{}
				for _, around := range []int{16, 32, 64, 128, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072} {
					sizes = append(sizes, around-1, around, around+1)
				}
				most := p.ValueSize(sizes[len(sizes)-1])
				for i, size := range sizes {
					if size > most {
						break
					}
					v := filled(uint64(i+2), size)
					s.Put(k("key"), v)
					s.Get(k("key"), Now, v)
					s.Get(k("before"), Now, filled(1, 100))
				}
			}},
		{Name: "set/neighbours", Section: secRequired,
			Requires: "session_set changes the record under its key and no other",
			Run: func(p *Probe) {
				s := p.Store()
				model := make(map[string][]byte)
				random, keys := p.Random(), p.Records(20, LeastRecords)
				for i := range uint64(300) {
					key := fmt.Sprintf("key %d", random.IntN(keys))
					model[key] = filled(i+1, random.IntN(200))
					s.Put(k(key), model[key])
					if i%10 == 9 {
						for _, key := range slices.Sorted(maps.Keys(model)) {
							s.Get(k(key), Now, model[key])
						}
					}
				}
			}},
	}
}

// overwrite replaces a value by one of another size, between two neighbours.
func overwrite(p *Probe, from, to int) {
	p.forget()
	s := p.Store()
	before, after := filled(1, 50), filled(2, 60)
	s.Put(k("before"), before)
	s.Put(k("key"), filled(3, from))
	s.Put(k("after"), after)
	s.Put(k("key"), filled(4, to))
	s.Get(k("key"), Now, filled(4, to))
	s.Get(k("before"), Now, before)
	s.Get(k("after"), Now, after)
}
