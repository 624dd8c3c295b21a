package protocol

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// shard is the place of one instance. If keys choose the instance, it has its part
// of the keys.
type shard struct {
	// What every operation reads and writes comes first and close together: it moves from one
	// processor to the other with the lock.
	store    *Store
	index    int
	mu       sync.Mutex
	inst     *runner // nil if closed, not open yet, or in backoff
	seenFuel uint64  // of the instance, that is counted already
	// generation counts instances, except those that hold everything from the
	// previous one, so that a lost write is noticed. It is 0 until the shard first
	// opens.
	generation uint64
	ops        [numOps]OpStats
	progress   progress

	// line has room for one: the next caller, if the lock is held for long.
	line  chan struct{}
	party party // operations that wait for the shard

	closed   bool
	failures int // in a row
	refusals int // errors that the guest answered to opening, in a row
	retryAt  time.Time
	told     bool // the failure is in the log
	lastErr  string
	restarts uint64
	opened   atomic.Bool // generation is above 0
	// asleep says that the instance was closed after its records were saved, or
	// kept here. An enumeration does not continue in the next instance, which it
	// notices by instances.
	asleep     atomic.Bool
	kept       [][]byte // lists of records
	aside      *runner  // the instance itself, asleep; nil if it was closed
	instances  uint64
	openFuel   uint64     // what starting the instance used
	seenCalls  uint64     // by the last step that puts idle shards to sleep
	taken      uint64     // operations that found the shard in use
	scratch    []byte     // of touch
	copying    sync.Mutex // held while the keys and values of operations are copied that wait together
	durable    mark       // what was saved before the instance was closed or replaced
	round      round
	sweeping   sweepSize // of the next step; only the sweeper uses it
	counted    counted
	lastCounts Counts // of the last Count
	_          [64]byte
}

const (
	firstBackoff = 10 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// healthy is how long an instance must run for its failure to count as the
	// first again.
	healthy = 30 * time.Second
	// refusedShare bounds the cost of opening a guest that answers an error to one
	// part in refusedShare of the time. The pause is no longer than that, because
	// the guest's needs, such as room on a disk, may be met at any moment.
	refusedShare = 20
)

// lock takes the shard for one operation and returns its instance. If there is none
// and the pause is over, it makes one.
func (s *shard) lock(ctx context.Context) (*runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.mu.TryLock() && !s.spins() {
		if err := s.await(ctx); err != nil {
			return nil, err
		}
	}
	return s.ready(ctx)
}

// ready returns the instance, and makes one if there is none. If it fails it gives the
// lock back.
func (s *shard) ready(ctx context.Context) (*runner, error) {
	if inst := s.inst; inst != nil {
		return inst.waits(ctx), nil
	}
	inst, err := s.revive()
	if err != nil {
		s.unlock()
		return nil, err
	}
	return inst.waits(ctx), nil
}

// A call of a guest that keeps its records in memory takes less than a microsecond. So a goroutine that
// wants the lock first looks a few times whether its holder, on another processor, is done: yielding
// and coming back takes as long as that, and waiting in a line several times as long. Then it yields
// turnsAtLock times, before it starts another to wait in its place.
const (
	looksAtLock = 24
	turnsAtLock = 8

	// betweenLooks is how many steps of about a third of a nanosecond pass between two looks. Each
	// takes the lock's cache line from its holder.
	betweenLooks = 64
)

// spins tries a few times to take the shard's lock.
func (s *shard) spins() bool {
	if s.store.sideBySide {
		for range looksAtLock {
			for range betweenLooks {
			}
			if s.mu.TryLock() {
				return true
			}
		}
	}
	for range turnsAtLock {
		runtime.Gosched()
		if s.mu.TryLock() {
			return true
		}
	}
	return false
}

// await takes the shard's lock when its holder releases it, or returns the
// context's error. A guest that never returns must not hold callers whose context
// can end: one goroutine waits in their place, and the other callers wait in line
// for it.
func (s *shard) await(ctx context.Context) error {
	done := ctx.Done()
	if done == nil {
		s.mu.Lock()
		return nil
	}
	select {
	case s.line <- struct{}{}:
	case <-done:
		return ctx.Err()
	}
	got, left := make(chan struct{}), make(chan struct{})
	go func() {
		s.mu.Lock()
		select {
		case got <- struct{}{}:
		case <-left:
			s.unlock()
		}
		<-s.line
	}()
	select {
	case <-got:
		if err := ctx.Err(); err != nil {
			s.unlock()
			return err
		}
		return nil
	case <-done:
		close(left)
		return ctx.Err()
	}
}

func (s *shard) unlock() {
	if s.inst != nil {
		s.inst.waits(context.Background())
	}
	s.mu.Unlock()
	if s.store.waiting.n.Load() > 0 { // for any instance
		s.store.waiting.wake()
	}
}

// revive opens an instance if there is none: the first one, or the replacement of
// one that failed or was put to sleep.
func (s *shard) revive() (*runner, error) {
	if s.closed {
		return nil, store.ErrClosed
	}
	if s.aside != nil {
		return s.wake()
	}
	config := &s.store.config
	if wait := s.retryAt.Sub(config.Now()); wait > 0 {
		return nil, config.Fail(&Failure{Plugin: s.store.Name(), Op: "open", Shard: s.index, Kind: ErrBackoff,
			RetryAfter: wait, Message: s.lastErr})
	}
	began := config.Now()
	inst, err := s.store.bringUp(s.index)
	if err == nil {
		err = s.refill(inst)
	}
	if err != nil {
		if _, answered := CodeOf(err); answered || errors.Is(err, ErrBudget) { // there may be room at any moment
			return nil, s.refused(err, config.Now().Sub(began))
		}
		return nil, s.failed(nil, "open", err)
	}
	if s.generation > 0 && !s.asleep.Load() {
		s.restarts++
	}
	s.install(inst)
	if s.told {
		config.Logger.Info("the guest runs again", "plugin", s.store.Name(), "shard", s.index)
	}
	return inst, nil
}

// first opens the shard if it was never open, and returns the instance's error.
func (s *shard) first() error {
	s.mu.Lock()
	defer s.unlock()
	if s.inst != nil || s.generation > 0 || s.closed {
		return nil
	}
	inst, err := s.store.bringUp(s.index)
	if err == nil {
		s.install(inst)
	}
	return err
}

func (s *shard) install(inst *runner) {
	s.inst = inst
	s.refusals = 0
	s.openFuel = inst.fuel()
	s.seenFuel = s.openFuel
	s.instances++
	if !s.asleep.Load() {
		s.generation++
	}
	s.drop(s.kept)
	s.kept = nil
	s.asleep.Store(false)
	s.opened.Store(true)
	s.counted.replaced()
	if s.index == 0 {
		s.store.begun()
	}
	if opened := s.store.config.Opened; opened != nil {
		opened(s.index)
	}
}

// done counts an operation, turns its outcome into the caller's error, and ends the
// instance if it failed.
func (s *shard) done(op opKind, inst *runner, err error) error {
	o, fuel := &s.ops[op], inst.fuel()
	o.Calls++
	o.Fuel += fuel - s.seenFuel
	s.seenFuel = fuel
	if err == nil {
		return nil
	}
	return s.erred(op, inst, err)
}

// usedFuel returns how much fuel was used since it was last asked.
func (s *shard) usedFuel(inst *runner) uint64 {
	fuel := inst.fuel()
	used := fuel - s.seenFuel
	s.seenFuel = fuel
	return used
}

// count is done for an operation that used so much fuel.
func (s *shard) count(op opKind, inst *runner, fuel uint64, err error) error {
	o := &s.ops[op]
	o.Calls++
	o.Fuel += fuel
	if err == nil {
		return nil
	}
	return s.erred(op, inst, err)
}

// erred is the rest of done and count for an operation that did not succeed.
func (s *shard) erred(op opKind, inst *runner, err error) error {
	o := &s.ops[op]
	switch err {
	case store.ErrNotFound:
		o.NotFound++
		return err
	case store.ErrConflict:
		o.Conflicts++
		return err
	}
	if left, ok := err.(*Left); ok {
		o.Calls--
		return left.Err
	}
	o.Errors++
	if _, ok := CodeOf(err); ok {
		return s.newError(op.String(), err)
	}
	return s.failed(inst, op.String(), err)
}

// newError turns an answer or a fault into the caller's error.
func (s *shard) newError(op string, err error) error {
	return s.store.config.Fail(s.store.Failure(op, s.index, err))
}

// failed records a failure, ends the instance if there is one, and plans the next
// attempt.
func (s *shard) failed(inst *runner, op string, err error) error {
	return s.store.config.Fail(s.fails(inst, op, err))
}

// fails is failed without the caller's error.
func (s *shard) fails(inst *runner, op string, err error) *Failure {
	now := s.store.config.Now()
	f := s.store.Failure(op, s.index, err)
	if inst != nil {
		if now.Sub(inst.opened) > healthy {
			s.failures = 0
		}
		f.Output = inst.Output()
		inst.Close()
		s.inst = nil
		s.counted.replaced()
	}
	backoff := maxBackoff
	if s.failures < 12 {
		backoff = min(firstBackoff<<s.failures, maxBackoff)
	}
	s.failures++
	s.pause(f, s.failures, backoff)
	return f
}

// refused records an error that the guest answered to opening, which took that
// long, and plans the next attempt.
func (s *shard) refused(err error, took time.Duration) error {
	s.refusals++
	f := s.store.Failure("open", s.index, err)
	s.pause(f, s.refusals, min(max(firstBackoff, refusedShare*took), maxBackoff))
	return s.store.config.Fail(f)
}

// pause makes calls fail until it is time for another instance.
func (s *shard) pause(f *Failure, failures int, backoff time.Duration) {
	s.retryAt = s.store.config.Now().Add(backoff)
	s.lastErr = f.Op + ": " + f.Text()
	f.RetryAfter = backoff
	// The log says that the guest runs again only if it said that it failed.
	told := s.store.logFailure(f, failures, backoff)
	s.told = told || f.Op == "open" && s.told
}
