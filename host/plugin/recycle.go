package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Recycle replaces every instance by a new one that holds the same records,
// shard by shard. It gives back memory, which a guest can only ever take more
// of, and needs as much again for one shard while it works. Operations on that
// shard wait.
//
// A guest that may write to a mount saves, and the next instance finds its files.
// Any other must have snapshot and restore, or Recycle fails with
// [store.ErrUnsupported].
// If a shard cannot be carried over it keeps its instance, the other shards are
// done all the same, and the errors are joined. A context that is cancelled
// stops it, and the shard at which it is then keeps its instance, too.
func (p *Plugin) Recycle(ctx context.Context) error {
	if !p.config.keepsFiles() && (!p.has(abi.ExportSnapshot) || !p.has(abi.ExportRestore)) {
		return fmt.Errorf("plugin %s: recycling needs the exports %s and %s: %w", p.config.Name,
			abi.ExportSnapshot, abi.ExportRestore, store.ErrUnsupported)
	}
	var errs []error
	extents := p.extents()
	for _, s := range p.shards {
		if err := s.recycle(ctx, extents.shard()); err != nil {
			if err == store.ErrClosed || err == ctx.Err() {
				return errors.Join(append(errs, err)...)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *shard) recycle(ctx context.Context, x *extent) error {
	old, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	now := s.plugin.judged()
	if s.plugin.config.keepsFiles() {
		return s.reopen(old, now)
	}
	next, err := newInstance(s.plugin, s.index)
	if err != nil {
		return s.newError("open", err)
	}
	if err := s.carry(ctx, x, old, next, now); err != nil {
		next.close()
		return err
	}
	old.close()
	s.install(next)
	s.restarts++
	return nil
}

// keepsFiles reports whether the guest can have its records in files. Two
// instances of it must not be open at once, and the next finds what the last
// one saved.
func (s *settled) keepsFiles() bool {
	for _, m := range s.Mounts {
		if !m.ReadOnly {
			return true
		}
	}
	return false
}

func (s *shard) reopen(old *instance, now store.Millis) error {
	if err := s.done(opSave, old, old.doTime(old.save, now)); err != nil {
		return err
	}
	old.close()
	s.in = nil
	next, err := newInstance(s.plugin, s.index)
	if err != nil {
		return s.failed(nil, "open", err)
	}
	s.install(next)
	s.restarts++
	return nil
}

// carry moves all records from one instance to the other.
func (s *shard) carry(ctx context.Context, x *extent, old, next *instance, now store.Millis) error {
	for cursor := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, list, err := s.step(x, old, opSnapshot, cursor, now)
		if err != nil {
			return err
		}
		// The list lies in the memory of the one and is copied to the other's.
		if err := next.doRestore(list, now, s.plugin.openLimit()); err != nil {
			return s.newError("restore", err)
		}
		if at == 0 {
			return nil
		}
		cursor = at
	}
}
