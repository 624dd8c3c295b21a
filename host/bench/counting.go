package main

import (
	"context"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/store"
)

// countingStore counts the calls that reach the store beneath.
type countingStore struct {
	store.Store
	calls atomic.Int64
}

func (c *countingStore) Unwrap() store.Store { return c.Store }

func (c *countingStore) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	c.calls.Add(1)
	return c.Store.Get(ctx, key, now)
}

func (c *countingStore) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	c.calls.Add(1)
	return store.AtMost(c.Store).GetInto(ctx, key, now, into, most)
}

func (c *countingStore) Set(ctx context.Context, w store.Write) error {
	c.calls.Add(1)
	return c.Store.Set(ctx, w)
}

func (c *countingStore) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	c.calls.Add(1)
	return store.Touch(ctx, c.Store, key, expires, now)
}

func (c *countingStore) Delete(ctx context.Context, key []byte, now store.Millis) error {
	c.calls.Add(1)
	return c.Store.Delete(ctx, key, now)
}

// countStoreCalls returns how many calls of the store a number of requests of
// one operation makes in all, through our middleware.
func countStoreCalls(ctx context.Context, op operation, requests int) (int, error) {
	var f faults
	counting := &countingStore{Store: store.NewMemory()}
	s, err := waddleServer(ctx, counting, &f)
	if err != nil {
		return 0, err
	}
	defer s.close()
	c, err := s.login(userName(0))
	if err != nil {
		return 0, err
	}
	before := counting.calls.Load()
	for range requests {
		c.request(op)
	}
	return int(counting.calls.Load() - before), f.err()
}
