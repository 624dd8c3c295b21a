// Package setup holds the options that the packages of this module share.
package setup

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config holds the values that options change.
type Config struct {
	Meters     metric.MeterProvider
	Tracers    trace.TracerProvider
	Attributes []attribute.KeyValue
}

// Option changes a Config.
type Option func(*Config)

// New returns a Config with the process-wide providers, changed by options.
func New(options []Option) *Config {
	c := &Config{Meters: otel.GetMeterProvider(), Tracers: otel.GetTracerProvider()}
	for _, o := range options {
		o(c)
	}
	return c
}

// Meter returns the meter of a package, which is named by its import path.
func (c *Config) Meter(name string) metric.Meter {
	return c.Meters.Meter(name, metric.WithSchemaURL(semconv.SchemaURL))
}

// Tracer returns the tracer of a package.
func (c *Config) Tracer(name string) trace.Tracer {
	return c.Tracers.Tracer(name, trace.WithSchemaURL(semconv.SchemaURL))
}

// With returns the common attributes followed by more.
func (c *Config) With(more ...attribute.KeyValue) []attribute.KeyValue {
	return append(append(make([]attribute.KeyValue, 0, len(c.Attributes)+len(more)), c.Attributes...), more...)
}

// Set returns the attributes of With as a set.
func (c *Config) Set(more ...attribute.KeyValue) attribute.Set {
	return attribute.NewSet(c.With(more...)...)
}
