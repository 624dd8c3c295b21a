package protocol

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// The guest's description decides which instance serves a call. If records are kept in
// the instance, or in files that belong to it, a key always goes to the same instance,
// and its operations have one order. If records are stored elsewhere, any instance serves
// any key, so as many calls run at once as there are instances, even for one key, and the
// backend orders them. An operation on all records then goes to one instance instead of
// each, but saving does not: it concerns what each instance has written.

// remote reports whether any instance serves any key. It is false until the first shard
// has opened.
func (st *Store) remote() bool {
	d := st.opened.Load()
	return d != nil && d.Remote
}

// Parts returns the number of sweeping steps in a round: one for each shard, or one for
// all of them.
func (st *Store) Parts() int {
	if st.remote() {
		return 1
	}
	return len(st.shards)
}

// locking is a way to take a shard, which may or may not wake one that sleeps.
type locking func(*shard, context.Context) (*runner, error)

var (
	waking locking = (*shard).lock
	awake  locking = (*shard).lockAwake
)

// enterPart takes an instance for a step of sweeping.
func (s *shard) enterPart(ctx context.Context, lock locking) (*shard, *runner, error) {
	if s.store.remote() {
		return s.store.free(ctx)
	}
	inst, err := lock(s, ctx)
	return s, inst, err
}

// parts returns the shards that an operation on all records must use.
func (st *Store) parts(ctx context.Context) ([]*shard, error) {
	if _, err := st.description(ctx); err != nil || !st.remote() {
		return st.shards, err
	}
	s, _, err := st.free(ctx)
	if err != nil {
		return nil, err
	}
	s.unlock()
	return []*shard{s}, nil
}

// once runs an operation on all records in one instance.
func (st *Store) once(ctx context.Context, op opKind, f func(*shard, *runner) error) error {
	s, inst, err := st.free(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	return s.done(op, inst, f(s, inst))
}

// free takes an instance that is not in use. If all are in use, it waits for one, no
// longer than the context lasts. It prefers a running instance, so that no more are
// opened than are needed at once, and skips one that failed as long as there is
// another.
func (st *Store) free(ctx context.Context) (*shard, *runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if st.waiting.n.Load() == 0 {
		if s, inst, _, err := st.tryFree(ctx); s != nil || err != nil {
			return s, inst, err
		}
	}
	wake := make(chan struct{}, 1)
	st.waiting.add(wake, false)
	for {
		// Not before joining the line: an instance released earlier would have woken another call.
		s, inst, again, err := st.tryFree(ctx)
		if s != nil || err != nil {
			st.waiting.leave(wake)
			return s, inst, err
		}
		var pause <-chan time.Time
		if again > 0 {
			pause = time.After(again)
		}
		select {
		case <-wake:
			st.waiting.add(wake, true)
		case <-pause:
		case <-ctx.Done():
			st.waiting.leave(wake)
			return nil, nil, ctx.Err()
		}
	}
}

// tryFree takes an instance that is not in use. If all are in use it returns neither an
// instance nor an error. again says when to try again even if none is released: when the
// pause of a failed instance is over.
func (st *Store) tryFree(ctx context.Context) (_ *shard, _ *runner, again time.Duration, err error) {
	busy := false
	var next *shard // of the shards without an instance, the one that may have one soonest
	var at time.Time
	for _, s := range st.shards {
		if !s.mu.TryLock() {
			busy = true
			continue
		}
		if s.inst != nil {
			return s, s.inst.waits(ctx), 0, nil
		}
		closed, retryAt := s.closed, s.retryAt
		s.mu.Unlock() // there is no instance, so nobody is woken
		if closed {
			return nil, nil, 0, store.ErrClosed
		}
		if next == nil || retryAt.Before(at) {
			next, at = s, retryAt
		}
	}
	if next == nil {
		return nil, nil, 0, nil
	}
	if busy {
		if again = at.Sub(st.config.Now()); again > 0 {
			return nil, nil, again, nil
		}
	}
	inst, err := next.lock(ctx)
	switch {
	case err == nil:
		return next, inst, 0, nil
	case busy && err != store.ErrClosed && ctx.Err() == nil:
		// The failure is in the log, and a running instance will serve the call.
		return nil, nil, firstBackoff, nil
	}
	return nil, nil, 0, err
}

// waiting are the calls that wait for any instance, the earliest first.
type waiting struct {
	n    atomic.Int32 // how many there are
	mu   sync.Mutex
	line []chan struct{}
}

func (w *waiting) add(wake chan struct{}, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n.Add(1)
	if first {
		w.line = slices.Insert(w.line, 0, wake)
		return
	}
	w.line = append(w.line, wake)
}

// wake lets the first try again.
func (w *waiting) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) > 0 {
		w.line[0] <- struct{}{} // has room for one
		w.line = slices.Delete(w.line, 0, 1)
		w.n.Add(-1)
	}
}

// leave is for a call that no longer waits. If it was woken in vain, it wakes the
// next.
func (w *waiting) leave(wake chan struct{}) {
	w.mu.Lock()
	i := slices.Index(w.line, wake)
	if i >= 0 {
		w.line = slices.Delete(w.line, i, i+1)
		w.n.Add(-1)
	}
	w.mu.Unlock()
	if i < 0 {
		w.wake()
	}
}
