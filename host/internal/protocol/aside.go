package protocol

// An instance that can be put aside keeps all that it has while it is asleep, so that the
// guest has no part in its sleep, and goes on in the middle of whatever it did. For
// callers it is the same instance before and after.

// Sleeper is an Instance that can be put aside.
type Sleeper interface {
	// Sleep gives up what nobody needs as long as no call is made, and reports whether it
	// did. Unless it must, it does so only if that is worth it. If it did not, or
	// returns an error, the instance goes on as it was.
	Sleep(must bool) (slept bool, err error)

	// Wake makes calls possible again. After an [*Answer] the instance still sleeps;
	// after any other error it can only be closed.
	Wake() error
}

// putAside puts the instance to sleep as it is. The lock is held.
func (s *shard) putAside(must bool) (slept bool, err error) {
	inst := s.inst
	if slept, err = inst.sleeper.Sleep(must); err != nil || !slept {
		return false, err
	}
	s.inst, s.aside, s.scratch = nil, inst, nil
	s.asleep.Store(true)
	return true, nil
}

// refusedSleep is the caller's error for an instance that could not be put to sleep. The
// instance goes on.
func (s *shard) refusedSleep(err error) error {
	if err == nil {
		return nil
	}
	return s.newError("sleep", err)
}

// wake takes back what was put aside. The lock is held. An error that the instance
// answers changes nothing, and the next caller tries again.
func (s *shard) wake() (*runner, error) {
	inst := s.aside
	if err := inst.sleeper.Wake(); err != nil {
		if _, answered := CodeOf(err); answered {
			return nil, s.newError("open", err)
		}
		s.aside = nil
		s.asleep.Store(false)
		return nil, s.failed(inst, "open", err)
	}
	s.inst, s.aside = inst, nil
	s.asleep.Store(false)
	if woken := s.store.config.Woken; woken != nil {
		woken(s.index)
	}
	return inst, nil
}

// TrySleep puts a shard's instance aside at once, without a call of the guest, and
// reports whether it did: the instance can be put aside, and nobody uses it.
func (st *Store) TrySleep(shard int) (slept bool, err error) {
	st.TryIdle(shard, func(Instance) { slept, err = st.shards[shard].putAside(true) })
	return slept, err
}

// TryIdle calls f with a shard's instance, if it is one that can be put aside and nobody uses it.
func (st *Store) TryIdle(shard int, f func(Instance)) bool {
	s := st.shards[shard]
	if !s.mu.TryLock() {
		return false
	}
	defer s.unlock()
	if s.closed || s.inst == nil || s.inst.sleeper == nil {
		return false
	}
	f(s.inst.Instance)
	return true
}

// closeAside ends an instance that was put aside.
func (s *shard) closeAside() {
	if s.aside != nil {
		s.aside.Close()
		s.aside = nil
	}
}
