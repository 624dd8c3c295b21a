package waddleotel

import (
	"context"
	"iter"

	"github.com/waddle-sessions/waddle/host/store"
)

// withOptional returns the wrapper with those of the optional interfaces that
// the store beneath has: a program that asks for one gets the same answer.
func (m *measured) withOptional() store.Store {
	type (
		swp = sweeps
		lst = lists
		snp = snapshots
	)
	sweeper, canSweep := m.store.(store.Sweeper)
	lister, canList := m.store.(store.Lister)
	snapshotter, canSnapshot := m.store.(store.Snapshotter)
	w, l, n := swp{m, sweeper}, lst{m, lister}, snp{m, snapshotter}
	switch {
	case canSweep && canList && canSnapshot:
		return struct {
			*measured
			swp
			lst
			snp
		}{m, w, l, n}
	case canSweep && canList:
		return struct {
			*measured
			swp
			lst
		}{m, w, l}
	case canSweep && canSnapshot:
		return struct {
			*measured
			swp
			snp
		}{m, w, n}
	case canList && canSnapshot:
		return struct {
			*measured
			lst
			snp
		}{m, l, n}
	case canSweep:
		return struct {
			*measured
			swp
		}{m, w}
	case canList:
		return struct {
			*measured
			lst
		}{m, l}
	case canSnapshot:
		return struct {
			*measured
			snp
		}{m, n}
	}
	return m
}

type sweeps struct {
	by      *measured
	beneath store.Sweeper
}

func (s sweeps) Sweep(ctx context.Context, max int, now int64) (removed int, err error) {
	c := s.by.begin(ctx, opSweep)
	err = errPanic
	defer s.by.end(&c, &err)
	removed, err = s.beneath.Sweep(c.ctx, max, now)
	return removed, err
}

type lists struct {
	by      *measured
	beneath store.Lister
}

func (l lists) Keys(ctx context.Context, now int64) iter.Seq2[[]byte, error] {
	return enumerate(l.by, ctx, opKeys, func(ctx context.Context) iter.Seq2[[]byte, error] { return l.beneath.Keys(ctx, now) })
}

type snapshots struct {
	by      *measured
	beneath store.Snapshotter
}

func (s snapshots) Snapshot(ctx context.Context, now int64) iter.Seq2[store.Record, error] {
	return enumerate(s.by, ctx, opSnapshot, func(ctx context.Context) iter.Seq2[store.Record, error] {
		return s.beneath.Snapshot(ctx, now)
	})
}

func (s snapshots) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now int64) (err error) {
	c := s.by.begin(ctx, opRestore)
	err = errPanic
	defer s.by.end(&c, &err)
	err = s.beneath.Restore(c.ctx, func(yield func(store.Record, error) bool) {
		c.leave()
		defer c.back()
		for r, err := range records {
			c.back()
			if !yield(r, err) {
				return
			}
			c.leave()
		}
	}, now)
	return err
}

// enumerate measures an enumeration from its first step to its end, whoever ends
// it.
func enumerate[T any](m *measured, ctx context.Context, op operation, of func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		c := m.begin(ctx, op)
		err := errPanic
		defer m.end(&c, &err)
		var failed error
		for v, stepErr := range of(c.ctx) {
			failed = stepErr
			c.leave()
			more := yield(v, stepErr)
			c.back()
			if !more {
				break
			}
		}
		err = failed
	}
}
