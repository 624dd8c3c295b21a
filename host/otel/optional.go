package waddleotel

import (
	"context"
	"iter"

	"github.com/waddle-sessions/waddle/host/store"
)

var (
	_ store.Wrapper     = (*measured)(nil)
	_ store.Bounded     = (*measured)(nil)
	_ store.Toucher     = (*measured)(nil)
	_ store.Clearer     = (*measured)(nil)
	_ store.Saver       = (*measured)(nil)
	_ store.Sweeper     = (*measured)(nil)
	_ store.Lister      = (*measured)(nil)
	_ store.Snapshotter = (*measured)(nil)
	_ store.Restorer    = (*measured)(nil)
	_ store.Closer      = (*measured)(nil)
)

// Unwrap returns the measured store.
func (m *measured) Unwrap() store.Store { return m.store }

// absent reports whether nothing beneath is a T. Asking for a missing operation, as
// a loop does that sweeps any store, is not a failed operation and is not measured.
func absent[T any](m *measured) bool {
	_, ok := store.As[T](m.store)
	return !ok
}

func (m *measured) Touch(ctx context.Context, key []byte, expires, now store.Millis) (err error) {
	if absent[store.Toucher](m) {
		return store.Touch(ctx, m.store, key, expires, now)
	}
	c := m.begin(ctx, opTouch)
	err = errPanic
	defer m.end(&c, &err)
	err = store.Touch(c.ctx, m.store, key, expires, now)
	return err
}

func (m *measured) Clear(ctx context.Context, now store.Millis) (err error) {
	if absent[store.Clearer](m) {
		return store.Clear(ctx, m.store, now)
	}
	c := m.begin(ctx, opClear)
	err = errPanic
	defer m.end(&c, &err)
	err = store.Clear(c.ctx, m.store, now)
	return err
}

func (m *measured) Save(ctx context.Context, now store.Millis) (err error) {
	if absent[store.Saver](m) {
		return store.Save(ctx, m.store, now)
	}
	c := m.begin(ctx, opSave)
	err = errPanic
	defer m.end(&c, &err)
	err = store.Save(c.ctx, m.store, now)
	return err
}

func (m *measured) Close(ctx context.Context) (err error) {
	if absent[store.Closer](m) {
		return store.Close(ctx, m.store)
	}
	c := m.begin(ctx, opClose)
	err = errPanic
	defer m.end(&c, &err)
	err = store.Close(c.ctx, m.store)
	return err
}

func (m *measured) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	if absent[store.Sweeper](m) {
		return store.Sweep(ctx, m.store, max, now)
	}
	c := m.begin(ctx, opSweep)
	err = errPanic
	defer m.end(&c, &err)
	removed, err = store.Sweep(c.ctx, m.store, max, now)
	return removed, err
}

func (m *measured) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	if absent[store.Lister](m) {
		return store.Keys(ctx, m.store, now)
	}
	return enumerate(m, ctx, opKeys, func(ctx context.Context) iter.Seq2[[]byte, error] { return store.Keys(ctx, m.store, now) })
}

func (m *measured) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	if absent[store.Snapshotter](m) {
		return store.Snapshot(ctx, m.store, now)
	}
	return enumerate(m, ctx, opSnapshot, func(ctx context.Context) iter.Seq2[store.Record, error] {
		return store.Snapshot(ctx, m.store, now)
	})
}

func (m *measured) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) (err error) {
	if absent[store.Restorer](m) {
		return store.Restore(ctx, m.store, records, now)
	}
	c := m.begin(ctx, opRestore)
	err = errPanic
	defer m.end(&c, &err)
	err = store.Restore(c.ctx, m.store, func(yield func(store.Record, error) bool) {
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

// enumerate measures an enumeration from its first step until the store or the
// caller ends it.
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
