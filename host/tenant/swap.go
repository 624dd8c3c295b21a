package tenant

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// swap is the store of a tenant. It stands above a plugin that can be replaced while
// operations run: each goes to the plugin of its time, and none is lost or fails
// because of a replacement. It has no Unwrap: an operation that went around it would
// miss the gates.
type swap struct {
	now     atomic.Pointer[edition]
	copying atomic.Pointer[recorder] // what is written while sessions are moved, nil for none
	counts  counters
	time    atomic.Int64 // of the last operation, in milliseconds
	tenant  *Tenant      // is told how the plugin fares
}

var (
	_ store.Store       = (*swap)(nil)
	_ store.Bounded     = (*swap)(nil)
	_ store.Toucher     = (*swap)(nil)
	_ store.Clearer     = (*swap)(nil)
	_ store.Saver       = (*swap)(nil)
	_ store.Sweeper     = (*swap)(nil)
	_ store.Lister      = (*swap)(nil)
	_ store.Snapshotter = (*swap)(nil)
	_ store.Restorer    = (*swap)(nil)
)

// read returns the edition for an operation that changes nothing. The caller leaves its
// gate.
func (s *swap) read(ctx context.Context) (*edition, error) {
	return s.enter(ctx, func(e *edition) *gate { return e.reads })
}

// write returns the edition for an operation that changes something.
func (s *swap) write(ctx context.Context) (*edition, error) {
	return s.enter(ctx, func(e *edition) *gate { return e.writes })
}

func (s *swap) enter(ctx context.Context, of func(*edition) *gate) (*edition, error) {
	for {
		e := s.now.Load()
		wait, ok := of(e).enter()
		if ok {
			if e.down != nil {
				of(e).leave()
				return nil, e.down
			}
			return e, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// done counts an operation.
func (s *swap) done(op opKind, began time.Time, err error) {
	s.counts.add(op, time.Since(began), err)
	if err != nil {
		s.tenant.failed(err)
	} else if s.tenant.seen.Load() != seenServing {
		s.tenant.observe(StateServing, nil)
	}
}

// Get implements [store.Store].
func (s *swap) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	e, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	s.time.Store(int64(now))
	began := time.Now()
	value, err := e.plugin.Get(ctx, key, now)
	e.reads.leave()
	s.done(opGet, began, err)
	return value, err
}

// GetInto implements [store.Bounded].
func (s *swap) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	e, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	s.time.Store(int64(now))
	began := time.Now()
	value, err := e.plugin.GetInto(ctx, key, now, into, most)
	e.reads.leave()
	s.done(opGet, began, err)
	return value, err
}

// Set implements [store.Store].
func (s *swap) Set(ctx context.Context, w store.Write) error {
	e, err := s.write(ctx)
	if err != nil {
		return err
	}
	s.time.Store(int64(w.Now))
	began := time.Now()
	if r := s.copying.Load(); r == nil {
		err = e.plugin.Set(ctx, w)
	} else {
		err = r.write(ctx, w.Key, w.Expires, func() error { return e.plugin.Set(ctx, w) })
	}
	e.writes.leave()
	s.done(opSet, began, err)
	return err
}

// Touch implements [store.Toucher].
func (s *swap) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	e, err := s.write(ctx)
	if err != nil {
		return err
	}
	s.time.Store(int64(now))
	began := time.Now()
	if r := s.copying.Load(); r == nil {
		err = e.plugin.Touch(ctx, key, expires, now)
	} else {
		err = r.write(ctx, key, expires, func() error { return e.plugin.Touch(ctx, key, expires, now) })
	}
	e.writes.leave()
	s.done(opTouch, began, err)
	return err
}

// Delete implements [store.Store].
func (s *swap) Delete(ctx context.Context, key []byte, now store.Millis) error {
	e, err := s.write(ctx)
	if err != nil {
		return err
	}
	s.time.Store(int64(now))
	began := time.Now()
	if r := s.copying.Load(); r == nil {
		err = e.plugin.Delete(ctx, key, now)
	} else {
		err = r.write(ctx, key, deleted, func() error { return e.plugin.Delete(ctx, key, now) })
	}
	e.writes.leave()
	s.done(opDelete, began, err)
	return err
}

// whole runs an operation that may change any record.
func (s *swap) whole(ctx context.Context, op opKind, f func(e *edition) error) error {
	e, err := s.write(ctx)
	if err != nil {
		return err
	}
	defer e.writes.leave()
	began := time.Now()
	err = f(e)
	if r := s.copying.Load(); r != nil {
		r.all()
	}
	s.done(op, began, err)
	return err
}

// Clear implements [store.Clearer].
func (s *swap) Clear(ctx context.Context, now store.Millis) error {
	return s.whole(ctx, opOther, func(e *edition) error { return e.plugin.Clear(ctx, now) })
}

// Restore implements [store.Restorer].
func (s *swap) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	return s.whole(ctx, opOther, func(e *edition) error { return e.plugin.Restore(ctx, records, now) })
}

// Save implements [store.Saver].
func (s *swap) Save(ctx context.Context, now store.Millis) error {
	e, err := s.read(ctx)
	if err != nil {
		return err
	}
	defer e.reads.leave()
	began := time.Now()
	err = e.plugin.Save(ctx, now)
	s.done(opOther, began, err)
	return err
}

// Sweep implements [store.Sweeper]. What it removes while records are copied may have been
// copied before, so that everything is copied again.
func (s *swap) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	err = s.whole(ctx, opOther, func(e *edition) error {
		removed, err = e.plugin.Sweep(ctx, max, now)
		return err
	})
	return removed, err
}

// Keys implements [store.Lister]. If the plugin is replaced before all is listed, it begins
// again with the new one, so that keys come more than once.
func (s *swap) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return enumerate(ctx, s, func(e *edition) iter.Seq2[[]byte, error] { return e.plugin.Keys(ctx, now) })
}

// Snapshot implements [store.Snapshotter], in the same way as Keys.
func (s *swap) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return enumerate(ctx, s, func(e *edition) iter.Seq2[store.Record, error] { return e.plugin.Snapshot(ctx, now) })
}

// enumerate passes on what an edition enumerates. It holds no gate meanwhile: a caller
// that takes its time must not hold up a replacement.
func enumerate[T any](ctx context.Context, s *swap, of func(*edition) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for {
			e, err := s.read(ctx)
			if err != nil {
				yield(none, err)
				return
			}
			e.reads.leave()
			began, closed := time.Now(), false
			for item, failed := range of(e) {
				if closed = errors.Is(failed, store.ErrClosed) && s.now.Load() != e; closed {
					break
				}
				err = failed
				if !yield(item, err) || err != nil {
					break
				}
			}
			if !closed {
				s.done(opOther, began, err)
				return
			}
		}
	}
}
