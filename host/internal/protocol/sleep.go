package protocol

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

// Sleep closes every instance and gives back what it takes; the next call that needs
// one brings it up again, with all records. A guest that keeps files has them there, and
// one whose records lie elsewhere finds them. Of any other the host keeps the records: it must have snapshot, or Sleep fails with
// [store.ErrUnsupported] and the instance goes on. A call that runs is waited for.
//
// Nothing is lost, and nothing is made durable that would not be by Save.
func (st *Store) Sleep(ctx context.Context, now store.Millis) error {
	now = st.config.judge(now)
	extents := st.extents()
	var errs []error
	for _, s := range st.shards {
		err := s.sleep(ctx, extents.shard(), now, func() bool { return true })
		if err == store.ErrClosed || err != nil && err == ctx.Err() {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// SleepIfIdle is a step of a scheduler: it puts the shard to sleep if it had no call of
// a caller since the step before. A shard that is within a call is left alone.
func (st *Store) SleepIfIdle(ctx context.Context, shard int, now store.Millis) error {
	s := st.shards[shard]
	if s.resting() || !s.mu.TryLock() {
		return nil
	}
	used := s.used()
	s.release()
	if used {
		return nil
	}
	err := s.sleep(ctx, st.extents().shard(), st.config.judge(now), func() bool { return !s.used() })
	if err != nil && err != store.ErrClosed && !errors.Is(err, context.Canceled) {
		st.Complain("an idle instance could not be put to sleep", err, "shard", shard)
	}
	return err
}

// used reports whether there was a call since it was asked last. The lock is held.
func (s *shard) used() bool {
	calls := uint64(0)
	for op, o := range s.ops {
		switch opKind(op) {
		case opSave, opSweep, opFlush: // which go on for a shard that nobody uses
		default:
			calls += o.Calls
		}
	}
	used := calls != s.seenCalls
	s.seenCalls = calls
	return used
}

// Resting reports whether no shard has an instance, because it was never needed or
// sleeps.
func (st *Store) Resting() bool {
	for _, s := range st.shards {
		if !s.resting() {
			return false
		}
	}
	return true
}

// Awake reports whether there may be something to do for a part: its shard was open and
// does not sleep.
func (st *Store) Awake(part int) bool { return !st.rests(part) }

// rests reports whether there is nothing to do for a part: for its shard, or for all of
// them where any instance would do it.
func (st *Store) rests(part int) bool {
	if st.remote() {
		return st.Resting()
	}
	return st.shards[part].resting()
}

// resting reports whether the shard has no instance and needs none so far.
func (s *shard) resting() bool { return !s.opened.Load() || s.asleep.Load() }

// sleeping returns the records of a shard that sleeps.
func (s *shard) sleeping() (kept [][]byte, asleep bool) {
	if !s.asleep.Load() {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept, s.asleep.Load()
}

// errAsleep is what lockAwake returns of a shard that sleeps.
var errAsleep = errors.New("protocol: the shard sleeps")

// lockAwake is lock for what is not worth to wake a shard for.
func (s *shard) lockAwake(ctx context.Context) (*runner, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	if s.in == nil && s.asleep.Load() {
		s.unlock()
		return nil, errAsleep
	}
	if s.in != nil {
		return s.in, nil
	}
	in, err := s.revive()
	if err != nil {
		s.unlock()
	}
	return in, err
}

// acquire is lock for who needs no instance.
func (s *shard) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.queue != nil {
		select {
		case s.queue <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := s.await(ctx)
	if err != nil && s.queue != nil {
		<-s.queue
	}
	return err
}

// sleep saves, and closes the instance, unless there is none or may says otherwise
// when the lock is held.
func (s *shard) sleep(ctx context.Context, x *extent, now store.Millis, may func() bool) error {
	if s.resting() && !s.store.closing.Load() {
		return nil
	}
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.unlock()
	switch {
	case s.closed:
		return store.ErrClosed
	case s.in == nil || !may():
		return nil
	}
	in := s.in
	if err := s.flushAll(in, now, func() {}); err != nil {
		return err
	}
	if err := s.done(opSave, in, in.Save(now)); err != nil {
		return err
	}
	s.progress.note(mark{s.progress.written.Load(), s.generation})
	var kept [][]byte
	if s.keeps() {
		var err error
		if kept, err = s.collect(ctx, x, in, now); err != nil {
			return err
		}
	}
	s.countWritten()
	if s.in == nil {
		return nil // it failed at that
	}
	in.Close()
	s.in, s.kept, s.round = nil, kept, round{}
	s.asleep.Store(true)
	return nil
}

// keeps reports whether the host has to keep the records of an instance that sleeps:
// for the next one, or for the archive.
func (s *shard) keeps() bool {
	return !s.store.remote() && (!s.store.config.KeepsFiles || s.store.archive != nil)
}

// collect returns all records of an instance.
func (s *shard) collect(ctx context.Context, x *extent, in *runner, now store.Millis) (kept [][]byte, err error) {
	for cursor := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		next, list, err := s.step(x, in, opSnapshot, cursor, now)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			kept = append(kept, append([]byte(nil), list...))
		}
		if next == 0 {
			return kept, nil
		}
		cursor = next
	}
}

// refill gives an instance in the place of one that sleeps what that one held. What
// is kept stays until the instance has it all.
func (s *shard) refill(in *runner) error {
	if s.store.config.KeepsFiles {
		return nil // it has them
	}
	now := s.store.config.judge(store.At(s.store.config.Now()))
	for _, list := range s.kept {
		if err := in.restore(list, now, true); err != nil {
			var f *Fault
			if errors.As(err, &f) {
				f.Output = in.Output()
			}
			in.Close()
			return err
		}
	}
	return nil
}

// closeAsleep ends a shard that has no instance. If it sleeps, the copy gets what is
// kept of it.
func (s *shard) closeAsleep(c *closing) error {
	kept := s.kept
	s.kept = nil
	if !s.asleep.Load() || c.last == nil {
		return nil
	}
	for _, list := range kept {
		if !c.last.Add(list) {
			return s.tooLate()
		}
	}
	c.whole[s.index].Store(true)
	return nil
}
