package waddleotel_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// cases are the ways to observe a store.
func cases() []struct {
	name string
	wrap func(store.Store) store.Store
	ctx  context.Context
} {
	meters := waddleotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
	tracing := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	off := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	within := func(p trace.TracerProvider) context.Context {
		ctx, _ := p.Tracer("bench").Start(context.Background(), "request")
		return ctx
	}
	wrap := func(options ...waddleotel.Option) func(store.Store) store.Store {
		return func(s store.Store) store.Store { return waddleotel.Store(s, options...) }
	}
	return []struct {
		name string
		wrap func(store.Store) store.Store
		ctx  context.Context
	}{
		{"bare", func(s store.Store) store.Store { return s }, context.Background()},
		{"no SDK", wrap(), context.Background()},
		{"metrics", wrap(meters, waddleotel.WithTracerProvider(tracenoop.NewTracerProvider())), context.Background()},
		{"metrics, request not sampled", wrap(meters, waddleotel.WithTracerProvider(off)), within(off)},
		{"metrics and spans", wrap(meters, waddleotel.WithTracerProvider(tracing)), within(tracing)},
	}
}

// value300 has a common size of sessions.
var value300 = make([]byte, 300)

// Untraced operations must not allocate.
func TestAllocations(t *testing.T) {
	measure := func(i int) float64 {
		c := cases()[i]
		s := c.wrap(store.NewMemory())
		require.NoError(t, s.Set(c.ctx, store.Write{Key: []byte(key), Value: value300, Now: 1}))
		return testing.AllocsPerRun(100, func() {
			_, _ = s.Get(c.ctx, []byte(key), 1)
			_, _ = s.Get(c.ctx, []byte("no record"), 1)
			_ = s.Set(c.ctx, store.Write{Key: []byte(key), Value: value300, Now: 1, Expect: store.Absent})
		})
	}
	bare := measure(0)
	require.Equal(t, bare, measure(1), "without an SDK")
	require.Equal(t, bare, measure(2), "with metrics")
	require.Equal(t, bare, measure(3), "with metrics, and tracing of other requests")

	on := waddleotel.OnEvent(manual())
	require.Zero(t, testing.AllocsPerRun(100, func() {
		on(context.Background(), session.Event{Kind: session.EventCreated, Session: "0123456789ab"})
	}))
}

func manual() waddleotel.Option {
	return waddleotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
}

func BenchmarkStore(b *testing.B) {
	for _, st := range stores {
		for _, c := range cases() {
			beneath := st.open(b)
			s := c.wrap(beneath)
			require.NoError(b, s.Set(c.ctx, store.Write{Key: []byte(key), Value: value300, Now: 1}))
			b.Run(st.name+"/get/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Get(c.ctx, []byte(key), 1); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(st.name+"/set/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := s.Set(c.ctx, store.Write{Key: []byte(key), Value: value300, Now: 1}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	for _, c := range []struct {
		name string
		ctx  context.Context
	}{{"metrics", context.Background()}, {"metrics, request not sampled", cases()[3].ctx}} {
		on := waddleotel.OnEvent(manual())
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				on(c.ctx, session.Event{Kind: session.EventCreated, Session: "0123456789ab"})
			}
		})
	}
}
