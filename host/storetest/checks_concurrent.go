package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

func concurrentTests() []Test {
	const order = "operations on one key have one order (host/store, Store)"
	return []Test{
		{Name: "concurrent/every-increment-counts", Section: secRevisions, Requires: "comparing and storing are one step",
			Run: func(p *Probe) {
				s := p.Store()
				const goroutines, rounds = 16, 25
				s.Put(k("counter"), value(1, "x"))
				p.Together(goroutines, func(int) {
					for range rounds {
						// Each conflict is somebody else's success, so there
						// cannot be more conflicts than increments.
						for conflicts := 0; ; conflicts++ {
							if conflicts > goroutines*rounds {
								p.Failf("a conflict only if somebody else has stored meanwhile",
									"%d conflicts in a row, but only %d increments in all", conflicts, goroutines*rounds)
							}
							old, err := s.TryGet(k("counter"), Now)
							s.want(err, nil)
							revision := abi.Revision(old)
							err = s.TrySet(store.Write{Key: k("counter"), Value: value(revision+1, "x"), Now: Now, Expect: int64(revision)})
							if err == nil {
								break
							}
							s.want(err, store.ErrConflict)
						}
					}
				})
				s.Get(k("counter"), Now, value(1+goroutines*rounds, "x"))
			}},
		{Name: "concurrent/one-creates", Section: secRevisions, Requires: "of many that create only if absent, exactly one succeeds",
			Run: func(p *Probe) {
				s := p.Store()
				const goroutines = 8
				keys := p.Records(40, LeastRecords)
				winners := make([]atomic.Int64, keys)
				p.Together(goroutines, func(g int) {
					for i := range keys {
						w := store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: value(uint64(g+1), ""), Now: Now, Expect: store.Absent}
						err := s.TrySet(w)
						if errors.Is(err, store.ErrConflict) {
							continue
						}
						s.want(err, nil)
						if other := winners[i].Swap(int64(g + 1)); other != 0 {
							p.Failf("one", "the goroutines %d and %d have both created %s", other-1, g, bytesInWords(w.Key))
						}
					}
				})
				for i := range keys {
					s.Get(fmt.Appendf(nil, "key %d", i), Now, value(uint64(winners[i].Load()), ""))
				}
			}},
		{Name: "concurrent/readers-see-whole-values", Section: secResults, Requires: order + ": a reader sees a value that was stored, and never one older than a value it saw before",
			Run: func(p *Probe) {
				s := p.Store()
				const writes = 300
				body := func(revision uint64) []byte { return filled(revision, 8+int(revision*37%400)) }
				s.Put(k("key"), body(1))
				var done atomic.Bool
				p.Together(5, func(g int) {
					if g == 0 {
						defer done.Store(true)
						for r := uint64(2); r <= writes; r++ {
							s.Put(k("key"), body(r))
						}
						return
					}
					last := uint64(1)
					for !done.Load() {
						got, err := s.TryGet(k("key"), Now)
						s.want(err, nil)
						revision := abi.Revision(got)
						if !equal(got, body(revision)) {
							p.Fail(differ(got, body(revision)), "the value of revision "+fmt.Sprint(revision)+" as it was stored")
						}
						if revision < last || revision > writes {
							p.Failf(fmt.Sprintf("a revision from %d to %d", last, writes), "revision %d", revision)
						}
						last = revision
					}
				})
				s.Get(k("key"), Now, body(writes))
			}},
		{Name: "concurrent/many-keys", Section: secLife, Requires: order + ", and those on different keys do not disturb each other",
			Run: func(p *Probe) {
				s := p.Store()
				var finished sync.WaitGroup
				const goroutines, rounds = 8, 250
				keys := uint64(p.Records(12*goroutines, LeastRecords) / goroutines)
				finished.Add(goroutines)
				var done atomic.Bool
				source := p.Random()
				seeds := make([]uint64, goroutines)
				for i := range seeds {
					seeds[i] = source.Uint64()
				}
				p.Together(goroutines+1, func(g int) {
					if g == goroutines { // one that enumerates, sweeps and saves
						for !done.Load() {
							if p.suite.have&needKeys != 0 {
								s.Keys(Now, nil)
							}
							if p.suite.have&needSnapshot != 0 {
								s.Snapshot(Now, nil)
							}
							if p.suite.have&needSweep != 0 {
								s.Sweep(10, Now)
							}
						}
						return
					}
					defer func() {
						if finished.Done(); g == 0 {
							finished.Wait()
							done.Store(true)
						}
					}()
					mine := make(map[int][]byte)
					x := seeds[g] | 1
					for r := range rounds {
						x ^= x << 13
						x ^= x >> 7
						x ^= x << 17
						i := int(x % keys)
						key := fmt.Appendf(nil, "key %d of %d", i, g)
						switch x >> 32 % 4 {
						case 0:
							s.Delete(key, Now)
							delete(mine, i)
						case 1, 2:
							mine[i] = filled(uint64(g*rounds+r+1), int(x>>40%300))
							s.Put(key, mine[i])
						}
						if v, ok := mine[i]; ok {
							s.Get(key, Now, v)
						} else {
							s.Absent(key, Now)
						}
					}
				})
			}},
	}
}
