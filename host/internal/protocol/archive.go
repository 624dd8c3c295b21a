package protocol

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/store"
)

// Archive keeps the records of a guest that holds them in memory, for example in a
// file.
type Archive interface {
	// Begin begins a new copy of all records beside the current one. No other copy
	// replaces the last one.
	Begin(last bool) (Copy, error)
}

// Copy is a copy of all records in the making. Finish or Abort must end it.
type Copy interface {
	// Add adds a list of records and reports false if it came too late. Several
	// shards may add at once.
	Add(list []byte) bool

	// Finish replaces the previous copy by this one. For each shard in keep it also
	// takes over the previous copy's records, as far as room allows: Finish calls
	// room for each of them.
	Finish(keep []bool, room func(shard int, r store.Record) bool) error
	Abort()
}

// SetArchive makes Save and Close copy all records. It must be called before any
// other method.
func (st *Store) SetArchive(a Archive) { st.archive = a }

// copyAll copies what the guest holds into the archive. Operations go on meanwhile,
// and the copy may or may not include them.
func (st *Store) copyAll(ctx context.Context, now store.Millis) error {
	c, err := st.archive.Begin(false)
	if err != nil {
		return st.archiveError(err)
	}
	errs := make([]error, len(st.shards))
	keep := make([]bool, len(st.shards))
	extents := st.extents()
	for i, s := range st.shards {
		if keep[i] = !s.opened.Load(); keep[i] {
			continue
		}
		if kept, asleep := s.sleeping(); asleep {
			for _, list := range kept {
				c.Add(list)
			}
			continue
		}
		patient, cancel := context.WithTimeout(ctx, st.config.Patience)
		for chunk, err := range s.chunks(patient, extents.shard(), opSnapshot, now) {
			if err != nil {
				errs[i], keep[i] = st.notCopied(s, err), true
				break
			}
			c.Add(chunk)
		}
		cancel()
		if errors.Is(errs[i], ErrEndless) {
			c.Abort()
			return st.archiveError(errs[i])
		}
	}
	if err := ctx.Err(); err != nil {
		c.Abort()
		return err
	}
	return errors.Join(append(errs, st.archiveError(c.Finish(keep, st.room())))...)
}

// room bounds what a shard takes over from the previous copy: if a guest fails in the
// middle each time, each copy takes over one part and adds another.
func (st *Store) room() func(shard int, r store.Record) bool {
	extents := st.extents()
	left := make([]*extent, len(st.shards))
	for i := range left {
		left[i] = extents.shard()
	}
	return func(shard int, r store.Record) bool {
		return left[shard].bytes(int64(len(r.Key) + len(r.Value) + chunkCost))
	}
}

func (st *Store) notCopied(s *shard, err error) error {
	return fmt.Errorf("plugin %s: the snapshot has shard %d as it was at an earlier one: %w", st.Name(), s.index, err)
}

// copyShard adds the records of a shard that is being closed. Its lock is held.
func (s *shard) copyShard(c Copy, x *extent, inst *runner, now store.Millis, moves *atomic.Uint64) error {
	for cursor := int64(0); ; {
		next, list, err := s.step(x, inst, opSnapshot, cursor, now)
		if err != nil {
			return err
		}
		moves.Add(1)
		if !c.Add(list) {
			return s.tooLate()
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}

func (s *shard) tooLate() error {
	return fmt.Errorf("plugin %s: shard %d came too late for the snapshot: %w", s.store.Name(), s.index, store.ErrUnavailable)
}

func (st *Store) archiveError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("plugin %s: the snapshot was not written, the previous one is kept: %w: %w", st.Name(), store.ErrUnavailable, err)
}
