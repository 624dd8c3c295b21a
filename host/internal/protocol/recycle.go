package protocol

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

// Recycle replaces every instance by a new one with the same records, shard by shard, and
// skips shards that were never open or sleep. Operations on the shard wait meanwhile. A
// guest that keeps files saves, and the new instance finds them. Any other guest must have
// snapshot and restore, and one shard at a time needs twice its memory. A guest whose
// records are stored elsewhere saves.
//
// If a shard's records cannot be carried over, the shard keeps its instance, and
// Recycle goes on with the others and joins the errors. A cancelled context stops
// it, and the current shard keeps its instance too.
func (st *Store) Recycle(ctx context.Context, now store.Millis) error {
	var errs []error
	extents := st.extents()
	for _, s := range st.shards {
		if s.resting() && !st.closing.Load() {
			continue
		}
		if err := s.recycle(ctx, extents.shard(), now); err != nil {
			if err == store.ErrClosed || err == ctx.Err() {
				return errors.Join(append(errs, err)...)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *shard) recycle(ctx context.Context, x *extent, now store.Millis) error {
	old, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	if s.store.config.KeepsFiles && !s.store.remote() {
		return s.reopen(old, now)
	}
	next, err := s.store.bringUp(s.index)
	if err != nil {
		return s.newError("open", err)
	}
	if s.store.remote() {
		if err = s.done(opSave, old, old.Save(now)); err == nil {
			s.durable = s.written()
		}
	} else {
		err = s.carry(ctx, x, old, next, now)
	}
	if err != nil {
		next.Close()
		return err
	}
	old.Close()
	s.install(next)
	s.restarts++
	return nil
}

func (s *shard) reopen(old *runner, now store.Millis) error {
	if err := s.done(opSave, old, old.Save(now)); err != nil {
		return err
	}
	s.durable = s.written()
	old.Close()
	s.inst = nil
	next, err := s.store.bringUp(s.index)
	if err != nil {
		return s.failed(nil, "open", err)
	}
	s.install(next)
	s.restarts++
	return nil
}

// carry moves all records from one instance to the other.
func (s *shard) carry(ctx context.Context, x *extent, old, next *runner, now store.Millis) error {
	for cursor := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, list, err := s.step(x, old, opSnapshot, cursor, now)
		if err != nil {
			return err
		}
		// The list lies in the old instance's memory; restore copies it to the new
		// one's.
		if err := next.restore(list, now, true); err != nil {
			return s.newError("restore", err)
		}
		if at == 0 {
			return nil
		}
		cursor = at
	}
}
