package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// boundedRecords bounds how long each call of a RecordStore is waited for, as far
// as the storage looks at its context.
type boundedRecords struct {
	RecordStore
	byDefault *records      // the same, if it is the default one, which keeps no record that it is given
	timeout   time.Duration // 0: none
}

// load is Load into a record, which it changes only if there is no error.
func (b *boundedRecords) load(ctx context.Context, key []byte, now store.Millis, r *Record) error {
	o := b.begin(ctx)
	if b.byDefault != nil {
		return o.end(b.byDefault.load(o, key, now, r))
	}
	record, err := b.RecordStore.Load(o, key, now)
	if err == nil {
		*r = record
	}
	return o.end(err)
}

func (b *boundedRecords) Load(ctx context.Context, key []byte, now store.Millis) (r Record, err error) {
	err = b.load(ctx, key, now, &r)
	return r, err
}

func (b *boundedRecords) Store(ctx context.Context, key []byte, r *Record, expect int64, now store.Millis) error {
	o := b.begin(ctx)
	if b.byDefault != nil {
		return o.end(b.byDefault.Store(o, key, r, expect, now))
	}
	given := *r // what an application's own keeps must be on the heap
	return o.end(b.RecordStore.Store(o, key, &given, expect, now))
}

func (b *boundedRecords) Delete(ctx context.Context, key []byte, now store.Millis) error {
	o := b.begin(ctx)
	return o.end(b.RecordStore.Delete(o, key, now))
}

// begin returns a context for one call. A session has room for it.
func (b *boundedRecords) begin(ctx context.Context) *operation {
	var room *operation
	switch c := ctx.(type) {
	case *loadingContext:
		room = &c.call
	case *savingContext:
		room = &c.call
	}
	if room == nil || !room.take() {
		room = &operation{taken: true}
	}
	room.base, room.timeout = ctx, b.timeout
	return room
}

// loadingContext is a session as a context for reading from the storage.
type loadingContext Session

func (s *Session) loading() *loadingContext { return (*loadingContext)(s) }

func (c *loadingContext) Deadline() (time.Time, bool) { return c.ctx.Deadline() }
func (c *loadingContext) Done() <-chan struct{}       { return c.ctx.Done() }
func (c *loadingContext) Err() error                  { return c.ctx.Err() }
func (c *loadingContext) Value(key any) any           { return c.ctx.Value(key) }

// savingContext is a session as a context that does not end with the request: what
// the handler has done is saved, whether or not the client waited for the answer.
// It is like a [context.WithoutCancel].
type savingContext Session

func (s *Session) saving() *savingContext { return (*savingContext)(s) }

func (*savingContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*savingContext) Done() <-chan struct{}       { return nil }
func (*savingContext) Err() error                  { return nil }
func (c *savingContext) Value(key any) any         { return c.ctx.Value(key) }

// operation is the context of one call of the storage. Its time begins when the
// storage waits: when it asks for the context's end, or for a second time whether
// it is over. Most storages answer at once and ask once, and should pay neither
// for a timer nor for knowing what time it is.
type operation struct {
	mu      sync.Mutex
	base    context.Context // nil when the call is over
	timeout time.Duration
	taken   bool
	asked   bool     // whether it is over
	bounded *bounded // nil until then
}

// bounded is a context that ends with an operation, or before it.
type bounded struct {
	context.Context
	cancel context.CancelFunc
}

// take reserves a session's room for a call. If somebody may still wait for its
// context, it is not used again.
func (o *operation) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken || o.bounded != nil {
		return false
	}
	o.taken = true
	return true
}

// end ends the call and returns its error.
func (o *operation) end(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		err = o.explain(err)
	}
	if o.bounded != nil {
		o.bounded.cancel()
	}
	o.base, o.taken, o.asked = nil, false, false
	return err
}

// explain returns an error of the storage if a time ran out but the request's did
// not: no client has left then.
func (o *operation) explain(err error) error {
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if !ended && !errors.Is(err, os.ErrDeadlineExceeded) || o.base.Err() != nil {
		return err
	}
	if o.bounded != nil {
		own, _ := o.bounded.Deadline()
		request, has := o.base.Deadline()
		switch late := !time.Now().Before(own); {
		case late && has && !own.Before(request):
			return err
		case late:
			return fmt.Errorf("%w: the storage did not answer within %v, which is Settings.StoreTimeout: %v", store.ErrUnavailable, o.timeout, err)
		}
	}
	if ended {
		return fmt.Errorf("%w: the storage gave up by itself: %v", store.ErrUnavailable, err)
	}
	return err
}

// bound starts the timeout. The lock is held.
func (o *operation) bound() context.Context {
	switch {
	case o.bounded != nil:
	case o.base == nil:
		return over
	case o.timeout == 0:
		return o.base
	default:
		ctx, cancel := context.WithTimeout(o.base, o.timeout)
		o.bounded = &bounded{ctx, cancel}
	}
	return o.bounded
}

// over stands for the context of somebody who kept one and never waited for it.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (o *operation) Deadline() (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bound().Deadline()
}

func (o *operation) Done() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bound().Done()
}

func (o *operation) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.asked && o.bounded == nil && o.base != nil {
		o.asked = true
		return o.base.Err()
	}
	return o.bound().Err()
}

func (o *operation) Value(key any) any {
	o.mu.Lock()
	base := o.base
	if o.bounded != nil {
		base = o.bounded
	}
	o.mu.Unlock()
	if base == nil {
		return nil
	}
	return base.Value(key)
}
