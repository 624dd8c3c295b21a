package waddleotel_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// slow takes a second for each of its own steps.
type slow struct{ store.Store }

func (slow) Save(context.Context, store.Millis) error { time.Sleep(time.Second); return nil }

func (slow) Keys(context.Context, store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for range 3 {
			time.Sleep(time.Second)
			if !yield([]byte(key), nil) {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

func (slow) Snapshot(context.Context, store.Millis) iter.Seq2[store.Record, error] { return records }

func (slow) Restore(_ context.Context, records iter.Seq2[store.Record, error], _ store.Millis) error {
	time.Sleep(time.Second)
	for r := range records {
		time.Sleep(time.Second)
		if string(r.Key) == "last" {
			break
		}
	}
	time.Sleep(time.Second)
	return nil
}

// Durations are the store's own: they exclude the caller's time between two
// records, or to make one.
func TestDurations(t *testing.T) {
	ten := func(keys ...string) iter.Seq2[store.Record, error] {
		return func(yield func(store.Record, error) bool) {
			for _, key := range keys {
				time.Sleep(10 * time.Second)
				if !yield(store.Record{Key: []byte(key)}, nil) {
					return
				}
			}
			time.Sleep(10 * time.Second)
		}
	}
	for _, c := range []struct {
		name  string
		want  float64 // seconds
		spans float64
		call  func(context.Context, store.Store)
	}{
		{"an operation", 1, 1, func(ctx context.Context, s store.Store) { _ = store.Save(ctx, s, 1) }},
		{"an enumeration", 4, 34, func(ctx context.Context, s store.Store) {
			for range store.Keys(ctx, s, 1) {
				time.Sleep(10 * time.Second)
			}
		}},
		{"an enumeration that is left", 1, 11, func(ctx context.Context, s store.Store) {
			for range store.Keys(ctx, s, 1) {
				time.Sleep(10 * time.Second)
				break
			}
		}},
		{"restoring", 4, 34, func(ctx context.Context, s store.Store) {
			_ = store.Restore(ctx, s, ten("a", "b"), 1)
		}},
		{"restoring that is left", 3, 13, func(ctx context.Context, s store.Store) {
			_ = store.Restore(ctx, s, ten("last", "b"), 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newTelemetry()
				ctx, parent := o.traces.Tracer("test").Start(t.Context(), "parent")
				c.call(ctx, waddleotel.Store(slow{}, o.options()...))
				parent.End()
				data := o.metrics(t)[0]
				require.Equal(t, "s", data.Unit)
				points := data.Data.(metricdata.Histogram[float64]).DataPoints
				require.Len(t, points, 1)
				require.InDelta(t, c.want, points[0].Sum, 1e-9)
				require.Equal(t, "ok", value(points[0].Attributes.ToSlice(), "waddle.store.outcome"))
				span := o.spans.GetSpans()[0]
				require.Equal(t, c.spans, span.EndTime.Sub(span.StartTime).Seconds())
			})
		})
	}
}

// The caller's time does not count even if the caller panics.
func TestDurationOfAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newTelemetry()
		s := waddleotel.Store(slow{}, o.options()...)
		require.Panics(t, func() {
			for range store.Keys(t.Context(), s, 1) {
				time.Sleep(10 * time.Second)
				panic("the caller's")
			}
		})
		points := o.metrics(t)[0].Data.(metricdata.Histogram[float64]).DataPoints
		require.InDelta(t, 1, points[0].Sum, 1e-9)
	})
}
