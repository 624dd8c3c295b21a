package waddleotel_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func Example() {
	// A program would set these up once, with exporters, and would need no options.
	reader := metric.NewManualReader()
	meters := waddleotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	spans := tracetest.NewInMemoryExporter()
	tracing := trace.NewTracerProvider(trace.WithSyncer(spans))
	tracers := waddleotel.WithTracerProvider(tracing)

	settings := session.Settings{OnEvent: session.Events(session.LogEvents(nil), waddleotel.OnEvent(meters))}
	sessions, err := session.New(waddleotel.Store(store.NewMemory(), meters, tracers), settings)
	if err != nil {
		log.Fatal(err)
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r).Set("city", "London"); err != nil {
			sessions.WriteError(w, r, err)
		}
	}))

	// A tracing middleware would begin the request's span.
	ctx, span := tracing.Tracer("server").Start(context.Background(), "GET /")
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	span.End()

	for _, s := range spans.GetSpans() {
		for _, e := range s.Events {
			fmt.Println("in", s.Name, "event", e.Name)
		}
		fmt.Println("span", s.Name)
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		log.Fatal(err)
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			fmt.Println(m.Name, data.DataPoints[0].Attributes.Encoded(attribute.DefaultEncoder()))
		case metricdata.Histogram[float64]:
			fmt.Println(m.Name, data.DataPoints[0].Attributes.Encoded(attribute.DefaultEncoder()))
		}
	}
	// Output:
	// span waddle.store.set
	// in GET / event waddle.session.created
	// span GET /
	// waddle.session.events waddle.session.event=created
	// waddle.store.operation.duration waddle.store.operation=set,waddle.store.outcome=ok
}
