package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// operation is what makes a context that of one call of the storage. Its time begins
// when the storage waits: when it asks for the context's end, or for a second time
// whether it is over. Most storages answer at once and ask once, and should pay neither
// for a timer nor for knowing what time it is, nor for a lock.
type operation struct {
	state   atomic.Uint32
	mu      sync.Mutex // guards making bounded
	bounded *bounded   // set before stateWaited is
}

// The states of an operation. It is 0 between two calls.
const (
	stateLoading = 1 << iota // a call is under way whose context is a loadingCall or a loneCall
	stateSaving              // a call is under way whose context is a savingCall
	stateAsked               // the storage asked whether the call is over
	stateWaited              // somebody may still wait for the context: no other call gets it
	stateCall    = stateLoading | stateSaving
)

// bounded is a context that ends with an operation, or before it.
type bounded struct {
	context.Context
	cancel context.CancelFunc
}

// take reserves a session's room for a call. If somebody may still wait for its
// context, it is not used again.
func (o *operation) take(kind uint32) bool { return o.state.CompareAndSwap(0, kind) }

// end ends the call.
func (o *operation) end() {
	for {
		state := o.state.Load()
		if !o.state.CompareAndSwap(state, state&stateWaited) {
			continue
		}
		if state&stateWaited != 0 {
			o.bounded.cancel()
		}
		return
	}
}

// err is the Err of a context for calls of this kind.
func (o *operation) err(kind uint32, base context.Context, timeout time.Duration) error {
	if o.state.CompareAndSwap(kind, kind|stateAsked) {
		return base.Err()
	}
	return o.bound(kind, base, timeout).Err()
}

// bound starts the timeout.
func (o *operation) bound(kind uint32, base context.Context, timeout time.Duration) context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	state := o.state.Load()
	switch {
	case state&stateWaited != 0:
		return o.bounded
	case state&stateCall != kind:
		return over
	case timeout == 0:
		return base
	}
	ctx, cancel := context.WithTimeout(base, timeout)
	o.bounded = &bounded{ctx, cancel}
	for !o.state.CompareAndSwap(state, state|stateWaited) {
		if state = o.state.Load(); state&stateCall != kind {
			cancel()
			return over
		}
	}
	return o.bounded
}

// value is the Value of a context. Once somebody may wait for the bounded context,
// contexts made from this one must find it.
func (o *operation) value(base context.Context, key any) any {
	if o.state.Load()&stateWaited != 0 {
		base = o.bounded
	}
	return base.Value(key)
}

// explain returns an error of the storage if a time ran out but the request's did
// not: no client has left then.
func (o *operation) explain(err error, base context.Context, timeout time.Duration) error {
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if !ended && !errors.Is(err, os.ErrDeadlineExceeded) || base.Err() != nil {
		return err
	}
	if o.state.Load()&stateWaited != 0 {
		own, _ := o.bounded.Deadline()
		request, has := base.Deadline()
		switch late := !time.Now().Before(own); {
		case late && has && !own.Before(request):
			return err
		case late:
			return fmt.Errorf("%w: the storage did not answer within %v, which is Settings.StoreTimeout: %v", store.ErrUnavailable, timeout, err)
		}
	}
	if ended {
		return fmt.Errorf("%w: the storage gave up by itself: %v", store.ErrUnavailable, err)
	}
	return err
}

// over stands for the context of somebody who kept one and never waited for it.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// loadingCall is a session as the context of one call that reads from the storage. It
// holds nothing that changes from one call to the next, so that somebody who kept it
// needs no lock to ask it.
type loadingCall Session

func (c *loadingCall) base() context.Context  { return (*loadingContext)(c) }
func (c *loadingCall) timeout() time.Duration { return c.manager.records.timeout }

func (c *loadingCall) Deadline() (time.Time, bool) {
	return c.call.bound(stateLoading, c.base(), c.timeout()).Deadline()
}
func (c *loadingCall) Done() <-chan struct{} {
	return c.call.bound(stateLoading, c.base(), c.timeout()).Done()
}
func (c *loadingCall) Err() error        { return c.call.err(stateLoading, c.base(), c.timeout()) }
func (c *loadingCall) Value(key any) any { return c.call.value(c.base(), key) }

// savingCall is a session as the context of one call that saves.
type savingCall Session

func (c *savingCall) base() context.Context  { return (*savingContext)(c) }
func (c *savingCall) timeout() time.Duration { return c.manager.records.timeout }

func (c *savingCall) Deadline() (time.Time, bool) {
	return c.call.bound(stateSaving, c.base(), c.timeout()).Deadline()
}
func (c *savingCall) Done() <-chan struct{} {
	return c.call.bound(stateSaving, c.base(), c.timeout()).Done()
}
func (c *savingCall) Err() error        { return c.call.err(stateSaving, c.base(), c.timeout()) }
func (c *savingCall) Value(key any) any { return c.call.value(c.base(), key) }

// loneCall is the context of a call that no session has room for.
type loneCall struct {
	operation
	base    context.Context
	timeout time.Duration
}

func (c *loneCall) Deadline() (time.Time, bool) {
	return c.bound(stateLoading, c.base, c.timeout).Deadline()
}
func (c *loneCall) Done() <-chan struct{} { return c.bound(stateLoading, c.base, c.timeout).Done() }
func (c *loneCall) Err() error            { return c.err(stateLoading, c.base, c.timeout) }
func (c *loneCall) Value(key any) any     { return c.value(c.base, key) }
