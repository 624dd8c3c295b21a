package storetest

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

// lifeTests are about a Store as a whole.
func lifeTests() []Test {
	return []Test{
		{Name: "life/empty", Section: secLife, Requires: "a new store holds nothing",
			Run: func(p *Probe) {
				s := p.Store()
				s.Absent(k("key"), Now)
				if p.suite.have&needKeys != 0 {
					s.HasExactly(s.Keys(Now, nil))
				}
			}},
		{Name: "life/two-stores", Section: secLife, Requires: "instances share nothing",
			Run: func(p *Probe) {
				a, b := p.Store(), p.Store()
				a.Put(k("key"), value(1, "a"))
				b.Absent(k("key"), Now)
				b.Put(k("key"), value(2, "b"))
				a.Get(k("key"), Now, value(1, "a"))
				if b.Delete(k("key"), Now); p.has(needClear) {
					b.Clear(Now)
				}
				a.Get(k("key"), Now, value(1, "a"))
			}},
		{Name: "life/cancelled", Section: secLife, Requires: "a context that is cancelled before an operation begins ends it without effect (host/store, Store)",
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), value(1, "kept"))
				ctx, cancel := context.WithCancel(p.Context())
				cancel()
				for _, op := range operations(ctx, s) {
					if !errors.Is(op.err, context.Canceled) {
						p.Failf("the error of the context, context.Canceled", "%s with a cancelled context: %s", op.op, errorInWords(op.err))
					}
				}
				s.Get(k("key"), Now, value(1, "kept"))
				s.Absent(k("new"), Now)
			}},
		{Name: "life/closed", Section: secLife, Requires: "after Close operations return ErrClosed, and a second Close does nothing (host/store, Closer)", needs: needClose,
			Run: func(p *Probe) {
				s := p.Store()
				s.Put(k("key"), value(1, "x"))
				s.Close()
				for _, op := range operations(p.Context(), s) {
					if !errors.Is(op.err, store.ErrClosed) {
						p.Failf("closed", "%s after Close: %s", op.op, errorInWords(op.err))
					}
				}
				if err := store.Close(p.Context(), s.target); err != nil {
					p.Fail("a second Close: "+errorInWords(err), "success")
				}
			}},
	}
}

type outcome struct {
	op  store.Op
	err error
}

// operations calls each operation that the store has.
func operations(ctx context.Context, subject *Subject) []outcome {
	s := subject.target
	_, get := s.Get(ctx, k("key"), Now)
	all := []outcome{
		{store.OpGet, get},
		{store.OpSet, s.Set(ctx, store.Write{Key: k("key"), Value: value(2, "changed"), Now: Now})},
		{store.OpSet, s.Set(ctx, store.Write{Key: k("new"), Value: value(2, "new"), Now: Now})},
		{store.OpDelete, s.Delete(ctx, k("key"), Now)},
	}
	add := func(n need, op store.Op, call func() error) {
		if subject.probe.has(n) {
			all = append(all, outcome{op, call()})
		}
	}
	add(needTouch, store.OpTouch, func() error { return store.Touch(ctx, s, k("key"), Now+1, Now) })
	add(needClear, store.OpClear, func() error { return store.Clear(ctx, s, Now) })
	add(needSave, store.OpSave, func() error { return store.Save(ctx, s, Now) })
	add(needSweep, store.OpSweep, func() error {
		_, err := store.Sweep(ctx, s, 100, Now+1000)
		return err
	})
	add(needKeys, store.OpKeys, func() error { return first(store.Keys(ctx, s, Now)) })
	add(needSnapshot, store.OpSnapshot, func() error { return first(store.Snapshot(ctx, s, Now)) })
	add(needRestore, store.OpRestore, func() error {
		return store.Restore(ctx, s, records(store.Record{Key: k("new"), Value: value(2, "new")}), Now)
	})
	return all
}
