// Package setup has the options that the packages of this module share.
package setup

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config is what options change.
type Config struct {
	Meters     metric.MeterProvider
	Tracers    trace.TracerProvider
	Attributes []attribute.KeyValue
}

// Option changes a Config.
type Option func(*Config)

// New applies options to the process-wide providers.
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

// With returns the common attributes and others.
func (c *Config) With(more ...attribute.KeyValue) []attribute.KeyValue {
	return append(append(make([]attribute.KeyValue, 0, len(c.Attributes)+len(more)), c.Attributes...), more...)
}

// Set is With as a set.
func (c *Config) Set(more ...attribute.KeyValue) attribute.Set {
	return attribute.NewSet(c.With(more...)...)
}
