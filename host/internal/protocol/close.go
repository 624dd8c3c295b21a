package protocol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Close saves every shard and ends the store. It waits for running calls; later
// operations get [store.ErrClosed]. It skips shards that were never open.
//
// Close saves all shards at once. If the context ends while some do not return from a
// call, Close goes on as long as others make progress, at most CloseGrace from one sign
// of it to the next. It then returns an error that wraps [ErrHung] and the context's,
// and names the missing shards. The others are saved by then and the archive, if there
// is one, is written; it keeps its previous copy of a missing shard.
//
// Close calls free when the last shard has ended, possibly after Close has
// returned. A second Close waits until then, or for its context.
func (st *Store) Close(ctx context.Context, now store.Millis, free func() error) error {
	if st.closing.Swap(true) {
		select {
		case <-st.ended:
			return nil
		case <-ctx.Done():
			return st.hung(nil, ctx.Err())
		}
	}
	c := st.beginClosing(ctx, now)
	ended := c.wait(ctx)
	err := c.finish(ended)

	freed := make(chan error, 1)
	go func() {
		c.rest(ended)
		var err error
		if free != nil {
			err = free()
		}
		freed <- err
		close(st.ended)
	}()
	if missing(ended) {
		return errors.Join(err, st.hung(ended, ctx.Err()))
	}
	return errors.Join(err, <-freed)
}

// Discard ends the instances of a store that failed to open. It saves nothing.
func (st *Store) Discard() {
	for _, s := range st.shards {
		s.mu.Lock()
		if s.inst != nil {
			s.inst.Close()
			s.inst = nil
		}
		s.closeAside()
		s.closed = true
		s.unlock()
	}
}

// closing is a running Close.
type closing struct {
	st      *Store
	last    Copy // nil for none
	extents *extents
	errs    []error
	shards  []error       // each belongs to its shard until that has ended
	whole   []atomic.Bool // the snapshot has all that the shard holds
	moves   atomic.Uint64 // signs of progress
	outcome chan int      // shards as they end
}

func (st *Store) beginClosing(ctx context.Context, now store.Millis) *closing {
	n := len(st.shards)
	c := &closing{st: st, extents: st.extents(), shards: make([]error, n), whole: make([]atomic.Bool, n), outcome: make(chan int, n)}
	if st.archive != nil {
		var err error
		if c.last, err = st.archive.Begin(true); err != nil {
			c.errs = append(c.errs, st.archiveError(err))
		}
	}
	for i, s := range st.shards {
		go func() {
			c.shards[i] = s.close(ctx, now, c)
			c.outcome <- i
		}()
	}
	return c
}

// wait returns which shards have ended: all, unless the context ends and progress
// stops.
func (c *closing) wait(ctx context.Context) []bool {
	ended := make([]bool, len(c.st.shards))
	left, done := len(ended), ctx.Done()
	var still <-chan time.Time
	moves := uint64(0)
	for left > 0 {
		select {
		case i := <-c.outcome:
			ended[i] = true
			left--
			c.moves.Add(1)
			continue
		case <-done:
			done = nil // from here on only progress counts
		case <-still:
			if c.moves.Load() == moves {
				return ended
			}
		}
		moves = c.moves.Load()
		still = time.After(c.st.config.CloseGrace)
	}
	return ended
}

// finish completes the snapshot and returns the errors so far.
func (c *closing) finish(ended []bool) error {
	errs := c.errs
	for i, err := range c.shards {
		if ended[i] {
			errs = append(errs, err)
		}
	}
	switch {
	case c.last == nil:
	case c.endless(ended):
		c.last.Abort()
		errs = append(errs, c.st.archiveError(ErrEndless))
	default:
		keep := make([]bool, len(ended))
		for i := range keep {
			keep[i] = !c.whole[i].Load()
		}
		errs = append(errs, c.st.archiveError(c.last.Finish(keep, c.st.room())))
	}
	return errors.Join(errs...)
}

// endless reports whether the enumeration of a shard did not end. A file with its
// records is useless.
func (c *closing) endless(ended []bool) bool {
	for i, is := range ended {
		if is && errors.Is(c.shards[i], ErrEndless) {
			return true
		}
	}
	return false
}

// rest waits for the shards that had not ended.
func (c *closing) rest(ended []bool) {
	for _, is := range ended {
		if !is {
			if i := <-c.outcome; c.shards[i] != nil {
				c.st.config.Logger.Error("a shard that returned late could not be saved", "plugin", c.st.Name(), "error", c.shards[i])
			}
		}
	}
}

// close saves and ends the shard, and adds its records to the last snapshot. It
// waits for the running call. A guest that cannot save may still be able to list
// its records. A Registered instance sees the context of Close, which may have ended.
func (s *shard) close(ctx context.Context, now store.Millis, c *closing) error {
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.aside != nil && (c.last != nil || s.store.remote()) {
		if _, err = s.wake(); err != nil {
			err = fmt.Errorf("not everything was saved: %w", err)
		}
	}
	s.closeAside()
	if s.inst == nil {
		return errors.Join(err, s.closeAsleep(c))
	}
	c.moves.Add(1)
	inst := s.inst.waits(ctx)
	err = s.flushAll(inst, now, func() { c.moves.Add(1) })
	if s.inst != nil {
		err = s.done(opSave, inst, inst.Save(now))
	}
	if s.inst != nil && c.last != nil {
		c.moves.Add(1)
		snapshot := s.copyShard(c.last, c.extents.shard(), inst, now, &c.moves)
		c.whole[s.index].Store(snapshot == nil)
		err = errors.Join(err, snapshot)
	}
	if s.inst != nil {
		s.countWritten()
	}
	if s.inst != nil {
		inst.Close()
		s.inst = nil
	}
	if err != nil {
		return fmt.Errorf("not everything was saved: %w", err)
	}
	return nil
}

func missing(ended []bool) bool {
	for _, is := range ended {
		if !is {
			return true
		}
	}
	return false
}

// hung returns the error that names the shards that have not ended. Nil means that
// they are not known.
func (st *Store) hung(ended []bool, cause error) error {
	var names []string
	for i, is := range ended {
		if !is {
			names = append(names, fmt.Sprint(i))
		}
	}
	shards := "a shard"
	switch {
	case len(names) == 1:
		shards = "shard " + names[0]
	case len(names) > 1:
		shards = "shards " + strings.Join(names, ", ")
	}
	return fmt.Errorf("plugin %s: %s of %d had not returned from a call when the context ended: %w: %w: %w",
		st.Name(), shards, len(st.shards), store.ErrUnavailable, ErrHung, cause)
}
