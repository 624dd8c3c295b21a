package fiberstorage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Storage keeps the records of one or more of fiber's middlewares in a store. It may be
// used by many goroutines.
//
// An empty key has no record, and an empty value is not stored: neither is an error.
// Keys may be of any length and content: the store is given their hash, so an engine
// never learns a session's id. A value has at most 16 MiB less eight bytes, or what the
// store allows; a larger one is store.ErrTooLarge.
//
// Errors are those of package store. A call whose context has ended returns the
// context's error and does nothing. One that the store does not answer in time is
// store.ErrUnavailable; see [Timeout].
type Storage struct {
	store     store.Store
	space     namespace
	exclusive bool
	timeout   time.Duration
	now       func() time.Time
	closed    atomic.Bool
}

// New returns a storage in a store. It does not own the store: close the store after
// the server.
//
// It panics if an option has a value that cannot work, as [Namespace] of an empty name.
func New(s store.Store, options ...Option) *Storage {
	if s == nil {
		panic("fiberstorage: New needs a store")
	}
	made := &Storage{store: s, space: spaceOf("fiber"), timeout: DefaultTimeout, now: time.Now}
	for _, option := range options {
		option(made)
	}
	return made
}

// GetWithContext returns the value under a key, or nil if there is none. The value's
// memory belongs to the caller.
func (s *Storage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	if err := s.check(ctx); err != nil || key == "" {
		return nil, err
	}
	name := s.space.key(key)
	var stored []byte
	err := s.call(ctx, func(ctx context.Context) (err error) {
		stored, err = s.store.Get(ctx, name[:], s.at())
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case len(stored) <= abi.RevisionSize:
		return nil, fmt.Errorf("%w: the record of a fiber.Storage is %d bytes: must be more than %d", store.ErrCorrupt, len(stored), abi.RevisionSize)
	}
	return stored[abi.RevisionSize:], nil
}

// SetWithContext stores a value under a key for a time, and for ever if that is 0 or
// negative. Times are kept in milliseconds; a shorter time counts as one.
func (s *Storage) SetWithContext(ctx context.Context, key string, value []byte, exp time.Duration) error {
	if err := s.check(ctx); err != nil || key == "" || len(value) == 0 {
		return err
	}
	name := s.space.key(key)
	stored := make([]byte, abi.RevisionSize, abi.RevisionSize+len(value))
	binary.LittleEndian.PutUint64(stored, 1) // the same for all: nobody compares it
	w := store.Write{Key: name[:], Value: append(stored, value...), Now: s.at(), Expect: store.Any}
	w.Expires = expiry(w.Now, exp)
	return s.call(ctx, func(ctx context.Context) error { return s.store.Set(ctx, w) })
}

// DeleteWithContext removes the value under a key. If there is none, that is not an
// error.
func (s *Storage) DeleteWithContext(ctx context.Context, key string) error {
	if err := s.check(ctx); err != nil || key == "" {
		return err
	}
	name := s.space.key(key)
	return s.delete(ctx, name[:])
}

// ResetWithContext removes all records of this storage's namespace, and no others. It
// looks through all keys of the store, and returns store.ErrUnsupported if that cannot
// enumerate them; with [Exclusive] it clears the store. A record that is stored
// meanwhile may stay.
func (s *Storage) ResetWithContext(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if s.exclusive {
		return s.call(ctx, func(ctx context.Context) error { return store.Clear(ctx, s.store, s.at()) })
	}
	var own [][]byte // some stores must not be changed while they enumerate
	for key, err := range store.Keys(ctx, s.store, s.at()) {
		if err != nil {
			return fmt.Errorf("fiberstorage: Reset looks for its records among the keys of the store: %w", err)
		}
		if s.space.has(key) {
			own = append(own, append([]byte(nil), key...))
		}
	}
	for _, key := range own {
		if err := s.delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// Get is [Storage.GetWithContext] without a request's context.
func (s *Storage) Get(key string) ([]byte, error) {
	return s.GetWithContext(context.Background(), key)
}

// Set is [Storage.SetWithContext] without a request's context.
func (s *Storage) Set(key string, value []byte, exp time.Duration) error {
	return s.SetWithContext(context.Background(), key, value, exp)
}

// Delete is [Storage.DeleteWithContext] without a request's context.
func (s *Storage) Delete(key string) error { return s.DeleteWithContext(context.Background(), key) }

// Reset is [Storage.ResetWithContext] without a request's context.
func (s *Storage) Reset() error { return s.ResetWithContext(context.Background()) }

// Close ends the storage: later calls return store.ErrClosed. The store stays open, for
// the others that use it. Closing twice is not an error.
func (s *Storage) Close() error {
	s.closed.Store(true)
	return nil
}

func (s *Storage) delete(ctx context.Context, key []byte) error {
	return s.call(ctx, func(ctx context.Context) error { return s.store.Delete(ctx, key, s.at()) })
}

func (s *Storage) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return fmt.Errorf("fiberstorage: %w", store.ErrClosed)
	}
	return nil
}

// call bounds a call of the store. Its end is the request's, or that of Timeout.
func (s *Storage) call(ctx context.Context, f func(context.Context) error) error {
	if s.timeout <= 0 {
		return f(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := f(bounded)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: the storage did not answer within %v, which is Timeout: %v", store.ErrUnavailable, s.timeout, err)
	}
	return err
}

func (s *Storage) at() store.Millis { return store.At(s.now()) }

// expiry returns when a record ends.
func expiry(now store.Millis, lasts time.Duration) store.Millis {
	if lasts <= 0 {
		return 0
	}
	span := max(1, store.Span(lasts))
	if now > math.MaxInt64-span {
		return math.MaxInt64
	}
	return now + span
}
