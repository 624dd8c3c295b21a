package playground

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// maxCalls bounds how many calls of one request are listed singly; the sum counts
// all of them. An increment under heavy concurrency makes hundreds, and headers
// have a size limit.
const maxCalls = 32

// trace records the work of the engine and the session for one request.
type trace struct {
	began time.Time

	mu     sync.Mutex
	calls  []call
	count  int
	sum    time.Duration
	events []session.EventKind
}

// call is one call of the engine.
type call struct {
	name   string
	took   time.Duration
	result string
}

type traceKey struct{}

func traceOf(ctx context.Context) *trace {
	t, _ := ctx.Value(traceKey{}).(*trace)
	return t
}

func (t *trace) call(c call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	t.sum += c.took
	if len(t.calls) < maxCalls {
		t.calls = append(t.calls, c)
	}
}

// serverTiming returns the trace as a Server-Timing header: each call, then the
// events of the session, then the sums.
func (t *trace) serverTiming(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, c := range t.calls {
		fmt.Fprintf(&b, "%s;dur=%s;desc=%q, ", c.name, milliseconds(c.took), c.result)
	}
	for _, kind := range t.events {
		fmt.Fprintf(&b, "session;desc=%q, ", kind)
	}
	fmt.Fprintf(&b, "engine;dur=%s;desc=%q, ", milliseconds(t.sum), counted(t.count))
	fmt.Fprintf(&b, "total;dur=%s", milliseconds(now.Sub(t.began)))
	return b.String()
}

func counted(calls int) string {
	if calls == 1 {
		return "1 call"
	}
	return strconv.Itoa(calls) + " calls"
}

// milliseconds returns a time in the form for Server-Timing, to 0.1 µs.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 4, 64)
}

// traceEvents returns an OnEvent that adds events to the request's trace and then
// calls next. If next is nil, it calls log for warnings and errors.
func traceEvents(next, log func(context.Context, session.Event)) func(context.Context, session.Event) {
	return func(ctx context.Context, e session.Event) {
		if t := traceOf(ctx); t != nil {
			t.mu.Lock()
			if len(t.events) < maxCalls {
				t.events = append(t.events, e.Kind)
			}
			t.mu.Unlock()
		}
		if next != nil {
			next(ctx, e)
		} else if e.Level() >= slog.LevelWarn {
			log(ctx, e)
		}
	}
}

// tracedStore is a store that records its calls in the trace of their request, if
// there is one.
type tracedStore struct{ store.Store }

func (s tracedStore) Unwrap() store.Store { return s.Store }

func (s tracedStore) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	began := time.Now()
	value, err := s.Store.Get(ctx, key, now)
	note(ctx, began, store.OpGet, err, func() string { return "found, " + strconv.Itoa(len(value)) + " bytes" })
	return value, err
}

func (s tracedStore) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	began := time.Now()
	value, err := store.AtMost(s.Store).GetInto(ctx, key, now, into, most)
	note(ctx, began, store.OpGet, err, func() string { return "found, " + strconv.Itoa(len(value)) + " bytes" })
	return value, err
}

func (s tracedStore) Set(ctx context.Context, w store.Write) error {
	began := time.Now()
	err := s.Store.Set(ctx, w)
	note(ctx, began, store.OpSet, err, func() string {
		if w.Expires != 0 && w.Expires <= w.Now {
			return "removed"
		}
		return "stored, " + strconv.Itoa(len(w.Value)) + " bytes"
	})
	return err
}

func (s tracedStore) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	began := time.Now()
	err := store.Touch(ctx, s.Store, key, expires, now)
	note(ctx, began, store.OpTouch, err, func() string { return "touched" })
	return err
}

func (s tracedStore) Delete(ctx context.Context, key []byte, now store.Millis) error {
	began := time.Now()
	err := s.Store.Delete(ctx, key, now)
	note(ctx, began, store.OpDelete, err, func() string { return "removed" })
	return err
}

// note adds a call to the request's trace.
func note(ctx context.Context, began time.Time, op store.Op, err error, done func() string) {
	took := time.Since(began)
	t := traceOf(ctx)
	if t == nil {
		return
	}
	result := outcome(err)
	if result == "" {
		result = done()
	}
	t.call(call{string(op), took, result})
}

// bounds says in a few words which bound a plugin has exceeded.
var bounds = map[string]string{
	"deadline":   "past its deadline",
	"host_time":  "waited too long",
	"fuel":       "out of fuel",
	"depth":      "calls too deep",
	"rate":       "too much fuel per second",
	"memory":     "out of memory",
	"queue":      "too many calls",
	"queue_wait": "too many calls",
	"result":     "result too large",

	"network_wait": "waited too long",
	"enumeration":  "does not end",
}

// outcome says in a few words how a call failed, or returns "" if it did not. The
// engine's own words stay in the log.
func outcome(err error) string {
	if err == nil {
		return ""
	}
	if says := bounds[store.ExceededBound(err)]; says != "" {
		return says
	}
	if code, ok := store.CodeOf(err); ok {
		return strings.ToLower(strings.ReplaceAll(code.String(), "_", " "))
	}
	for _, known := range []struct {
		err  error
		says string
	}{
		{store.ErrClosed, "closed"},
		{context.Canceled, "cancelled"},
		{context.DeadlineExceeded, "too late"},
	} {
		if errors.Is(err, known.err) {
			return known.says
		}
	}
	return "failed"
}
