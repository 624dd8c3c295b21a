package waddleotel

import (
	"context"

	"github.com/waddle-sessions/waddle/host/otel/internal/setup"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const eventKey = attribute.Key("waddle.session.event")

// OnEvent returns a function for Settings.OnEvent that counts events by kind and
// adds each to the request's span, if that is recording. It replaces the default,
// which logs important events; use [session.Events] for both.
//
// Many goroutines may call it.
func OnEvent(options ...Option) func(context.Context, session.Event) {
	config := setup.New(options)
	counter, err := config.Meter(scope).Int64Counter("waddle.session.events",
		metric.WithUnit("{event}"), metric.WithDescription("Events of sessions."))
	if err != nil {
		otel.Handle(err)
	}
	o := &eventObserver{config: config, counter: counter}
	const unknown = session.EventKind(0)
	for kind := unknown; kind == unknown || kind.String() != unknown.String(); kind++ {
		o.kinds = append(o.kinds, o.prepare(kind))
	}
	return o.observe
}

type eventObserver struct {
	config  *setup.Config
	counter metric.Int64Counter
	kinds   []kindOptions // by kind; the first is for unknown kinds
}

// kindOptions are made in advance, since making them allocates.
type kindOptions struct {
	name string
	add  []metric.AddOption
	note []trace.EventOption
}

func (o *eventObserver) prepare(kind session.EventKind) kindOptions {
	k := kindOptions{
		name: "waddle.session." + kind.String(),
		add:  []metric.AddOption{metric.WithAttributeSet(o.config.Set(eventKey.String(kind.String())))},
	}
	if common := o.config.With(); len(common) > 0 {
		k.note = []trace.EventOption{trace.WithAttributes(common...)}
	}
	return k
}

func (o *eventObserver) observe(ctx context.Context, e session.Event) {
	k := &o.kinds[0]
	if e.Kind > 0 && int(e.Kind) < len(o.kinds) {
		k = &o.kinds[e.Kind]
	}
	o.counter.Add(ctx, 1, k.add...)
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	note := k.note
	if e.Err != nil {
		note = append(note[:len(note):len(note)], trace.WithAttributes(semconv.ErrorTypeKey.String(errorType(e.Err))))
	}
	span.AddEvent(k.name, note...)
}
