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
// It fails with [store.ErrUnsupported] if the guest has no snapshot and restore.
// If a shard cannot be carried over it keeps its instance, the other shards are
// done all the same, and the errors are joined. A context that is cancelled
// stops it between shards.
func (p *Plugin) Recycle(ctx context.Context) error {
	if !p.has(abi.ExportSnapshot) || !p.has(abi.ExportRestore) {
		return fmt.Errorf("plugin %s: recycling needs the exports %s and %s: %w", p.config.Name,
			abi.ExportSnapshot, abi.ExportRestore, store.ErrUnsupported)
	}
	var errs []error
	for _, s := range p.shards {
		if err := s.recycle(ctx); err != nil {
			if err == store.ErrClosed || err == ctx.Err() {
				return errors.Join(append(errs, err)...)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *shard) recycle(ctx context.Context) error {
	old, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	next, err := newInstance(s.plugin, s.index)
	if err != nil {
		return s.newError("open", err)
	}
	now := s.plugin.config.Now().UnixMilli()
	if err := s.carry(old, next, now); err != nil {
		next.close()
		return err
	}
	old.close()
	s.install(next)
	s.restarts++
	return nil
}

// carry moves all records from one instance to the other.
func (s *shard) carry(old, next *instance, now int64) error {
	var cursors cycle
	for cursor := int64(0); ; {
		at, list, err := old.chunk(opSnapshot, cursor, now)
		if err = s.done(opSnapshot, old, err); err != nil {
			return err
		}
		if !cursors.add(at) {
			return s.newError("snapshot", &fault{kind: ErrProtocol, message: fmt.Sprintf("the cursor %d comes again", at)})
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
