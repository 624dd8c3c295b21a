package sessiontest

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/waddle-sessions/waddle/host/store"
)

// Op is an operation of a store, as [Store.Fail] and [Store.Calls] take it.
type Op = store.Op

// The operations of [store.Store], and those of its optional interfaces.
const (
	Get      = store.OpGet
	Set      = store.OpSet
	Touch    = store.OpTouch
	Delete   = store.OpDelete
	Clear    = store.OpClear
	Save     = store.OpSave
	Close    = store.OpClose
	Sweep    = store.OpSweep
	Keys     = store.OpKeys
	Snapshot = store.OpSnapshot
	Restore  = store.OpRestore
)

// Store is a store that fails when a test tells it to, and counts its calls. It
// may be used by many goroutines.
//
// It has the optional interfaces of package store. They return
// [store.ErrUnsupported] if neither the store beneath nor one that it wraps has
// them.
type Store struct {
	store store.Store

	mu     sync.Mutex
	faults map[Op]error
	all    error
	calls  map[Op]int
}

var (
	_ store.Wrapper     = (*Store)(nil)
	_ store.Bounded     = (*Store)(nil)
	_ store.Toucher     = (*Store)(nil)
	_ store.Clearer     = (*Store)(nil)
	_ store.Saver       = (*Store)(nil)
	_ store.Sweeper     = (*Store)(nil)
	_ store.Lister      = (*Store)(nil)
	_ store.Snapshotter = (*Store)(nil)
	_ store.Restorer    = (*Store)(nil)
	_ store.Closer      = (*Store)(nil)
)

// NewStore returns a Store over another one. It panics if that is nil.
func NewStore(s store.Store) *Store {
	if s == nil {
		panic("sessiontest: NewStore needs a store")
	}
	return &Store{store: s}
}

// Fail makes the named operations, or all if none is named, return err from now
// on, without effect; nil makes them work again. An operation named before keeps
// its own error until it is named again or all are meant.
//
//	s.Fail(store.ErrUnavailable)               // an outage
//	s.Fail(store.ErrNoSpace, sessiontest.Set)  // a full disk
//	s.Fail(nil)                                // all is well
//
// Close still closes the store beneath.
func (s *Store) Fail(err error, ops ...Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ops) == 0 {
		s.all, s.faults = err, nil
		return
	}
	if s.faults == nil {
		s.faults = make(map[Op]error)
	}
	for _, op := range ops {
		s.faults[op] = err
	}
}

// Calls returns how often the named operations, or any if none is named, were
// called since the store was made. Calls that were made to fail count too. So do
// those by which [Sessions.Request] and [Sessions.After] store sessions and look
// at them: take the difference around what is tested.
func (s *Store) Calls(ops ...Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for op, calls := range s.calls {
		if len(ops) == 0 || slices.Contains(ops, op) {
			n += calls
		}
	}
	return n
}

// enter counts an operation and returns the error with which it must fail. The
// context's error comes first, as with any store.
func (s *Store) enter(ctx context.Context, op Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = make(map[Op]int)
	}
	s.calls[op]++
	if err := ctx.Err(); err != nil {
		return err
	}
	if err, ok := s.faults[op]; ok {
		return err
	}
	return s.all
}

// Unwrap implements [store.Wrapper].
func (s *Store) Unwrap() store.Store { return s.store }

// Get implements [store.Store].
func (s *Store) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if err := s.enter(ctx, Get); err != nil {
		return nil, err
	}
	return s.store.Get(ctx, key, now)
}

// GetInto implements [store.Bounded]. It counts as [Get].
func (s *Store) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	if err := s.enter(ctx, Get); err != nil {
		return nil, err
	}
	return store.AtMost(s.store).GetInto(ctx, key, now, into, most)
}

// Set implements [store.Store].
func (s *Store) Set(ctx context.Context, w store.Write) error {
	if err := s.enter(ctx, Set); err != nil {
		return err
	}
	return s.store.Set(ctx, w)
}

// Touch implements [store.Toucher].
func (s *Store) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	if err := s.enter(ctx, Touch); err != nil {
		return err
	}
	return store.Touch(ctx, s.store, key, expires, now)
}

// Delete implements [store.Store].
func (s *Store) Delete(ctx context.Context, key []byte, now store.Millis) error {
	if err := s.enter(ctx, Delete); err != nil {
		return err
	}
	return s.store.Delete(ctx, key, now)
}

// Clear implements [store.Clearer].
func (s *Store) Clear(ctx context.Context, now store.Millis) error {
	if err := s.enter(ctx, Clear); err != nil {
		return err
	}
	return store.Clear(ctx, s.store, now)
}

// Save implements [store.Saver].
func (s *Store) Save(ctx context.Context, now store.Millis) error {
	if err := s.enter(ctx, Save); err != nil {
		return err
	}
	return store.Save(ctx, s.store, now)
}

// Close implements [store.Closer].
func (s *Store) Close(ctx context.Context) error {
	fault := s.enter(context.WithoutCancel(ctx), Close)
	if err := store.Close(ctx, s.store); err != nil {
		return err
	}
	return fault
}

// Sweep implements [store.Sweeper].
func (s *Store) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	if err := s.enter(ctx, Sweep); err != nil {
		return 0, err
	}
	return store.Sweep(ctx, s.store, max, now)
}

// Keys implements [store.Lister].
func (s *Store) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := s.enter(ctx, Keys); err != nil {
			yield(nil, err)
			return
		}
		store.Keys(ctx, s.store, now)(yield)
	}
}

// Snapshot implements [store.Snapshotter].
func (s *Store) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := s.enter(ctx, Snapshot); err != nil {
			yield(store.Record{}, err)
			return
		}
		store.Snapshot(ctx, s.store, now)(yield)
	}
}

// Restore implements [store.Restorer].
func (s *Store) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	if err := s.enter(ctx, Restore); err != nil {
		return err
	}
	return store.Restore(ctx, s.store, records, now)
}
