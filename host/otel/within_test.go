package waddleotel_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/trace"
)

// within is a store that records the span of its last call.
type within struct {
	*store.Memory
	span trace.SpanID
}

func (w *within) note(ctx context.Context) { w.span = trace.SpanContextFromContext(ctx).SpanID() }

func (w *within) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	w.note(ctx)
	return w.Memory.Get(ctx, key, now)
}

func (w *within) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	w.note(ctx)
	return w.Memory.GetInto(ctx, key, now, into, most)
}

func (w *within) Set(ctx context.Context, write store.Write) error {
	w.note(ctx)
	return w.Memory.Set(ctx, write)
}

func (w *within) Delete(ctx context.Context, key []byte, now store.Millis) error {
	w.note(ctx)
	return w.Memory.Delete(ctx, key, now)
}

func (w *within) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	w.note(ctx)
	return w.Memory.Touch(ctx, key, expires, now)
}

func (w *within) Clear(ctx context.Context, now store.Millis) error {
	w.note(ctx)
	return w.Memory.Clear(ctx, now)
}

func (w *within) Save(ctx context.Context, now store.Millis) error {
	w.note(ctx)
	return w.Memory.Save(ctx, now)
}

func (w *within) Close(ctx context.Context) error {
	w.note(ctx)
	return w.Memory.Close(ctx)
}

func (w *within) Sweep(ctx context.Context, max int, now store.Millis) (int, error) {
	w.note(ctx)
	return w.Memory.Sweep(ctx, max, now)
}

func (w *within) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	w.note(ctx)
	return w.Memory.Keys(ctx, now)
}

func (w *within) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	w.note(ctx)
	return w.Memory.Snapshot(ctx, now)
}

func (w *within) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	w.note(ctx)
	return w.Memory.Restore(ctx, records, now)
}

// The store beneath works within the span of its operation, whichever it is: what it
// traces itself belongs there.
func TestTheStoreBeneathIsWithinTheSpan(t *testing.T) {
	calls := map[string]func(context.Context, store.Store) error{
		"get at most": func(ctx context.Context, s store.Store) error {
			_, err := store.AtMost(s).GetInto(ctx, []byte(key), 1, nil, 100)
			return err
		},
	}
	for op, call := range all {
		calls[op] = call
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			o := newTelemetry()
			beneath := &within{Memory: store.NewMemory()}
			require.NoError(t, beneath.Set(context.Background(), store.Write{Key: []byte(key), Value: []byte("revision"), Now: 1}))
			ctx, request := o.traces.Tracer("").Start(context.Background(), "request")
			beneath.span = trace.SpanID{}
			require.NoError(t, call(ctx, waddleotel.Store(beneath, o.options()...)))
			request.End()
			spans := o.spans.GetSpans()
			require.Len(t, spans, 2)
			require.Equal(t, spans[0].SpanContext.SpanID(), beneath.span)
		})
	}
}
