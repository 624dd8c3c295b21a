package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// raceTests let hosts that share a backend work on the same records at once.
func raceTests() []Test {
	const oneStep = "comparing and storing are one step where the records lie"
	return []Test{
		{Name: "shared/every-increment-counts", Section: secRevisions, Requires: oneStep + ": of many hosts that replace one revision, exactly one succeeds", Run: withHosts(sharedCounter)},
		{Name: "shared/one-creates", Section: secRevisions, Requires: oneStep + ": of many hosts that create only if absent, exactly one succeeds", Run: withHosts(sharedCreations)},
		{Name: "shared/one-removes", Section: secRevisions, Requires: oneStep + ": of many hosts that remove or replace one revision, exactly one succeeds", Run: withHosts(sharedRemovals)},
		{Name: "shared/touch-beside-writes", Section: secOptional, needs: needTouch, Requires: "session_touch leaves value and revision alone, whatever another host stores meanwhile", Run: withHosts(sharedTouches)},
		{Name: "shared/delete-wins", Section: secRequired, Requires: "session_delete removes the record: neither a touch nor a write with a revision of another host brings it back", Run: withHosts(sharedDeletions)},
		{Name: "shared/whole-values", Section: secResults, Requires: "a host sees a value that another one has stored whole, and never one older than a value it saw before", Run: withHosts(sharedReaders)},
		{Name: "shared/sweeps", Section: secOptional, needs: needSweep, Requires: "session_sweep counts what it removed, and not what another host removed", Run: withHosts(sharedSweeps)},
	}
}

// increment adds one to the revision of a record, however often others are faster.
func (s *Subject) increment(key []byte, most int) {
	for conflicts := 0; ; conflicts++ {
		// Each conflict is somebody else's success, so there cannot be more conflicts than
		// increments.
		if conflicts > most {
			s.probe.Failf("a conflict only if somebody else has stored meanwhile", "%d conflicts in a row, but only %d increments in all", conflicts, most)
		}
		old, err := s.TryGet(key, Now)
		s.want(err, nil)
		revision := abi.Revision(old)
		if s.wins(store.Write{Key: key, Value: value(revision+1, "x"), Now: Now, Expect: int64(revision)}) {
			return
		}
	}
}

func sharedCounter(p *Probe, hosts []*Subject) {
	const rounds, all = 20, 20 * sharing * workers
	hosts[0].Put(k("counter"), value(1, "x"))
	race(p, hosts, func(_ int, s *Subject) {
		for range rounds {
			s.increment(k("counter"), all)
		}
	})
	allGet(hosts, k("counter"), Now, value(1+all, "x"))
}

func sharedCreations(p *Probe, hosts []*Subject) {
	keys := p.Records(40, LeastRecords)
	winners := make([]atomic.Int64, keys)
	race(p, hosts, func(worker int, s *Subject) {
		for i := range keys {
			key := fmt.Appendf(nil, "key %d", i)
			if s.wins(store.Write{Key: key, Value: value(uint64(worker+1), ""), Now: Now, Expect: store.Absent}) {
				if other := winners[i].Swap(int64(worker + 1)); other != 0 {
					p.Failf("one", "%d and %d have both created %s", other-1, worker, bytesInWords(key))
				}
			}
		}
	})
	for i := range keys {
		allGet(hosts, fmt.Appendf(nil, "key %d", i), Now, value(uint64(winners[i].Load()), ""))
	}
}

// sharedRemovals has all workers but one remove what that one replaces.
func sharedRemovals(p *Probe, hosts []*Subject) {
	keys := p.Records(40, LeastRecords)
	winners := make([]atomic.Int64, keys)
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	removes := func(worker, i int) bool { return worker != i%(sharing*workers) }
	for i := range keys {
		hosts[i%sharing].Put(key(i), value(1, "there"))
	}
	race(p, hosts, func(worker int, s *Subject) {
		for i := range keys {
			w := store.Write{Key: key(i), Value: value(uint64(worker+2), ""), Now: Now, Expect: 1}
			if removes(worker, i) {
				w.Expires = Now
			}
			if s.wins(w) {
				if other := winners[i].Swap(int64(worker + 1)); other != 0 {
					p.Failf("one", "%d and %d have both removed or replaced revision 1 of %s", other-1, worker, bytesInWords(key(i)))
				}
			}
		}
	})
	for i := range keys {
		switch worker := int(winners[i].Load()) - 1; {
		case worker < 0:
			p.failAbout(key(i), "nobody has removed or replaced "+bytesInWords(key(i)), "one")
		case removes(worker, i):
			allAbsent(hosts, key(i), Now)
		default:
			allGet(hosts, key(i), Now, value(uint64(worker+2), ""))
		}
	}
}

// meanwhile has one host write until each worker of the others has done its part that often,
// but not for ever: hosts need not be equally fast.
func meanwhile(p *Probe, hosts []*Subject, often int64, write func(revision uint64), beside func(worker int, s *Subject, n int)) (last uint64) {
	const least, most = 100, 5000
	var working atomic.Int64
	var done atomic.Bool
	working.Store(2 * workers)
	p.Together(1+2*workers, func(i int) {
		if i == 0 {
			defer done.Store(true)
			for last = 1; last < least || working.Load() > 0 && last < most; last++ {
				write(last + 1)
			}
			return
		}
		for n := 1; !done.Load(); n++ {
			beside(i-1, hosts[1+i%2], n)
			if int64(n) == often {
				working.Add(-1)
			}
		}
	})
	return last
}

// sharedTouches has one host write, whose revision nobody else changes, and the others
// touch.
func sharedTouches(p *Probe, hosts []*Subject) {
	body := func(revision uint64) []byte { return filled(revision, 60) }
	hosts[0].Put(k("key"), body(1))
	last := meanwhile(p, hosts, 20, func(r uint64) {
		hosts[0].Set(store.Write{Key: k("key"), Value: body(r), Now: Now, Expect: int64(r - 1)})
		hosts[0].Get(k("key"), Now, body(r))
	}, func(_ int, s *Subject, n int) { s.Touch(k("key"), Now+1000+store.Millis(n), Now) })
	allGet(hosts, k("key"), Now, body(last))
}

// sharedDeletions has one host delete what the others touch and replace.
func sharedDeletions(p *Probe, hosts []*Subject) {
	touch := p.has(needTouch)
	for i := range 40 {
		a, b, c := hosts[i%sharing], hosts[(i+1)%sharing], hosts[(i+2)%sharing]
		key := fmt.Appendf(nil, "key %d", i%LeastRecords)
		a.Set(store.Write{Key: key, Value: value(1, "x"), Expires: Now + 1000, Now: Now, Expect: store.Absent})
		b.Get(key, Now, value(1, "x"))
		if i%4 == 0 { // one after the other
			a.Delete(key, Now)
			if touch {
				b.TouchFails(key, Now+2000, Now, store.ErrNotFound)
			}
			c.SetFails(store.Write{Key: key, Value: value(2, "x"), Now: Now, Expect: 1}, store.ErrConflict)
			allAbsent(hosts, key, Now)
			continue
		}
		begun, deleted := make(chan struct{}, 4), new(atomic.Bool)
		// until repeats what a host does until it finds the record gone.
		until := func(s *Subject, what string, gone error, f func(n int) error) {
			defer func() { begun <- struct{}{} }()
			for n := 0; ; n++ {
				late := deleted.Load()
				err := f(n)
				if errors.Is(err, gone) {
					return
				}
				if s.want(err, nil); late {
					p.failAbout(key, "success of a "+what+" that began after another host had deleted the record", errorInWords(gone))
				}
				if n == i%3 {
					begun <- struct{}{}
				}
			}
		}
		p.Together(3, func(g int) {
			switch {
			case g == 0:
				defer deleted.Store(true)
				<-begun
				a.Delete(key, Now)
			case g == 1 && touch:
				until(b, "touch", store.ErrNotFound, func(n int) error { return b.TryTouch(key, Now+2000+store.Millis(n), Now) })
			case g == 2:
				until(c, "write with a revision", store.ErrConflict, func(n int) error {
					return c.TrySet(store.Write{Key: key, Value: value(uint64(n+2), "x"), Expires: Now + 1000, Now: Now, Expect: int64(n + 1)})
				})
			}
		})
		allAbsent(hosts, key, Now)
	}
}

func sharedReaders(p *Probe, hosts []*Subject) {
	body := func(revision uint64) []byte { return filled(revision, 8+int(revision*37%400)) }
	hosts[0].Put(k("key"), body(1))
	var seen [2 * workers]uint64 // the newest revision that each worker saw
	last := meanwhile(p, hosts, 20, func(r uint64) {
		hosts[0].Set(store.Write{Key: k("key"), Value: body(r), Now: Now, Expect: int64(r - 1)})
	}, func(worker int, s *Subject, _ int) {
		got, err := s.TryGet(k("key"), Now)
		s.want(err, nil)
		revision := abi.Revision(got)
		if !equal(got, body(revision)) {
			p.Fail(differ(got, body(revision)), "the value of revision "+fmt.Sprint(revision)+" as it was stored")
		}
		if revision < seen[worker] {
			p.Failf(fmt.Sprintf("revision %d or a newer one", seen[worker]), "revision %d", revision)
		}
		seen[worker] = revision
	})
	allGet(hosts, k("key"), Now, body(last))
}

func sharedSweeps(p *Probe, hosts []*Subject) {
	for round := range 4 {
		at := Now + store.Millis(1000*round)
		expired := fillShared(hosts, "key", at+100, at)
		var removed atomic.Int64
		p.Together(sharing, func(i int) {
			for n := 1; n > 0; {
				n = hosts[i].Sweep(4, at+100)
				removed.Add(int64(n))
			}
		})
		if n := removed.Load(); n > int64(len(expired)) {
			p.Failf(fmt.Sprint("at most ", len(expired)), "%d records removed by all hosts together, of %d that had expired", n, len(expired))
		}
		for key := range expired {
			allAbsent(hosts, k(key), at+100)
		}
	}
}

// sharedEnd has one host end, first while nothing happens, and then while all of them
// write.
func sharedEnd(p *Probe, hosts []*Subject) {
	a, b, c := hosts[0], hosts[1], hosts[2]
	stored := fillShared(hosts, "key", 0, Now)
	b.Close()
	for key, r := range stored {
		allGet([]*Subject{a, c}, k(key), Now, r.Value)
	}
	a.Put(k("key 1"), filled(50, 20))
	c.Delete(k("key 4"), Now)
	b = p.Open(b.setup)
	b.Get(k("key 1"), Now, filled(50, 20))
	b.Absent(k("key 4"), Now)
	sharedEndBeside(p, a, b, c)
}

// sharedEndBeside has b end while each worker increments a counter of its own.
func sharedEndBeside(p *Probe, a, b, c *Subject) {
	const rounds = 40
	counter := func(i int) []byte { return fmt.Appendf(nil, "counter %d", i) }
	begun := make(chan struct{}, 2*workers)
	var answered [1 + workers + 2]uint64 // by each worker
	var cut [len(answered)]uint64        // how many were not answered
	p.Together(len(answered), func(i int) {
		s := b
		switch {
		case i == 0:
			<-begun
			b.Close()
			return
		case i > workers:
			s = []*Subject{a, c}[i%2]
		}
		if s == b {
			defer func() { begun <- struct{}{} }()
		}
		for r := uint64(1); r <= rounds || s == b; r++ {
			w := store.Write{Key: counter(i), Value: value(r, "x"), Now: Now, Expect: int64(r - 1)}
			if r == 1 {
				w.Expect = store.Absent
			}
			err := s.TrySet(w)
			if err != nil && s == b && !errors.Is(err, store.ErrConflict) {
				cut[i] = 1
				return
			}
			if s.want(err, nil); r == 5 && s == b {
				begun <- struct{}{}
			}
			answered[i] = r
		}
	})
	for i := 1; i < len(answered); i++ {
		got, err := a.TryGet(counter(i), Now)
		if errors.Is(err, store.ErrNotFound) && answered[i] == 0 {
			continue
		}
		a.want(err, nil)
		if r := abi.Revision(got); r < answered[i] || r > answered[i]+cut[i] {
			p.Failf(fmt.Sprintf("from %d to %d: what was answered, and perhaps what was cut off", answered[i], answered[i]+cut[i]), "revision %d of %s", r, bytesInWords(counter(i)))
		}
		c.Get(counter(i), Now, got)
	}
}
