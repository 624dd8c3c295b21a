package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// sharedTests are about stores of several hosts that keep their records in one backend.
func sharedTests() []Test {
	const others = "once one host was answered, every other one sees the effect"
	tests := []Test{
		{Name: "shared/writes", Section: secShards, Requires: others, Run: withHosts(sharedWrites)},
		{Name: "shared/expiry", Section: secShards, Requires: others + ", on an expiry too", Run: withHosts(sharedExpiry)},
		{Name: "shared/revisions", Section: secRevisions, Requires: "a guest whose data several processes share compares with what any of them stored last", Run: withHosts(sharedRevisions)},
		{Name: "shared/clear", Section: secRequired, Requires: "session_clear removes every record, whichever host stored it", needs: needClear, Run: withHosts(sharedClear)},
		{Name: "shared/sweep", Section: secOptional, Requires: "session_sweep removes and counts what has expired, whichever host stored it, and nothing else", needs: needSweep, Run: withHosts(sharedSweep)},
		{Name: "shared/keys", Section: secOptional, Requires: "session_keys names every key, whichever host stored it", needs: needKeys, Run: withHosts(sharedKeys)},
		{Name: "shared/snapshot", Section: secOptional, Requires: "session_snapshot gives every record as any host stored it last", needs: needSnapshot, Run: withHosts(sharedSnapshot)},
		{Name: "shared/restore", Section: secOptional, Requires: "what one host restores every other one sees", needs: needRestore, Run: withHosts(sharedRestore)},
		{Name: "shared/clocks", Section: secTime, Requires: "the guest compares with the now_ms of the call, also where the clocks of hosts differ", Run: withHosts(sharedClocks)},
		{Name: "shared/namespaces", Section: secShards, Requires: "namespaces of one backend have nothing in common", Run: sharedNamespaces},
		{Name: "shared/a-host-ends", Section: secLife, Requires: "the end of one host changes nothing for the others, and every write that was answered stays", needs: needClose, Run: withHosts(sharedEnd)},
		{Name: "shared/sequences", Section: secResults, Requires: "whichever host is asked, in any order, the answers are those of a map with expiry and revisions",
			Run: func(p *Probe) { sequences(p, sharing) }},
	}
	tests = append(tests, raceTests()...)
	for i := range tests {
		tests[i].needs |= needShared
	}
	return tests
}

func sharedWrites(p *Probe, hosts []*Subject) {
	inEachRole(hosts, func(key []byte, a, b, c *Subject) {
		all := []*Subject{b, c, a}
		allAbsent(all, key, Now)
		a.Set(store.Write{Key: key, Value: filled(1, 40), Now: Now, Expect: store.Absent})
		allGet(all, key, Now, filled(1, 40))
		a.Put(key, filled(2, 90))
		allGet(all, key, Now, filled(2, 90))
		b.Put(key, filled(3, 9))
		allGet(all, key, Now, filled(3, 9))
		c.Delete(key, Now)
		allAbsent(all, key, Now)
		b.Set(store.Write{Key: key, Value: filled(4, 50), Now: Now, Expect: store.Absent})
		allGet(all, key, Now, filled(4, 50))
		a.Set(store.Write{Key: key, Value: filled(5, 20), Expires: Now, Now: Now})
		allAbsent(all, key, Now)
	})
}

func sharedExpiry(p *Probe, hosts []*Subject) {
	for i, a := range hosts {
		b, c := hosts[(i+1)%sharing], hosts[(i+2)%sharing]
		key, v, at := fmt.Appendf(nil, "key %d", i), value(7, "expires"), Now+store.Millis(1000*i)
		a.Set(store.Write{Key: key, Value: v, Expires: at + 100, Now: at})
		allGet(hosts, key, at+99, v)
		b.Set(store.Write{Key: key, Value: v, Expires: at + 200, Now: at + 99, Expect: 7})
		allGet(hosts, key, at+199, v)
		if p.has(needTouch) {
			c.Touch(key, at+400, at+199)
			allGet(hosts, key, at+399, v)
			a.Touch(key, at+500, at+399)
			b.Touch(key, at+450, at+399)
			allGet(hosts, key, at+449, v)
			at += 250
		}
		allAbsent([]*Subject{c, a, b}, key, at+200)
	}
}

func sharedRevisions(p *Probe, hosts []*Subject) {
	inEachRole(hosts, func(key []byte, a, b, c *Subject) {
		b.Absent(key, Now)
		a.Set(store.Write{Key: key, Value: filled(1, 20), Now: Now, Expect: store.Absent})
		b.SetFails(store.Write{Key: key, Value: filled(9, 20), Now: Now, Expect: store.Absent}, store.ErrConflict)
		c.Get(key, Now, filled(1, 20))
		b.Set(store.Write{Key: key, Value: filled(2, 20), Now: Now, Expect: 1})
		a.SetFails(store.Write{Key: key, Value: filled(9, 20), Now: Now, Expect: 1}, store.ErrConflict)
		c.SetFails(store.Write{Key: key, Value: filled(9, 20), Now: Now, Expect: 1}, store.ErrConflict)
		c.Set(store.Write{Key: key, Value: filled(3, 20), Now: Now, Expect: 2})
		a.Set(store.Write{Key: key, Value: filled(4, 20), Now: Now, Expect: 3})
		b.SetFails(store.Write{Key: key, Value: filled(9, 20), Expires: Now, Now: Now, Expect: 3}, store.ErrConflict)
		c.Delete(key, Now)
		a.SetFails(store.Write{Key: key, Value: filled(9, 20), Now: Now, Expect: 4}, store.ErrConflict)
		b.Set(store.Write{Key: key, Value: filled(5, 20), Now: Now, Expect: store.Absent})
		a.SetFails(store.Write{Key: key, Value: filled(9, 20), Now: Now, Expect: store.Absent}, store.ErrConflict)
		c.SetFails(store.Write{Key: key, Value: filled(9, 20), Now: Now, Expect: store.Absent}, store.ErrConflict)
		c.Set(store.Write{Key: key, Value: filled(9, 20), Expires: Now, Now: Now, Expect: 5})
		a.Set(store.Write{Key: key, Value: filled(6, 20), Now: Now, Expect: store.Absent})
	})
}

// fillShared has each host store some records, and returns them.
func fillShared(hosts []*Subject, name string, expires, now store.Millis) map[string]store.Record {
	all := make(map[string]store.Record)
	for i := range 4 * len(hosts) {
		r := store.Record{Key: fmt.Appendf(nil, "%s %d", name, i), Value: filled(uint64(i+1), 30), Expires: expires}
		hosts[i%len(hosts)].Set(store.Write{Key: r.Key, Value: r.Value, Expires: expires, Now: now})
		all[string(r.Key)] = r
	}
	return all
}

func sharedClear(p *Probe, hosts []*Subject) {
	for _, by := range hosts {
		stored := fillShared(hosts, "key", 0, Now)
		by.Clear(Now)
		for key, r := range stored {
			allAbsent(hosts, k(key), Now)
			hosts[0].SetFails(store.Write{Key: k(key), Value: r.Value, Now: Now, Expect: 1}, store.ErrConflict)
		}
		for i := range hosts {
			key := fmt.Appendf(nil, "key %d", i)
			hosts[i].Set(store.Write{Key: key, Value: filled(1, 20), Now: Now, Expect: store.Absent})
			allGet(hosts, key, Now, filled(1, 20))
		}
	}
}

func sharedSweep(p *Probe, hosts []*Subject) {
	for round, by := range hosts {
		at := Now + store.Millis(1000*round)
		stays := fillShared(hosts[:1], "stays", 0, at)
		expired := fillShared(hosts, "key", at+100, at)
		removed, most := 0, len(expired)
		for n := 1; n > 0 && removed <= most; removed += n {
			n = by.Sweep(1000, at+100)
		}
		if removed != most {
			p.Failf(fmt.Sprint(most), "%d records removed by one host, of %d that the hosts had stored and that had expired", removed, most)
		}
		for key, r := range stays {
			allGet(hosts, k(key), at+100, r.Value)
		}
	}
}

func sharedKeys(p *Probe, hosts []*Subject) {
	stored := fillShared(hosts, "key", 0, Now)
	for i, s := range hosts {
		gone := fmt.Sprint("key ", i)
		hosts[(i+1)%sharing].Delete(k(gone), Now)
		delete(stored, gone)
		var want [][]byte
		for key := range stored {
			want = append(want, k(key))
		}
		s.HasExactly(s.Keys(Now, nil), want...)
	}
}

func sharedSnapshot(p *Probe, hosts []*Subject) {
	stored := fillShared(hosts, "key", Now+1000, Now)
	for i, s := range hosts {
		key := fmt.Sprint("key ", i)
		r := store.Record{Key: k(key), Value: filled(uint64(100+i), 50), Expires: Now + 2000}
		hosts[(i+1)%sharing].Set(store.Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: Now})
		stored[key] = r
		s.HasRecords(s.Snapshot(Now, nil), stored)
	}
}

func sharedRestore(p *Probe, hosts []*Subject) {
	inEachRole(hosts, func(key []byte, a, b, c *Subject) {
		list := []store.Record{{Key: key, Value: filled(2, 60), Expires: Now + 100}, {Key: append(key, 'x'), Value: filled(3, 30)}}
		a.Put(key, filled(1, 20))
		b.Restore(records(list...), Now)
		allGet(hosts, key, Now+1, filled(2, 60))
		allGet(hosts, append(key, 'x'), Now+1, filled(3, 30))
		c.Set(store.Write{Key: key, Value: filled(4, 20), Now: Now + 1, Expect: 2})
		allGet(hosts, key, Now+1, filled(4, 20))
	})
}

// sharedClocks has one host five seconds ahead of the others. Where that one has seen a
// record as expired, the others may see it or not.
func sharedClocks(p *Probe, hosts []*Subject) {
	behind, ahead, third := hosts[0], hosts[1], hosts[2]
	const lead = 5000
	for i, life := range []store.Millis{3000, 4999, 5000, 5001, 7000} {
		key, v, w := fmt.Appendf(nil, "key %d", i), value(1, "of the one behind"), value(2, "of the one ahead")
		at := Now + store.Millis(20_000*i)
		ahead.Set(store.Write{Key: k("another key"), Value: v, Now: at + lead})
		ahead.Absent(key, at+lead)
		behind.Set(store.Write{Key: key, Value: v, Expires: at + life, Now: at, Expect: store.Absent})
		behind.Get(key, at, v)
		third.Get(key, at+life-1, v)
		if life > lead {
			ahead.Get(key, at+lead, v)
			ahead.Set(store.Write{Key: key, Value: w, Expires: at + lead + 500, Now: at + lead, Expect: 1})
		} else {
			ahead.Absent(key, at+lead)
			third.either(key, at, v)
			ahead.SetFails(store.Write{Key: key, Value: w, Now: at + lead, Expect: 1}, store.ErrConflict)
			ahead.Set(store.Write{Key: key, Value: w, Expires: at + lead + 500, Now: at + lead, Expect: store.Absent})
		}
		behind.Get(key, at+1, w)
		behind.SetFails(store.Write{Key: key, Value: v, Expires: at + life, Now: at + 1, Expect: 1}, store.ErrConflict)
		behind.retime(key, w, at+lead+1000, at+1)
		ahead.Get(key, at+lead+999, w)
		ahead.Absent(key, at+lead+1000)
	}
}

// either requires the value or its absence.
func (s *Subject) either(key []byte, now store.Millis, want []byte) {
	got, err := s.TryGet(key, now)
	if !errors.Is(err, store.ErrNotFound) {
		if s.want(err, nil); !equal(got, want) {
			s.probe.Fail(differ(got, want), "NOT_FOUND, or the value "+bytesInWords(want))
		}
	}
}

// sharedNamespaces has two hosts in one namespace, and one in another whose name differs
// in its last character.
func sharedNamespaces(p *Probe) {
	a := p.Store()
	peer := p.Peer(a)
	near, end := strings.CutSuffix(a.setup.Namespace, "0")
	if end {
		near += "1"
	} else {
		near = near[:len(near)-1] + "0"
	}
	other := p.Open(Setup{Namespace: near})
	keys := [][]byte{k("key"), k("*"), k(":key"), k(near), k(near + "key"), k(near + ":key"), k("../" + near + "/key")}
	for i, key := range keys {
		a.Set(store.Write{Key: key, Value: filled(uint64(i+1), 20), Expires: Now + 100, Now: Now, Expect: store.Absent})
		other.Absent(key, Now)
		other.SetFails(store.Write{Key: key, Value: filled(99, 20), Now: Now, Expect: int64(i + 1)}, store.ErrConflict)
		other.Set(store.Write{Key: key, Value: filled(uint64(i+1), 90), Expires: Now + 100, Now: Now, Expect: store.Absent})
		peer.Get(key, Now, filled(uint64(i+1), 20))
	}
	theirs := func(now store.Millis) {
		for i, key := range keys {
			other.Get(key, now, filled(uint64(i+1), 90))
		}
		if p.has(needKeys) {
			other.HasExactly(other.Keys(now, nil), keys...)
		}
		if p.has(needSnapshot) {
			if n := len(other.Snapshot(now, nil)); n != len(keys) {
				p.Failf(fmt.Sprint(len(keys)), "%d records in a snapshot", n)
			}
		}
	}
	theirs(Now)
	for _, key := range keys {
		peer.Set(store.Write{Key: key, Value: filled(1, 20), Expires: Now + 90, Now: Now})
		peer.retime(key, filled(1, 20), Now+200, Now)
	}
	theirs(Now + 99)
	for _, key := range keys {
		other.Absent(key, Now+100)
		a.Get(key, Now+100, filled(1, 20))
		other.Set(store.Write{Key: key, Value: filled(1, 90), Now: Now + 100})
		peer.Delete(key, Now+100)
		other.Get(key, Now+100, filled(1, 90))
		other.Set(store.Write{Key: key, Value: filled(1, 20), Expires: Now + 150, Now: Now + 100})
		a.Put(key, filled(7, 20))
	}
	if p.has(needSweep) {
		if n := a.Sweep(1000, Now+150); n != 0 {
			p.Failf("none, since only records of another namespace have expired", "%d records removed", n)
		}
	}
	if p.has(needClear) {
		for i, key := range keys {
			other.Put(key, filled(uint64(i+1), 90))
		}
		a.Clear(Now + 150)
		theirs(Now + 150)
		peer.Absent(keys[0], Now+150)
	}
}
