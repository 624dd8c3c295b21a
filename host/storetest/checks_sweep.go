package storetest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// idleSweeps bounds how many sweeps in small steps may remove nothing: a store
// may count empty places of its table among those it looks at.
const idleSweeps = 10_000

func sweepTests() []Test {
	const (
		goesOn = "session_sweep frees the space of expired records, a few at a call, and continues at the next where this one ended"
		counts = "session_sweep returns how many records it removed"
	)
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	// fill stores n records: the even ones expire at Now+100, every second of
	// the others at Now+200, and the rest never.
	fill := func(s *Subject, n int) {
		for i := range n {
			expires := [4]store.Millis{Now + 100, Now + 200, Now + 100, 0}[i%4]
			s.Set(store.Write{Key: key(i), Value: filled(uint64(i+1), i%90), Expires: store.Millis(expires), Now: Now})
		}
	}
	alive := func(s *Subject, n int, now store.Millis) {
		for i := range n {
			if i%2 == 0 || i%4 == 1 && now >= Now+200 {
				s.Absent(key(i), now)
			} else {
				s.Get(key(i), now, filled(uint64(i+1), i%90))
			}
		}
	}
	sweepAll := func(p *Probe, s *Subject, max int, now store.Millis, want int) {
		total, idle := 0, 0
		for total < want {
			n := s.Sweep(max, now)
			if total += n; n > 0 {
				idle = 0
			} else if idle++; idle == idleSweeps {
				p.Failf(fmt.Sprintf("all %d that have expired, in the end", want), "%d records removed, and none by the last %d calls with max %d", total, idle, max)
			}
		}
		for range 100 {
			total += s.Sweep(max, now)
		}
		if total != want {
			p.Failf(fmt.Sprintf("%d, as many as had expired", want), "%d records removed", total)
		}
	}
	return []Test{
		{Name: "sweep/nothing-to-do", Section: secOptional, Requires: counts, needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				if n := s.Sweep(1000, Now); n != 0 {
					p.Failf("0", "%d records removed from an empty store", n)
				}
				held := p.Records(100, LeastRecords)
				fill(s, held)
				for range 20 {
					if n := s.Sweep(100, Now+99); n != 0 {
						p.Failf("0, since none has expired", "%d records removed", n)
					}
				}
				for i := range held {
					s.Get(key(i), Now+99, filled(uint64(i+1), i%90))
				}
			}},
		{Name: "sweep/removes-the-expired-only", Section: secOptional, Requires: goesOn, needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(200, LeastRecords)
				fill(s, n)
				for range 10 {
					s.Sweep(1<<20, Now+100)
				}
				alive(s, n, Now+100)
				for range 10 {
					s.Sweep(1<<20, Now+200)
				}
				alive(s, n, Now+200)
			}},
		{Name: "sweep/counts", Section: secOptional, Requires: counts, needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(200, LeastRecords) / 4 * 4
				fill(s, n)
				sweepAll(p, s, 1<<20, Now+100, n/2)
				sweepAll(p, s, 1<<20, Now+200, n/4)
				alive(s, n, Now+200)
			}},
		{Name: "sweep/small-steps", Section: secOptional, Requires: goesOn, needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(1000, LeastRecords) / 2 * 2
				fill(s, n)
				sweepAll(p, s, 16, Now+100, n/2)
				alive(s, n, Now+100)
			}},
		{Name: "sweep/between-writes", Section: secOptional, Requires: goesOn, needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				const n = 400
				life := p.Records(40, LeastRecords) / 2 // as many are there as a sweep has not reached
				for i := range n {
					now := Now + store.Millis(i)
					s.Set(store.Write{Key: key(i), Value: filled(uint64(i+1), 30), Expires: now + store.Millis(life), Now: now})
					s.Sweep(8, now)
					for j := max(0, i-life-5); j <= i; j++ {
						if Now+store.Millis(j+life) > now {
							s.Get(key(j), now, filled(uint64(j+1), 30))
						} else {
							s.Absent(key(j), now)
						}
					}
				}
			}},
		{Name: "sweep/space-is-used-again", Section: secOptional, Requires: goesOn, needs: needSweep,
			Run: func(p *Probe) {
				s := p.Store()
				n := p.Records(100, LeastRecords)
				for turn := range 5 {
					now := Now + store.Millis(turn)*1000
					for i := range n {
						s.Set(store.Write{Key: key(i), Value: filled(uint64(turn*100+i+1), (i*7+turn*31)%300), Expires: now + 500, Now: now, Expect: store.Absent})
					}
					for i := range n {
						s.Get(key(i), now+499, filled(uint64(turn*100+i+1), (i*7+turn*31)%300))
					}
					for range 2 * n {
						s.Sweep(64, now+500)
					}
				}
			}},
	}
}
