package waddleotel_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// telemetry is an SDK that keeps everything it receives.
type telemetry struct {
	reader *metric.ManualReader
	meters *metric.MeterProvider
	spans  *tracetest.InMemoryExporter
	traces *sdktrace.TracerProvider
}

func newTelemetry() *telemetry {
	t := &telemetry{reader: metric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	t.meters = metric.NewMeterProvider(metric.WithReader(t.reader))
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(t.spans))
	return t
}

func (o *telemetry) options(more ...waddleotel.Option) []waddleotel.Option {
	return append([]waddleotel.Option{
		waddleotel.WithMeterProvider(o.meters), waddleotel.WithTracerProvider(o.traces),
	}, more...)
}

// server does what a tracing middleware does around a handler.
func (o *telemetry) server(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := o.traces.Tracer("server").Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (o *telemetry) metrics(t testing.TB) []metricdata.Metrics {
	t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(context.Background(), &collected))
	var all []metricdata.Metrics
	for _, scope := range collected.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

// counts returns the figures of a counter, or the numbers of measurements of a
// histogram, by attributes.
func (o *telemetry) counts(t testing.TB, name string) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for _, m := range o.metrics(t) {
		if m.Name != name {
			continue
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				counts[words(p.Attributes.ToSlice())] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				counts[words(p.Attributes.ToSlice())] = int64(p.Count)
			}
		default:
			require.Fail(t, "unexpected kind of metric", "%s is a %T", name, data)
		}
	}
	return counts
}

// words shows attributes without their common prefixes.
func words(attributes []attribute.KeyValue) string {
	list := []string{}
	for _, a := range attributes {
		name := strings.TrimPrefix(strings.TrimPrefix(string(a.Key), "waddle.store."), "waddle.session.")
		list = append(list, name+"="+a.Value.String())
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

var stores = []struct {
	name string
	open func(t testing.TB) store.Store
}{
	{"native", func(testing.TB) store.Store { return store.NewMemory() }},
	{"memory engine", engine},
}

// running is started once, since starting takes longer than a test.
var running = sync.OnceValues(func() (p *plugin.Plugin, err error) {
	opened, err = memory.Open(context.Background(), plugin.Config{
		Shards: 2, MemoryLimit: 128 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	return opened, err
})

var opened *plugin.Plugin // if any test has asked for it

func engine(t testing.TB) store.Store {
	t.Helper()
	p, err := running()
	require.NoError(t, err)
	require.NoError(t, p.Clear(context.Background(), 1))
	return p
}

func TestMain(m *testing.M) {
	code := m.Run()
	if opened != nil {
		if err := opened.Close(context.Background()); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}
