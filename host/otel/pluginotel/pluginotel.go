// Package pluginotel observes WebAssembly plugins with OpenTelemetry: their memory,
// whether they run, and calls to them.
//
//	engine, err := memory.Open(ctx, plugin.Config{})
//	…
//	registration, err := pluginotel.Observe(engine)
//	…
//	defer registration.Unregister()
//
// The figures are those of [plugin.Stats]. They are read only when metrics are
// collected, so observing does not change how a plugin runs.
//
// # What is recorded
//
// All have waddle.plugin.name, the plugin's name in errors and logs:
//
//   - waddle.plugin.memory.usage, up-down counter of By: linear memory that all
//     instances have taken
//   - waddle.plugin.memory.limit, up-down counter of By: linear memory that they
//     may take
//   - waddle.plugin.limits, counter of {time}: how often each limit was exceeded, by
//     waddle.plugin.limit, a word of [plugin.Limit]. A limit that was never exceeded is
//     missing
//   - waddle.plugin.restarts, counter of {restart}: instances that replaced a
//     failed or recycled one
//   - waddle.plugin.shards, up-down counter of {shard}: shards by
//     waddle.plugin.shard.state: running, resting (no call has needed an
//     instance so far, or it sleeps), backoff (the instance failed and another
//     attempt follows) and closed
//   - waddle.plugin.calls, counter of {call}: calls into the guest by
//     waddle.plugin.operation and waddle.plugin.outcome: ok, not_found (no
//     such record), conflict (another request was faster) and error
//   - waddle.plugin.queue, up-down counter of {call}: calls that wait because others
//     of the plugin run
//   - waddle.plugin.queue.refused, counter of {call}: calls refused because as many waited as
//     may, or this one for as long as it may; waddle.plugin.calls does not count them
//   - waddle.plugin.turns, counter of {call}: how often a call waited for other plugins
//     of the host that had used less
//
// For a guest that is metered, as each is that is not trusted, also:
//
//   - waddle.plugin.fuel, counter of {unit}: fuel that calls used, by
//     waddle.plugin.operation
//   - waddle.plugin.throttled, counter of {call}: operations refused because the
//     guest had used its fuel faster than it may; waddle.plugin.calls does not count them
//
// Which bound a call exceeded, error.type of waddleotel's Store tells.
//
// For a guest that reports what it holds (see [plugin.Counts]), also, as far as it knows:
//
//   - waddle.plugin.records, up-down counter of {record}: stored records
//   - waddle.plugin.records.size, up-down counter of By: the space that they take
//   - waddle.plugin.evictions, counter of {record}: unexpired records removed to
//     make room; these are lost sessions, so raise the limit
//   - waddle.plugin.expirations, counter of {record}: records removed because they
//     had expired
package pluginotel

import (
	"context"
	"errors"

	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/otel/internal/setup"
	"github.com/waddle-sessions/waddle/host/plugin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/waddle-sessions/waddle/host/otel/pluginotel"

const (
	nameKey      = attribute.Key("waddle.plugin.name")
	stateKey     = attribute.Key("waddle.plugin.shard.state")
	operationKey = attribute.Key("waddle.plugin.operation")
	outcomeKey   = attribute.Key("waddle.plugin.outcome")
	limitKey     = attribute.Key("waddle.plugin.limit")
)

// Source is what Observe observes: a [plugin.Plugin] or a substitute.
type Source interface {
	Name() string
	Stats() plugin.Stats
}

var _ Source = (*plugin.Plugin)(nil)

// Observe collects a plugin's figures until the registration is unregistered.
// Unregister it when the plugin is closed. Plugins observed at the same time must
// differ in name or in [waddleotel.WithAttributes]: nothing else tells them apart.
// Observe panics if p is nil.
//
// Errors are those of the meter provider.
func Observe(p Source, options ...waddleotel.Option) (metric.Registration, error) {
	if p == nil {
		panic("pluginotel: Observe needs a plugin")
	}
	config := setup.New(options)
	meter := config.Meter(scope)
	o := &observer{source: p}

	var errs [16]error
	o.memory, errs[0] = meter.Int64ObservableUpDownCounter("waddle.plugin.memory.usage", metric.WithUnit("By"),
		metric.WithDescription("Linear memory that the plugin's instances have taken."))
	o.limit, errs[1] = meter.Int64ObservableUpDownCounter("waddle.plugin.memory.limit", metric.WithUnit("By"),
		metric.WithDescription("Linear memory that the plugin's instances may take."))
	o.restarts, errs[2] = meter.Int64ObservableCounter("waddle.plugin.restarts", metric.WithUnit("{restart}"),
		metric.WithDescription("Instances that replaced another one."))
	o.shards, errs[3] = meter.Int64ObservableUpDownCounter("waddle.plugin.shards", metric.WithUnit("{shard}"),
		metric.WithDescription("Shards of the plugin by their state."))
	o.calls, errs[4] = meter.Int64ObservableCounter("waddle.plugin.calls", metric.WithUnit("{call}"),
		metric.WithDescription("Calls into the plugin."))
	o.records, errs[5] = meter.Int64ObservableUpDownCounter("waddle.plugin.records", metric.WithUnit("{record}"),
		metric.WithDescription("Records that the plugin holds."))
	o.size, errs[6] = meter.Int64ObservableUpDownCounter("waddle.plugin.records.size", metric.WithUnit("By"),
		metric.WithDescription("Space that the plugin's records take."))
	o.evictions, errs[7] = meter.Int64ObservableCounter("waddle.plugin.evictions", metric.WithUnit("{record}"),
		metric.WithDescription("Records removed to make room before they expired."))
	o.expirations, errs[8] = meter.Int64ObservableCounter("waddle.plugin.expirations", metric.WithUnit("{record}"),
		metric.WithDescription("Records removed because they had expired."))
	o.fuel, errs[9] = meter.Int64ObservableCounter("waddle.plugin.fuel", metric.WithUnit("{unit}"),
		metric.WithDescription("Fuel that calls into the plugin used."))
	o.throttled, errs[10] = meter.Int64ObservableCounter("waddle.plugin.throttled", metric.WithUnit("{call}"),
		metric.WithDescription("Operations refused because the plugin had used its fuel faster than it may."))
	o.limits, errs[11] = meter.Int64ObservableCounter("waddle.plugin.limits", metric.WithUnit("{time}"),
		metric.WithDescription("How often the plugin exceeded a limit."))
	o.queue, errs[12] = meter.Int64ObservableUpDownCounter("waddle.plugin.queue", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that wait because others of the plugin run."))
	o.refused, errs[13] = meter.Int64ObservableCounter("waddle.plugin.queue.refused", metric.WithUnit("{call}"),
		metric.WithDescription("Calls refused because too many waited already, or this one for too long."))
	o.turns, errs[14] = meter.Int64ObservableCounter("waddle.plugin.turns", metric.WithUnit("{call}"),
		metric.WithDescription("Waits of calls for other plugins that had used less."))
	o.network, errs[15] = newNetwork(meter)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}

	config.Attributes = config.With(nameKey.String(p.Name()))
	o.whole = attributes(config)
	o.network.name(config)
	o.states = make(map[plugin.State]metric.MeasurementOption)
	for _, state := range []plugin.State{plugin.StateRunning, plugin.StateResting, plugin.StateBackoff, plugin.StateClosed} {
		o.states[state] = attributes(config, stateKey.String(string(state)))
	}
	o.operation = func(name, outcome string) metric.MeasurementOption {
		return attributes(config, operationKey.String(name), outcomeKey.String(outcome))
	}
	o.any = func(name string) metric.MeasurementOption { return attributes(config, operationKey.String(name)) }
	o.exceeded = func(limit plugin.Limit) metric.MeasurementOption {
		return attributes(config, limitKey.String(string(limit)))
	}
	return meter.RegisterCallback(o.observe, o.memory, o.limit, o.restarts, o.shards, o.calls,
		o.records, o.size, o.evictions, o.expirations, o.fuel, o.throttled, o.limits,
		o.queue, o.refused, o.turns, o.network.connections, o.network.dials, o.network.io)
}

type observer struct {
	source          Source
	memory, limit   metric.Int64ObservableUpDownCounter
	restarts, calls metric.Int64ObservableCounter
	shards          metric.Int64ObservableUpDownCounter

	records, size          metric.Int64ObservableUpDownCounter
	evictions, expirations metric.Int64ObservableCounter
	fuel, throttled        metric.Int64ObservableCounter
	limits                 metric.Int64ObservableCounter
	queue                  metric.Int64ObservableUpDownCounter
	refused, turns         metric.Int64ObservableCounter
	network                network

	whole     metric.MeasurementOption
	states    map[plugin.State]metric.MeasurementOption
	operation func(name, outcome string) metric.MeasurementOption
	any       func(name string) metric.MeasurementOption // of any outcome
	exceeded  func(limit plugin.Limit) metric.MeasurementOption
}

func (o *observer) observe(_ context.Context, to metric.Observer) error {
	stats := o.source.Stats()
	to.ObserveInt64(o.memory, stats.Memory, o.whole)
	to.ObserveInt64(o.limit, stats.MemoryLimit, o.whole)
	to.ObserveInt64(o.restarts, int64(stats.Restarts), o.whole)
	if c := stats.Counts; c.Told {
		if c.Records >= 0 {
			to.ObserveInt64(o.records, c.Records, o.whole)
		}
		if c.Bytes >= 0 {
			to.ObserveInt64(o.size, c.Bytes, o.whole)
		}
		to.ObserveInt64(o.evictions, int64(c.Evicted), o.whole)
		to.ObserveInt64(o.expirations, int64(c.Expired), o.whole)
	}
	to.ObserveInt64(o.queue, int64(stats.Queue.Waiting), o.whole)
	to.ObserveInt64(o.refused, int64(stats.Queue.Full+stats.Queue.Late), o.whole)
	to.ObserveInt64(o.turns, int64(stats.Queue.Turns), o.whole)
	o.network.observe(to, stats.Network)
	count := make(map[plugin.State]int64, len(o.states))
	for i := range stats.Shards {
		count[stats.Shards[i].State]++
	}
	// Report a state even if no shard is in it: an alarm needs a figure, not a
	// missing one.
	for state, with := range o.states {
		to.ObserveInt64(o.shards, count[state], with)
	}
	for limit, n := range stats.Limits {
		to.ObserveInt64(o.limits, int64(n), o.exceeded(limit))
	}
	metered := stats.Fuel > 0
	if metered {
		to.ObserveInt64(o.throttled, int64(stats.Throttled), o.whole)
	}
	for name, op := range stats.Ops {
		if metered {
			to.ObserveInt64(o.fuel, int64(op.Fuel), o.any(name))
		}
		to.ObserveInt64(o.calls, int64(op.Calls-op.NotFound-op.Conflicts-op.Errors), o.operation(name, "ok"))
		to.ObserveInt64(o.calls, int64(op.NotFound), o.operation(name, "not_found"))
		to.ObserveInt64(o.calls, int64(op.Conflicts), o.operation(name, "conflict"))
		to.ObserveInt64(o.calls, int64(op.Errors), o.operation(name, "error"))
	}
	return nil
}

func attributes(config *setup.Config, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(config.Set(more...))
}
