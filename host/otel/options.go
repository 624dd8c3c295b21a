package waddleotel

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/waddle-sessions/waddle/host/otel/internal/setup"
)

// scope is the name under which this package measures and traces.
const scope = "github.com/waddle-sessions/waddle/host/otel"

// Option changes where a function of this module records to, and as what.
type Option = setup.Option

// WithMeterProvider has metrics go to p instead of the process-wide provider. One
// that does nothing, of go.opentelemetry.io/otel/metric/noop, turns them off. Nil
// changes nothing.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *setup.Config) {
		if p != nil {
			c.Meters = p
		}
	}
}

// WithTracerProvider has spans go to p instead of the process-wide provider. One
// that does nothing, of go.opentelemetry.io/otel/trace/noop, turns them off. Nil
// changes nothing.
//
// Events are noted on the request's own span and thus go where that goes.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *setup.Config) {
		if p != nil {
			c.Tracers = p
		}
	}
}

// WithAttributes adds attributes to all that is recorded, to tell stores,
// applications or tenants apart. They must be few, and must not differ from
// request to request.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(c *setup.Config) { c.Attributes = append(c.Attributes, attributes...) }
}
