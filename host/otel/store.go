package waddleotel

import (
	"context"
	"time"

	"github.com/waddle-sessions/waddle/host/otel/internal/setup"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of an operation of a store.
const (
	operationKey = attribute.Key("waddle.store.operation")
	outcomeKey   = attribute.Key("waddle.store.outcome")
)

// Store returns a store that does what s does and records how long each operation
// takes and how it ends. It has all optional interfaces; an operation that neither
// s nor a store beneath it has returns [store.ErrUnsupported] and is not measured.
// [store.As] finds s and the stores beneath it. Closing it closes s. Store panics
// if s is nil.
//
// An operation is a span if its context has a sampled span, which becomes the
// parent. Otherwise it is only measured: background work makes no traces. The
// context that s gets has the new span.
//
// The duration of Keys, Snapshot and Restore is the store's own: it excludes the
// caller's time for using or getting a record, which the span includes. As many
// goroutines may use it as s.
func Store(s store.Store, options ...Option) store.Store {
	if s == nil {
		panic("waddleotel: Store needs a store")
	}
	config := setup.New(options)
	duration, err := config.Meter(scope).Float64Histogram("waddle.store.operation.duration",
		metric.WithUnit("s"), metric.WithDescription("How long operations of the session store take."),
		metric.WithExplicitBucketBoundaries(buckets...))
	if err != nil {
		otel.Handle(err)
	}
	m := &measured{store: s, reads: store.AtMost(s), config: config, tracer: config.Tracer(scope), duration: duration}
	for op := range operations {
		m.start[op] = []trace.SpanStartOption{trace.WithAttributes(config.With(operationKey.String(op.String()))...)}
		for o := range outcomeError {
			m.record[op][o] = []metric.RecordOption{m.attributes(op, o)}
		}
	}
	return m
}

// buckets range from an engine in memory, whose operations take less than a
// microsecond, to a stuck network.
var buckets = []float64{
	500e-9, 1e-6, 2.5e-6, 5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6,
	1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
}

// operation is an operation of a store.
type operation int

const (
	opGet operation = iota
	opSet
	opTouch
	opDelete
	opClear
	opSave
	opClose
	opSweep
	opKeys
	opSnapshot
	opRestore
	operations
)

var operationNames = [operations]store.Op{
	opGet: store.OpGet, opSet: store.OpSet, opTouch: store.OpTouch, opDelete: store.OpDelete, opClear: store.OpClear,
	opSave: store.OpSave, opClose: store.OpClose, opSweep: store.OpSweep, opKeys: store.OpKeys,
	opSnapshot: store.OpSnapshot, opRestore: store.OpRestore,
}

var spanNames = func() (names [operations]string) {
	for op, name := range operationNames {
		names[op] = "waddle.store." + string(name)
	}
	return names
}()

func (op operation) String() string { return string(operationNames[op]) }

// measured is the wrapper that Store returns.
type measured struct {
	store    store.Store
	reads    store.Bounded // the store's GetInto
	config   *setup.Config
	tracer   trace.Tracer
	duration metric.Float64Histogram

	// Made in advance, since making them allocates.
	start  [operations][]trace.SpanStartOption
	record [operations][outcomeError][]metric.RecordOption
}

func (m *measured) attributes(op operation, o outcome, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(m.config.Set(append(more, operationKey.String(op.String()), outcomeKey.String(o.String()))...))
}

// call is a running operation.
type call struct {
	op      operation
	ctx     context.Context
	span    trace.Span    // nil if there is none
	began   time.Time     // zero if the duration is not recorded
	left    time.Time     // zero if the clock runs
	outside time.Duration // how long the clock did not run
}

// begin starts the clock of an operation. Call the store with the call's context.
func (m *measured) begin(ctx context.Context, op operation) call {
	c := call{op: op, ctx: ctx}
	// A request that is not sampled costs nothing here.
	if parent := trace.SpanFromContext(ctx); parent.IsRecording() || parent.SpanContext().IsSampled() {
		c.ctx, c.span = m.tracer.Start(ctx, spanNames[op], m.start[op]...)
	}
	if m.duration.Enabled(c.ctx) {
		c.began = time.Now()
	}
	return c
}

// end is deferred with the operation's result, which is errPanic until the
// operation returns.
func (m *measured) end(c *call, result *error) {
	err := *result
	o := outcomeOf(err)
	if !c.began.IsZero() {
		c.back()
		var record []metric.RecordOption
		if o == outcomeError {
			record = []metric.RecordOption{m.attributes(c.op, o, semconv.ErrorTypeKey.String(errorType(err)))}
		} else {
			record = m.record[c.op][o]
		}
		m.duration.Record(c.ctx, (time.Since(c.began) - c.outside).Seconds(), record...)
	}
	if c.span == nil {
		return
	}
	if c.span.IsRecording() {
		c.span.SetAttributes(outcomeKey.String(o.String()))
		if o == outcomeError {
			word := errorType(err)
			c.span.SetAttributes(semconv.ErrorTypeKey.String(word))
			c.span.SetStatus(codes.Error, word)
		}
	}
	c.span.End()
}

// leave stops the call's clock while others work, and back starts it again.
func (c *call) leave() {
	if !c.began.IsZero() && c.left.IsZero() {
		c.left = time.Now()
	}
}

func (c *call) back() {
	if !c.left.IsZero() {
		c.outside += time.Since(c.left)
		c.left = time.Time{}
	}
}

func (m *measured) Get(ctx context.Context, key []byte, now store.Millis) (value []byte, err error) {
	c := m.begin(ctx, opGet)
	err = errPanic
	defer m.end(&c, &err)
	value, err = m.store.Get(c.ctx, key, now)
	return value, err
}

func (m *measured) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) (value []byte, err error) {
	c := m.begin(ctx, opGet)
	err = errPanic
	defer m.end(&c, &err)
	value, err = m.reads.GetInto(c.ctx, key, now, into, most)
	return value, err
}

func (m *measured) Set(ctx context.Context, w store.Write) (err error) {
	c := m.begin(ctx, opSet)
	err = errPanic
	defer m.end(&c, &err)
	err = m.store.Set(c.ctx, w)
	return err
}

func (m *measured) Delete(ctx context.Context, key []byte, now store.Millis) (err error) {
	c := m.begin(ctx, opDelete)
	err = errPanic
	defer m.end(&c, &err)
	err = m.store.Delete(c.ctx, key, now)
	return err
}
