package plugin

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// answer is a code that the guest answered; the instance lives on.
type answer struct {
	code    abi.Code
	message string
	// noBuffer says that the call was not made: there was no exchange buffer
	// for its arguments.
	noBuffer bool
}

func (a *answer) Error() string { return a.code.String() + ": " + a.message }

// The answers that everyday work brings, made once.
var (
	errNotFound = store.ErrNotFound
	errConflict = store.ErrConflict
)

// codeOf returns the code of an answer.
func codeOf(err error) (abi.Code, bool) {
	switch err {
	case nil:
		return 0, false
	case errNotFound:
		return abi.NotFound, true
	case errConflict:
		return abi.Conflict, true
	}
	if a, ok := err.(*answer); ok { // they are never wrapped
		return a.code, true
	}
	return 0, false
}

// shard is one part of the keys, and the instance that has them.
type shard struct {
	plugin *Plugin
	index  int

	// queue has room for one. Who waits for a guest that is not trusted waits
	// here, where a context can end it. Nil for a trusted guest.
	queue chan struct{}

	// line has room for one as well: for who is next where a guest is trusted
	// and has the lock for long.
	line chan struct{}

	mu       sync.Mutex
	in       *instance // nil if closed or waiting for another attempt
	closed   bool
	failures int // in a row
	refusals int // to open, in a row: the guest answered an error
	retryAt  time.Time
	told     bool // the failure stands in the log
	lastErr  string
	restarts uint64
	// generation counts instances, so that an enumeration notices a new one.
	generation uint64
	ops        [numOps]OpStats
	scratch    []byte // of touch
	progress   progress
	round      round
	counted    counted
	lastCounts Counts // the counting loop's
	_          [64]byte
}

const (
	firstBackoff = 10 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// healthy is how long an instance has to run for its failure to count as
	// the first again.
	healthy = 30 * time.Second
	// refusedShare bounds what it costs to open a guest that answers an error, one
	// part in so many of the time. The pause is no longer than that makes it: what
	// the guest needs, room on a disk, may be there at any moment.
	refusedShare = 20
)

// lock takes the shard for one operation and returns its instance, which it
// makes if there is none and it is time to.
func (s *shard) lock(ctx context.Context) (*instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.queue != nil {
		select {
		case s.queue <- struct{}{}:
		default:
			select {
			case s.queue <- struct{}{}:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	if !s.mu.TryLock() {
		if err := s.await(ctx); err != nil {
			if s.queue != nil {
				<-s.queue
			}
			return nil, err
		}
	}
	if s.in != nil {
		return s.in, nil
	}
	in, err := s.revive()
	if err != nil {
		s.unlock()
		return nil, err
	}
	return in, nil
}

// turnsAtLock is how often a goroutine lets others run before it has another one
// wait in its place: most calls of a guest take less than that.
const turnsAtLock = 8

// await takes the shard's lock when whoever holds it lets go, or returns the
// context's error. A guest that never comes back must not hold those who can be
// called off: one goroutine waits in their place, and the others in line for that.
func (s *shard) await(ctx context.Context) error {
	for range turnsAtLock {
		runtime.Gosched()
		if s.mu.TryLock() {
			return nil
		}
	}
	// Only now: a context may be one that begins its time when it is asked.
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
			s.mu.Unlock()
		}
		<-s.line
	}()
	select {
	case <-got:
		if err := ctx.Err(); err != nil {
			s.mu.Unlock()
			return err
		}
		return nil
	case <-done:
		close(left)
		return ctx.Err()
	}
}

func (s *shard) unlock() {
	s.mu.Unlock()
	if s.queue != nil {
		<-s.queue
	}
}

// revive opens a new instance in place of one that failed.
func (s *shard) revive() (*instance, error) {
	if s.closed {
		return nil, store.ErrClosed
	}
	if wait := s.retryAt.Sub(s.plugin.config.Now()); wait > 0 {
		return nil, &Error{Plugin: s.plugin.config.Name, Op: "open", Shard: s.index, Kind: ErrBreaker,
			RetryAfter: wait, Message: s.lastErr}
	}
	began := s.plugin.config.Now()
	in, err := newInstance(s.plugin, s.index)
	if err != nil {
		if _, answered := codeOf(err); answered {
			return nil, s.refused(err, s.plugin.config.Now().Sub(began))
		}
		return nil, s.failed(nil, "open", err)
	}
	s.restarts++
	s.install(in)
	if s.told {
		s.plugin.config.Logger.Info("the guest runs again", "plugin", s.plugin.config.Name, "shard", s.index)
	}
	return in, nil
}

func (s *shard) install(in *instance) {
	s.in = in
	s.refusals = 0
	s.generation++
	s.counted.replaced()
}

// done turns the outcome of an operation into what its caller gets, counts it,
// and ends the instance if that failed.
func (s *shard) done(op opKind, in *instance, err error) error {
	o := &s.ops[op]
	o.Calls++
	if err == nil {
		return nil
	}
	switch err {
	case errNotFound:
		o.NotFound++
		return err
	case errConflict:
		o.Conflicts++
		return err
	}
	o.Errors++
	if _, ok := codeOf(err); ok {
		return s.newError(op.String(), err)
	}
	return s.failed(in, op.String(), err)
}

// newError makes an Error of an answer or a fault.
func (s *shard) newError(op string, err error) *Error {
	e := &Error{Plugin: s.plugin.config.Name, Op: op, Shard: s.index}
	var f *fault
	var a *answer
	switch code, ok := codeOf(err); {
	case errors.As(err, &f):
		e.Kind, e.Message, e.Trace, e.Output, e.ExitCode = f.kind, f.message, f.trace, f.output, f.exitCode
	case errors.As(err, &a):
		e.Code, e.Message = a.code, a.message
	case ok:
		e.Code = code
	default:
		e.Kind, e.Message = ErrProtocol, err.Error()
	}
	return e
}

// failed notes a failure, ends the instance, if there is one, and plans the
// next attempt.
func (s *shard) failed(in *instance, op string, err error) error {
	now := s.plugin.config.Now()
	e := s.newError(op, err)
	if in != nil {
		if now.Sub(in.opened) > healthy {
			s.failures = 0
		}
		e.Output = in.output()
		in.close()
		s.in = nil
		s.counted.replaced()
	}
	backoff := maxBackoff
	if s.failures < 12 {
		backoff = min(firstBackoff<<s.failures, maxBackoff)
	}
	s.failures++
	s.pause(e, s.failures, backoff)
	return e
}

// refused notes that the guest answered an error when it was to open again, which
// took so long, and plans the next attempt.
func (s *shard) refused(err error, took time.Duration) error {
	e := s.newError("open", err)
	s.refusals++
	s.pause(e, s.refusals, min(max(firstBackoff, refusedShare*took), maxBackoff))
	return e
}

// pause has calls fail until it is time for another instance.
func (s *shard) pause(e *Error, failures int, backoff time.Duration) {
	s.retryAt = s.plugin.config.Now().Add(backoff)
	s.lastErr = e.Op + ": " + e.what()
	e.RetryAfter = backoff
	// It is said that the guest runs again if it was that it does not.
	told := s.plugin.logFailure(e, failures, backoff)
	s.told = told || e.Op == "open" && s.told
}
