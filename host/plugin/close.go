package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// defaultPatience is how long what goes on beside operations waits for one
	// shard before it goes on to the next.
	defaultPatience = 10 * time.Second
	// defaultCloseGrace is how long Close waits for a sign of life, after its
	// context has ended. A context that has ended before, as that of a server's
	// shutdown may have, must not cost what was written.
	defaultCloseGrace = 2 * time.Second
)

// ending is the end of a plugin.
type ending struct {
	begun atomic.Bool
	done  chan struct{} // closed when everything has been given back
}

// Close saves every shard and ends the plugin. It waits for calls that run, and
// operations that come later get [store.ErrClosed].
//
// The shards are saved side by side. If the context ends while some of them do
// not come back, Close goes on for as long as others make progress, two seconds
// from one sign of it to the next, and then returns an error that is [ErrHung]
// and the context's, and names them. The others have been saved by then, and the
// snapshot, if there is one, has been written; for a shard that is missing it
// keeps what the file before had of it. What only those shards know is lost if
// the process ends. Should they come back later, they are saved and everything is
// given back; until then a directory stays locked.
//
// A second Close waits until everything has been given back, or for its context.
func (p *Plugin) Close(ctx context.Context) error {
	if p.ending.begun.Swap(true) {
		select {
		case <-p.ending.done:
			return nil
		case <-ctx.Done():
			return p.hung(nil, ctx.Err())
		}
	}
	p.stopLoops()
	c := p.beginClosing()
	ended := c.wait(ctx)
	err := c.finish(ended)

	freed := make(chan error, 1)
	go func() {
		c.rest(ended)
		p.loops.Wait()
		p.countLast()
		freed <- p.free()
		close(p.ending.done)
	}()
	if missing(ended) {
		return errors.Join(err, p.hung(ended, ctx.Err()))
	}
	// The loops come back from calls of shards that have been closed.
	return errors.Join(err, <-freed)
}

// closing is a Close that runs.
type closing struct {
	p       *Plugin
	last    *snapshotWriter // nil for none
	extents *extents
	errs    []error // those of shards belong to them until they have ended
	shards  []error
	whole   []atomic.Bool // the shard is in the snapshot with all it holds
	moves   atomic.Uint64 // signs of progress
	outcome chan int      // shards as they end
}

func (p *Plugin) beginClosing() *closing {
	n := len(p.shards)
	c := &closing{p: p, extents: p.extents(), shards: make([]error, n), whole: make([]atomic.Bool, n), outcome: make(chan int, n)}
	now := p.judged()
	if p.snapshots != nil {
		var err error
		if c.last, err = p.snapshots.beginLast(); err != nil {
			c.errs = append(c.errs, p.snapshotError(err))
		}
	}
	for i, s := range p.shards {
		go func() {
			c.shards[i] = s.close(now, c)
			c.outcome <- i
		}()
	}
	return c
}

// wait returns which shards have ended: all, unless the context ends and nothing
// moves any more.
func (c *closing) wait(ctx context.Context) []bool {
	ended := make([]bool, len(c.p.shards))
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
			done = nil // from here on it is time that counts
		case <-still:
			if c.moves.Load() == moves {
				return ended
			}
		}
		moves = c.moves.Load()
		still = time.After(c.p.config.closeGrace)
	}
	return ended
}

// finish completes the snapshot, and returns what went wrong so far.
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
		c.last.abort()
		errs = append(errs, c.p.snapshotError(ErrEndless))
	default:
		keep := make([]bool, len(ended))
		for i := range keep {
			keep[i] = !c.whole[i].Load()
		}
		errs = append(errs, c.p.snapshotError(c.last.finish(c.p, keep)))
	}
	return errors.Join(errs...)
}

// endless reports whether the enumeration of a shard did not end: a file with what
// it gave is of use to nobody.
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
				c.p.config.Logger.Error("a shard that came back late could not be saved", "plugin", c.p.config.Name, "error", c.shards[i])
			}
		}
	}
}

// close saves and ends the shard, and adds what it holds to the last snapshot.
// It waits for the call that runs. A guest that cannot save may still be able to
// say what it holds.
func (s *shard) close(now store.Millis, c *closing) error {
	if s.queue != nil {
		s.queue <- struct{}{}
	}
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.in == nil {
		return nil
	}
	c.moves.Add(1)
	in := s.in
	err := s.flushAll(in, now, func() { c.moves.Add(1) })
	if s.in != nil {
		err = s.done(opSave, in, in.doTime(in.save, now))
	}
	if s.in != nil && c.last != nil {
		c.moves.Add(1)
		snapshot := c.last.addShard(s, c.extents.shard(), in, now, &c.moves)
		c.whole[s.index].Store(snapshot == nil)
		err = errors.Join(err, snapshot)
	}
	if s.in != nil && s.progress.written.Load() != s.counted.at {
		s.count()
	}
	if s.in != nil {
		in.close()
		s.in = nil
	}
	if err != nil {
		return fmt.Errorf("closing without everything saved: %w", err)
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

// hung names the shards that have not ended; those of nil are not known.
func (p *Plugin) hung(ended []bool, cause error) error {
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
	return fmt.Errorf("plugin %s: %s of %d had not come back from a call when the context ended: %w: %w: %w",
		p.config.Name, shards, len(p.shards), store.ErrUnavailable, ErrHung, cause)
}
