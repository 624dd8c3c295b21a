package protocol

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

// Sleep closes every instance and releases its resources; the next call that needs one
// brings it up again, with all records. An instance that can be put aside, and whose
// records do not lie elsewhere, is put aside instead, with all that it has. A guest that keeps files, or whose records are
// stored elsewhere, finds its records again. For any other guest the host keeps the
// records: the guest must have snapshot, or Sleep fails with [store.ErrUnsupported] and the
// instance goes on. It goes on as well if Config.Keep has no room for the records. Sleep
// waits for running calls.
//
// Sleep loses nothing, and makes durable only what Save would.
func (st *Store) Sleep(ctx context.Context, now store.Millis) error {
	now = st.config.judge(now)
	extents := st.extents()
	var errs []error
	for _, s := range st.shards {
		err := s.sleep(ctx, extents.shard(), now, true, func() bool { return true })
		if err == store.ErrClosed || err != nil && err == ctx.Err() {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// SleepIfIdle is a step of a scheduler: it puts the shard to sleep if it had no call of
// a caller since the last step. It skips a shard that is in a call.
func (st *Store) SleepIfIdle(ctx context.Context, shard int, now store.Millis) error {
	s := st.shards[shard]
	if s.resting() || !s.mu.TryLock() {
		return nil
	}
	used := s.used()
	s.unlock()
	if used {
		return nil
	}
	err := s.sleep(ctx, st.extents().shard(), st.config.judge(now), false, func() bool { return !s.used() })
	if err != nil && err != store.ErrClosed && !errors.Is(err, context.Canceled) {
		st.Complain("an idle instance could not be put to sleep", err, "shard", shard)
	}
	return err
}

// used reports whether there was a call since used last ran. The lock is held.
func (s *shard) used() bool {
	calls := uint64(0)
	for op, o := range s.ops {
		switch opKind(op) {
		case opSave, opSweep, opFlush, opIdle: // these go on for an unused shard
		default:
			calls += o.Calls
		}
	}
	used := calls != s.seenCalls
	s.seenCalls = calls
	return used
}

// Resting reports whether no shard has an instance, because each was never needed
// or sleeps.
func (st *Store) Resting() bool {
	for _, s := range st.shards {
		if !s.resting() {
			return false
		}
	}
	return true
}

// Awake reports whether a step may have work for a part: its shard was open and does
// not sleep.
func (st *Store) Awake(part int) bool { return !st.rests(part) }

// rests reports whether a step has no work for a part: for its shard, or for all shards
// if any instance would do the work.
func (st *Store) rests(part int) bool {
	if st.remote() {
		return st.Resting()
	}
	return st.shards[part].resting()
}

// resting reports whether the shard has no instance and needs none so far.
func (s *shard) resting() bool { return !s.opened.Load() || s.asleep.Load() }

// sleeping returns the kept records of a shard, and whether it sleeps and has no other
// than these.
func (s *shard) sleeping() (kept [][]byte, asleep bool) {
	if !s.asleep.Load() {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept, s.asleep.Load() && s.aside == nil
}

// errAsleep is returned by lockAwake when the shard sleeps.
var errAsleep = errors.New("protocol: the shard sleeps")

// lockAwake is lock for work that must not wake a shard.
func (s *shard) lockAwake(ctx context.Context) (*runner, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	if s.inst == nil && s.asleep.Load() {
		s.unlock()
		return nil, errAsleep
	}
	if s.inst != nil {
		return s.inst.waits(ctx), nil
	}
	inst, err := s.revive()
	if err != nil {
		s.unlock()
		return nil, err
	}
	return inst.waits(ctx), nil
}

// acquire is lock for callers that need no instance.
func (s *shard) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.mu.TryLock() || s.spins() {
		return nil
	}
	return s.await(ctx)
}

// sleep saves and closes the instance, or puts it aside, unless there is none or may,
// called with the lock held, forbids it. Unless it must, an instance that can be put
// aside may decline.
func (s *shard) sleep(ctx context.Context, x *extent, now store.Millis, must bool, may func() bool) error {
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
	case s.inst == nil || !may():
		return nil
	}
	inst := s.inst
	if inst.sleeper != nil && !s.store.remote() {
		if s.countWritten(); s.inst == nil {
			return nil // that failed it
		}
		_, err := s.putAside(must)
		return s.refusedSleep(err)
	}
	if err := s.flushAll(inst, now, func() {}); err != nil {
		return err
	}
	if err := s.done(opSave, inst, inst.Save(now)); err != nil {
		return err
	}
	s.durable = s.written()
	var kept [][]byte
	if s.keeps() {
		var err error
		if kept, err = s.collect(ctx, x, inst, now); err != nil {
			return err
		}
	}
	s.countWritten()
	if s.inst == nil {
		s.drop(kept)
		return nil // saving or collecting failed it
	}
	inst.Close()
	s.inst, s.kept, s.round = nil, kept, round{}
	s.asleep.Store(true)
	return nil
}

// keeps reports whether the host must keep the records of a sleeping instance, for
// the next one or for the archive.
func (s *shard) keeps() bool {
	return !s.store.remote() && (!s.store.config.KeepsFiles || s.store.archive != nil)
}

// collect returns all records of an instance, and takes room for them.
func (s *shard) collect(ctx context.Context, x *extent, inst *runner, now store.Millis) (kept [][]byte, err error) {
	defer func() {
		if err != nil {
			s.drop(kept)
			kept = nil
		}
	}()
	for cursor := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return kept, err
		}
		next, list, err := s.step(x, inst, opSnapshot, cursor, now)
		if err != nil {
			return kept, err
		}
		if len(list) > 0 {
			if err := s.store.config.Keep(len(list)); err != nil {
				return kept, s.newError("sleep", err)
			}
			kept = append(kept, append(make([]byte, 0, len(list)), list...))
		}
		if next == 0 {
			return kept, nil
		}
		cursor = next
	}
}

// drop gives back the room of records that are no longer kept.
func (s *shard) drop(kept [][]byte) {
	for _, list := range kept {
		s.store.config.Drop(len(list))
	}
}

// refill restores the kept records of a sleeping instance to its replacement. They
// stay kept until the replacement has them all.
func (s *shard) refill(inst *runner) error {
	if s.store.config.KeepsFiles {
		return nil // the guest has them
	}
	now := s.store.config.judge(store.At(s.store.config.Now()))
	for _, list := range s.kept {
		if err := inst.restore(list, now, true); err != nil {
			var f *Fault
			if errors.As(err, &f) {
				f.Output = inst.Output()
			}
			inst.Close()
			return err
		}
	}
	return nil
}

// closeAsleep ends a shard that has no instance. If it sleeps, the copy gets its
// kept records.
func (s *shard) closeAsleep(c *closing) error {
	kept := s.kept
	s.kept = nil
	defer s.drop(kept)
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
