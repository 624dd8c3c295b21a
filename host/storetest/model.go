package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// model is what a store should hold: the specification in its simplest form.
type model struct {
	now     store.Millis
	records map[string]modelRecord
	expired int // expired records that no sweep has counted
	swept   int // records that a sweep has counted since the store was opened
}

type modelRecord struct {
	value   []byte
	expires store.Millis
}

func newModel() *model { return &model{now: Now, records: make(map[string]modelRecord)} }

// advance lets time pass.
func (m *model) advance(ms store.Millis) {
	m.now += ms
	for key, r := range m.records {
		if r.expires != 0 && r.expires <= m.now {
			delete(m.records, key)
			m.expired++
		}
	}
}

func (m *model) set(w store.Write) error {
	r, ok := m.records[string(w.Key)]
	switch {
	case w.Expect == store.Any:
	case w.Expect == store.Absent && ok, w.Expect != store.Absent && (!ok || abi.Revision(r.value) != uint64(w.Expect)):
		return store.ErrConflict
	}
	if w.Expires != 0 && w.Expires <= w.Now {
		delete(m.records, string(w.Key))
		return nil
	}
	m.records[string(w.Key)] = modelRecord{w.Value, w.Expires}
	return nil
}

func (m *model) touch(key []byte, expires store.Millis) error {
	r, ok := m.records[string(key)]
	if !ok {
		return store.ErrNotFound
	}
	if expires != 0 && expires <= m.now {
		delete(m.records, string(key))
		return nil
	}
	r.expires = expires
	m.records[string(key)] = r
	return nil
}

// opKind is what an operation of a random sequence does.
type opKind int

const (
	opGet opKind = iota
	opSet
	opDelete
	opTouch
	opClear
	opSave
	opSweep
	opKeys
	opSnapshot
	opRestore
	opReopen
	opAdvance
)

// operation is one step of a random sequence. It makes sense after any other,
// so every part of a sequence is a sequence.
type operation struct {
	kind     opKind
	host     int
	key      int
	size     int
	revision uint64
	expires  store.Millis // relative to the time of the operation; 0 is never
	expect   int          // 0 any, 1 absent, 2 the stored revision, 3 another
	amount   int64        // of time, or of records
}

// simpler returns operations that do less, for the shrinker.
func (o operation) simpler() []operation {
	var out []operation
	with := func(f func(*operation)) {
		other := o
		f(&other)
		if other != o {
			out = append(out, other)
		}
	}
	with(func(o *operation) { o.host = 0 })
	with(func(o *operation) { o.key = 0 })
	with(func(o *operation) { o.size = 8 })
	with(func(o *operation) { o.size = min(o.size, 16) })
	with(func(o *operation) { o.expires = 0 })
	with(func(o *operation) { o.expires = min(o.expires, 1) })
	with(func(o *operation) { o.expect = 0 })
	with(func(o *operation) { o.amount = min(o.amount, 1) })
	return out
}

// play does operations on a store and on the model, and ends the check when
// they differ.
type play struct {
	p     *Probe
	hosts []*Subject // usually one
	s     *Subject   // the one that does the current operation
	m     *model
	keys  [][]byte
}

func (g *play) do(o operation) {
	g.s = g.hosts[o.host%len(g.hosts)]
	key := g.keys[o.key%len(g.keys)]
	expires := o.expires
	if expires != 0 {
		expires += g.m.now
	}
	switch o.kind {
	case opGet:
		if r, ok := g.m.records[string(key)]; ok {
			g.s.Get(key, store.Millis(g.m.now), r.value)
		} else {
			g.s.Absent(key, store.Millis(g.m.now))
		}
	case opSet:
		w := store.Write{Key: key, Value: filled(o.revision, o.size), Expires: store.Millis(expires), Now: store.Millis(g.m.now), Expect: g.expect(key, o)}
		g.s.want(g.s.TrySet(w), g.m.set(w))
	case opDelete:
		g.s.Delete(key, store.Millis(g.m.now))
		delete(g.m.records, string(key))
	case opTouch:
		if !g.p.has(needTouch) {
			return
		}
		g.s.want(g.s.TryTouch(key, store.Millis(expires), store.Millis(g.m.now)), g.m.touch(key, store.Millis(expires)))
	case opClear:
		if !g.p.has(needClear) {
			return
		}
		g.s.Clear(store.Millis(g.m.now))
		clear(g.m.records)
	case opSave:
		g.s.Save(store.Millis(g.m.now))
	case opSweep:
		if g.p.suite.have&needSweep != 0 {
			if n := g.s.Sweep(int(o.amount)+1, store.Millis(g.m.now)); n > g.m.expired {
				g.p.Failf(fmt.Sprintf("at most %d, as many as have expired", g.m.expired), "%d records removed", n)
			} else {
				g.m.expired -= n
				g.m.swept += n
			}
		}
	case opKeys:
		g.checkKeys()
	case opSnapshot:
		g.checkSnapshot()
	case opRestore:
		if !g.p.has(needRestore) {
			return
		}
		list := []store.Record{
			{Key: key, Value: filled(o.revision, o.size), Expires: store.Millis(expires)},
			{Key: g.keys[(o.key+1)%len(g.keys)], Value: filled(o.revision, o.size/2), Expires: 0},
		}
		g.s.Restore(records(list...), store.Millis(g.m.now))
		for _, r := range list {
			if r.Expires == 0 || r.Expires > g.m.now {
				g.m.records[string(r.Key)] = modelRecord{r.Value, r.Expires}
			}
		}
	case opReopen:
		if g.p.has(needDurable) && len(g.hosts) == 1 || len(g.hosts) > 1 && o.amount == 0 { // opening a host may take long
			g.s = g.p.Reopen(g.s)
			g.hosts[o.host%len(g.hosts)] = g.s
			// Nothing guarantees that the removal of expired records is saved.
			g.m.expired += g.m.swept
			g.m.swept = 0
		}
	case opAdvance:
		g.m.advance(store.Millis(o.amount))
	}
}

func (g *play) expect(key []byte, o operation) int64 {
	r, ok := g.m.records[string(key)]
	revision := int64(abi.Revision(r.value))
	switch {
	case o.expect == 0:
		return store.Any
	case o.expect == 1:
		return store.Absent
	case o.expect == 2 && ok && revision != store.Any && revision != store.Absent:
		return revision
	}
	return int64(o.revision + 1<<20)
}

func (g *play) checkKeys() {
	if g.p.suite.have&needKeys == 0 {
		return
	}
	want := make([][]byte, 0, len(g.m.records))
	for key := range g.m.records {
		want = append(want, []byte(key))
	}
	g.s.HasExactly(g.s.Keys(store.Millis(g.m.now), nil), want...)
}

func (g *play) checkSnapshot() {
	if g.p.suite.have&needSnapshot == 0 {
		return
	}
	want := make(map[string]store.Record, len(g.m.records))
	for key, r := range g.m.records {
		want[key] = store.Record{Key: []byte(key), Value: r.value, Expires: r.expires}
	}
	g.s.HasRecords(g.s.Snapshot(store.Millis(g.m.now), nil), want)
}

// all compares everything.
func (g *play) all() {
	for _, key := range g.keys {
		if r, ok := g.m.records[string(key)]; ok {
			g.s.Get(key, store.Millis(g.m.now), r.value)
		} else if _, err := g.s.target.Get(g.s.ctx(), key, store.Millis(g.m.now)); !errors.Is(err, store.ErrNotFound) {
			g.s.Absent(key, store.Millis(g.m.now))
		}
	}
	g.checkKeys()
	g.checkSnapshot()
}
