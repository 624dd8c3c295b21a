package session

import (
	"context"
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
	o, call := b.begin(ctx)
	if b.byDefault != nil {
		return b.end(o, ctx, b.byDefault.load(call, key, now, r))
	}
	record, err := b.RecordStore.Load(call, key, now)
	if err == nil {
		*r = record
	}
	return b.end(o, ctx, err)
}

func (b *boundedRecords) Load(ctx context.Context, key []byte, now store.Millis) (r Record, err error) {
	err = b.load(ctx, key, now, &r)
	return r, err
}

func (b *boundedRecords) Store(ctx context.Context, key []byte, r *Record, expect int64, now store.Millis) error {
	o, call := b.begin(ctx)
	if b.byDefault != nil {
		return b.end(o, ctx, b.byDefault.Store(call, key, r, expect, now))
	}
	given := *r // what an application's own keeps must be on the heap
	return b.end(o, ctx, b.RecordStore.Store(call, key, &given, expect, now))
}

func (b *boundedRecords) Delete(ctx context.Context, key []byte, now store.Millis) error {
	o, call := b.begin(ctx)
	return b.end(o, ctx, b.RecordStore.Delete(call, key, now))
}

// begin returns an operation for one call, and its context. A session has room for one.
func (b *boundedRecords) begin(ctx context.Context) (*operation, context.Context) {
	switch c := ctx.(type) {
	case *loadingContext:
		if c.call.take(stateLoading) {
			return &c.call, (*loadingCall)(c)
		}
	case *savingContext:
		if c.call.take(stateSaving) {
			return &c.call, (*savingCall)(c)
		}
	}
	lone := &loneCall{base: ctx, timeout: b.timeout}
	lone.take(stateLoading)
	return &lone.operation, lone
}

// end ends a call and returns its error.
func (b *boundedRecords) end(o *operation, ctx context.Context, err error) error {
	if err != nil {
		err = o.explain(err, ctx, b.timeout)
	}
	o.end()
	return err
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
