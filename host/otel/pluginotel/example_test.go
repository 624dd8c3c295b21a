package pluginotel_test

import (
	"context"
	"fmt"
	"log"

	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/otel/pluginotel"
	"github.com/waddle-sessions/waddle/host/plugin"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func ExampleObserve() {
	ctx := context.Background()
	engine, err := plugin.OpenFile(ctx, "../../plugin/testdata/store.wasm", plugin.Config{Shards: 4, NoCache: true})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close(ctx)

	reader := metric.NewManualReader() // a program would have an exporter
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	registration, err := pluginotel.Observe(engine, waddleotel.WithMeterProvider(provider))
	if err != nil {
		log.Fatal(err)
	}
	defer registration.Unregister()

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		log.Fatal(err)
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name, m.Unit)
	}
	// Output:
	// waddle.plugin.memory.usage By
	// waddle.plugin.memory.limit By
	// waddle.plugin.restarts {restart}
	// waddle.plugin.shards {shard}
	// waddle.plugin.calls {call}
	// waddle.plugin.fuel {unit}
	// waddle.plugin.throttled {call}
	// waddle.plugin.queue {call}
	// waddle.plugin.queue.refused {call}
	// waddle.plugin.turns {call}
}
