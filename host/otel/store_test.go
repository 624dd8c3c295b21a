package waddleotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

const key = "a-key"

func records(yield func(store.Record, error) bool) {
	for i := range 3 {
		if !yield(store.Record{Key: fmt.Append(nil, "restored-", i), Value: []byte("revision")}, nil) {
			return
		}
	}
}

// all calls each operation of a store that has them all.
var all = map[string]func(ctx context.Context, s store.Store) error{
	"get": func(ctx context.Context, s store.Store) error {
		_, err := s.Get(ctx, []byte(key), 1)
		return err
	},
	"set": func(ctx context.Context, s store.Store) error {
		return s.Set(ctx, store.Write{Key: []byte(key), Value: []byte("revision"), Now: 1})
	},
	"touch":  func(ctx context.Context, s store.Store) error { return store.Touch(ctx, s, []byte(key), 9, 1) },
	"delete": func(ctx context.Context, s store.Store) error { return s.Delete(ctx, []byte("other"), 1) },
	"clear":  func(ctx context.Context, s store.Store) error { return store.Clear(ctx, s, 1) },
	"save":   func(ctx context.Context, s store.Store) error { return store.Save(ctx, s, 1) },
	"close":  func(ctx context.Context, s store.Store) error { return store.Close(ctx, s) },
	"sweep": func(ctx context.Context, s store.Store) error {
		_, err := store.Sweep(ctx, s, 10, 1)
		return err
	},
	"keys": func(ctx context.Context, s store.Store) (err error) {
		for _, err = range store.Keys(ctx, s, 1) {
		}
		return err
	},
	"snapshot": func(ctx context.Context, s store.Store) (err error) {
		for _, err = range store.Snapshot(ctx, s, 1) {
		}
		return err
	},
	"restore": func(ctx context.Context, s store.Store) error {
		return store.Restore(ctx, s, records, 1)
	},
}

// No operation of a store is left out.
func TestEveryOperationIsTried(t *testing.T) {
	var tried []store.Op
	for name := range all {
		tried = append(tried, store.Op(name))
	}
	require.ElementsMatch(t, store.Ops(), tried)
}

// However an operation ends, the measurement and span show it, and the caller gets
// the store's answer.
func TestOutcomes(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("%w: with detail", err) }
	for _, c := range []struct {
		name, outcome, errorType string
		err                      error
	}{
		{"ok", "ok", "", nil},
		{"not found", "not_found", "", wrapped(store.ErrNotFound)},
		{"conflict", "conflict", "", wrapped(store.ErrConflict)},
		{"canceled", "canceled", "", wrapped(context.Canceled)},
		{"deadline", "canceled", "", context.DeadlineExceeded},
		{"invalid", "error", "invalid", wrapped(store.ErrInvalid)},
		{"too large", "error", "too_large", wrapped(store.ErrTooLarge)},
		{"no space", "error", "no_space", wrapped(store.ErrNoSpace)},
		{"unavailable", "error", "unavailable", wrapped(store.ErrUnavailable)},
		{"corrupt", "error", "corrupt", wrapped(store.ErrCorrupt)},
		{"denied", "error", "denied", wrapped(store.ErrDenied)},
		{"unsupported", "error", "unsupported", wrapped(store.ErrUnsupported)},
		{"internal", "error", "internal", wrapped(store.ErrInternal)},
		{"fuel", "error", "fuel", wrapped(&plugin.Error{Kind: plugin.ErrFuel})},
		{"depth", "error", "depth", wrapped(&plugin.Error{Kind: plugin.ErrDepth})},
		{"rate", "error", "rate", wrapped(&plugin.Error{Kind: plugin.ErrRate})},
		{"queue", "error", "queue", wrapped(&plugin.Error{Kind: plugin.ErrBusy, Limit: plugin.LimitQueue})},
		{"running time", "error", "deadline", wrapped(&plugin.Error{Kind: plugin.ErrDeadline})},
		{"trap", "error", "unavailable", wrapped(&plugin.Error{Kind: plugin.ErrTrap})},
		{"closed", "error", "closed", wrapped(store.ErrClosed)},
		{"other", "error", "_OTHER", errors.New("something else")},
	} {
		for name, call := range all {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				o := newTelemetry()
				beneath := sessiontest.NewStore(store.NewMemory())
				require.NoError(t, all["set"](t.Context(), beneath))
				beneath.Fail(c.err)
				s := waddleotel.Store(beneath, o.options(waddleotel.WithAttributes(attribute.String("tenant", "acme")))...)
				ctx, parent := o.traces.Tracer("test").Start(t.Context(), "parent")
				err := call(ctx, s)
				require.Equal(t, c.err, err, "the store's own error, unchanged")
				parent.End()

				want := "operation=" + name + " outcome=" + c.outcome + " tenant=acme"
				if c.errorType != "" {
					want = "error.type=" + c.errorType + " " + want
				}
				require.Equal(t, map[string]int64{want: 1}, o.counts(t, "waddle.store.operation.duration"))
				spans := o.spans.GetSpans()
				require.Len(t, spans, 2)
				require.Equal(t, "waddle.store."+name, spans[0].Name)
				require.Equal(t, want, words(spans[0].Attributes))
				require.Equal(t, parent.SpanContext().SpanID(), spans[0].Parent.SpanID())
				require.Equal(t, trace.SpanKindInternal, spans[0].SpanKind)
				require.Empty(t, spans[0].Events)
				require.Equal(t, c.errorType, spans[0].Status.Description)
				require.Equal(t, c.errorType != "", spans[0].Status.Code == codes.Error)
			})
		}
	}
}

// An operation is a span if its request is traced. Background work and requests
// that are not sampled are only measured.
func TestSpansNeedASampledParent(t *testing.T) {
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	unsampled, span := never.Tracer("test").Start(t.Context(), "parent")
	defer span.End()
	remote := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags,
		}))
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		spans int
	}{
		{"none", t.Context(), 0},
		{"not sampled", unsampled, 0},
		{"not sampled elsewhere", remote(0), 0},
		{"sampled elsewhere", remote(trace.FlagsSampled), 1},
	} {
		o := newTelemetry()
		s := waddleotel.Store(store.NewMemory(), o.options()...)
		require.NoError(t, store.Save(c.ctx, s, 1))
		require.Len(t, o.spans.GetSpans(), c.spans, c.name)
		require.Len(t, o.counts(t, "waddle.store.operation.duration"), 1, c.name)
	}
}

func TestEachHalfCanBeTurnedOff(t *testing.T) {
	ctx, parent := newTelemetry().traces.Tracer("test").Start(t.Context(), "parent")
	defer parent.End()

	o := newTelemetry()
	s := waddleotel.Store(store.NewMemory(), o.options(waddleotel.WithMeterProvider(metricnoop.NewMeterProvider()))...)
	require.NoError(t, store.Save(ctx, s, 1))
	for range store.Keys(ctx, s, 1) {
	}
	require.Empty(t, o.metrics(t))
	require.Len(t, o.spans.GetSpans(), 2)

	o = newTelemetry()
	s = waddleotel.Store(store.NewMemory(), o.options(waddleotel.WithTracerProvider(tracenoop.NewTracerProvider()))...)
	require.NoError(t, store.Save(ctx, s, 1))
	require.Len(t, o.metrics(t), 1)
	require.Empty(t, o.spans.GetSpans())
}

var processWide bool

// Without options, or with a nil one, the process-wide providers are used, even if
// they are set later.
func TestProcessWideProviders(t *testing.T) {
	if processWide {
		t.Skip("a process gets its providers once; this run has had them")
	}
	processWide = true
	s := waddleotel.Store(store.NewMemory(), waddleotel.WithMeterProvider(nil), waddleotel.WithTracerProvider(nil))
	on := waddleotel.OnEvent()
	require.NoError(t, store.Save(t.Context(), s, 1))

	o := newTelemetry()
	otel.SetMeterProvider(o.meters)
	otel.SetTracerProvider(o.traces)
	t.Cleanup(func() {
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
	})
	ctx, parent := o.traces.Tracer("test").Start(t.Context(), "parent")
	require.NoError(t, store.Save(ctx, s, 1))
	on(ctx, session.Event{Kind: session.EventCreated})
	parent.End()
	require.Equal(t, map[string]int64{"operation=save outcome=ok": 1}, o.counts(t, "waddle.store.operation.duration"))
	require.Equal(t, map[string]int64{"event=created": 1}, o.counts(t, "waddle.session.events"))
	require.Len(t, o.spans.GetSpans(), 2)
}

// The wrapper has the operations of the store beneath, and does not measure one that
// is missing.
func TestOptionalInterfaces(t *testing.T) {
	storetest.Wrapper(t, func(s store.Store) store.Store { return waddleotel.Store(s, newTelemetry().options()...) })

	o := newTelemetry()
	s := waddleotel.Store(struct{ store.Store }{store.NewMemory()}, o.options()...)
	for name, call := range all {
		require.NoError(t, s.Set(t.Context(), store.Write{Key: []byte(key), Value: []byte("revision"), Now: 1}))
		switch err := call(t.Context(), s); name {
		case "get", "set", "delete", "close":
			require.NoError(t, err, name)
		default:
			require.ErrorIs(t, err, store.ErrUnsupported, name)
		}
	}
	sum := int64(0)
	for _, n := range o.counts(t, "waddle.store.operation.duration") {
		sum += n
	}
	require.EqualValues(t, len(all)+3, sum, "one for each turn, and get, set and delete")

	memory := store.NewMemory()
	beneath, ok := store.As[*store.Memory](waddleotel.Store(memory, o.options()...))
	require.True(t, ok)
	require.Same(t, memory, beneath)
	require.Panics(t, func() { waddleotel.Store(nil) })
}

// Arguments and results are the same as without the wrapper.
func TestTransparent(t *testing.T) {
	ctx := t.Context()
	beneath := store.NewMemory()
	s := waddleotel.Store(beneath, newTelemetry().options()...)
	require.NoError(t, s.Set(ctx, store.Write{Key: []byte(key), Value: []byte("revision, value"), Expires: 100, Now: 1, Expect: store.Absent}))
	require.ErrorIs(t, s.Set(ctx, store.Write{Key: []byte(key), Value: []byte("other"), Now: 1, Expect: store.Absent}), store.ErrConflict)
	v, err := s.Get(ctx, []byte(key), 99)
	require.NoError(t, err)
	require.Equal(t, "revision, value", string(v))
	_, err = s.Get(ctx, []byte(key), 100)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, store.Touch(ctx, s, []byte(key), 200, 1))
	_, err = s.Get(ctx, []byte(key), 199)
	require.NoError(t, err)

	var snapshot []store.Record
	for r, err := range store.Snapshot(ctx, s, 1) {
		require.NoError(t, err)
		snapshot = append(snapshot, r)
	}
	require.Equal(t, []store.Record{{Key: []byte(key), Value: []byte("revision, value"), Expires: 200}}, snapshot)
	for _, now := range []store.Millis{1, 200} {
		n := 0
		for k, err := range store.Keys(ctx, s, now) {
			require.NoError(t, err)
			require.Equal(t, key, string(k))
			n++
		}
		require.Equal(t, now == 1, n == 1)
	}
	removed, err := store.Sweep(ctx, s, 1<<20, 200)
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	require.NoError(t, store.Restore(ctx, s, records, 1))
	require.Equal(t, 3, beneath.Len())
	broken := errors.New("broken off")
	require.ErrorIs(t, store.Restore(ctx, s, func(yield func(store.Record, error) bool) { yield(store.Record{}, broken) }, 1), broken)
	require.NoError(t, s.Delete(ctx, []byte("restored-1"), 1))
	require.Equal(t, 2, beneath.Len())
	require.NoError(t, s.Set(ctx, store.Write{Key: []byte(key), Value: []byte("revision"), Expires: 5, Now: 1}))
	require.NoError(t, store.Save(ctx, s, 5))
	require.Equal(t, 2, beneath.Len())
	require.NoError(t, store.Clear(ctx, s, 1))
	require.Zero(t, beneath.Len())
	require.NoError(t, store.Close(ctx, s))
	require.ErrorIs(t, store.Save(ctx, s, 1), store.ErrClosed)
}

// broken is a store with a bug.
type broken struct{ store.Store }

func (broken) Get(context.Context, []byte, store.Millis) ([]byte, error) { panic("a mistake") }

// An operation that does not return is recorded as such and goes on panicking.
func TestPanics(t *testing.T) {
	o := newTelemetry()
	ctx, parent := o.traces.Tracer("test").Start(t.Context(), "parent")
	defer parent.End()
	s := waddleotel.Store(broken{}, o.options()...)
	require.PanicsWithValue(t, "a mistake", func() { _, _ = s.Get(ctx, []byte(key), 1) })
	require.Equal(t, map[string]int64{"error.type=panic operation=get outcome=error": 1}, o.counts(t, "waddle.store.operation.duration"))
	require.Equal(t, codes.Error, o.spans.GetSpans()[0].Status.Code)

	keys := waddleotel.Store(store.NewMemory(), o.options()...)
	require.NoError(t, all["set"](ctx, keys))
	require.PanicsWithValue(t, "the caller's", func() {
		for range store.Keys(ctx, keys, 1) {
			panic("the caller's")
		}
	})
	require.EqualValues(t, 1, o.counts(t, "waddle.store.operation.duration")["error.type=panic operation=keys outcome=error"])
}
