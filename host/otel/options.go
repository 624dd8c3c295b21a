package waddleotel

import (
	"github.com/waddle-sessions/waddle/host/otel/internal/setup"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of this package's meter and tracer.
const scope = "github.com/waddle-sessions/waddle/host/otel"

// Option changes where a function of this module records, and with which attributes.
type Option = setup.Option

// WithMeterProvider sends metrics to p instead of the process-wide provider. A
// no-op one, of go.opentelemetry.io/otel/metric/noop, turns them off. Nil changes
// nothing.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *setup.Config) {
		if p != nil {
			c.Meters = p
		}
	}
}

// WithTracerProvider sends spans to p instead of the process-wide provider. A no-op
// one, of go.opentelemetry.io/otel/trace/noop, turns them off. Nil changes nothing.
//
// Events are added to the request's own span and go where that span goes.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *setup.Config) {
		if p != nil {
			c.Tracers = p
		}
	}
}

// WithAttributes adds attributes to everything recorded, to tell stores,
// applications or tenants apart. They must be few and must not vary between
// requests.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(c *setup.Config) { c.Attributes = append(c.Attributes, attributes...) }
}
