// Package waddleotel measures and traces sessions with OpenTelemetry. It is a
// module of its own, so that other programs do not get its dependencies. It
// consists of wrappers: what you do not wrap costs nothing.
//
//	settings.OnEvent = session.Events(session.LogEvents(nil), waddleotel.OnEvent())
//	sessions, err := session.New(waddleotel.Store(engine), settings)
//
// [OnEvent] counts the events of sessions and records them on the request's span.
// [Store] measures each operation of a store and makes it a span beneath the
// request's. Package pluginotel, beside this one, observes the WebAssembly plugin
// itself: memory, restarts, calls.
//
// The request's span is the one in the context that the session middleware gets:
// wrap tracing, such as otelhttp, around (*session.Manager).Handler.
//
// # What is recorded
//
// Metrics, with their kinds and units:
//
//   - waddle.session.events, counter of {event}: events by waddle.session.event
//     (created, renewed, destroyed, …: the words of [session.EventKind])
//   - waddle.store.operation.duration, histogram of s: operations by
//     waddle.store.operation (get, set, touch, delete, clear, save, close, sweep,
//     keys, snapshot, restore) and waddle.store.outcome (ok, not_found, conflict,
//     canceled, error); with error also by error.type
//
// Spans are named waddle.store.get and so on, with the same attributes, and have
// the status Error if the outcome is error. Span events are named
// waddle.session.created and so on, with error.type if there is an error.
//
// error.type is one of a fixed list of words, among them those of plugin.Limit, such
// as fuel, for a limit that a plugin exceeded. No id, key, value, user or text of an
// error is ever recorded, nor the short session name in log events.
package waddleotel
