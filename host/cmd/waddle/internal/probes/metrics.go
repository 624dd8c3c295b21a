package probes

import (
	"io"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// metrics writes families one after the other.
type metrics struct{ promtext.Writer }

// WriteMetrics writes the figures in the text format of Prometheus.
func (p *Probes) WriteMetrics(w io.Writer) error {
	m := metrics{promtext.NewWriter(w)}
	m.Family("waddle_uptime_seconds", promtext.Gauge, "How long the process has watched its storage.")
	m.Seconds("waddle_uptime_seconds", nil, time.Since(p.began).Truncate(time.Millisecond))
	m.one("waddle_goroutines", promtext.Gauge, "Goroutines of the process.", uint64(runtime.NumGoroutine()))
	m.one("waddle_stopping", promtext.Gauge, "1 once the server was told to stop.", oneIf(p.ending.Load()))
	m.requests(p.requests.all())
	const name = "waddle_session_events_total"
	m.Family(name, promtext.Counter, "What happened to sessions.")
	for i := range p.events {
		if i > 0 {
			m.Sample(name, promtext.Labels{"kind", session.EventKind(i).String()}, p.events[i].Load())
		}
	}
	m.store(p.watched)
	if p.plugin != nil {
		m.plugin(p.plugin.Stats())
	}
	return m.Flush()
}

func oneIf(yes bool) uint64 {
	if yes {
		return 1
	}
	return 0
}

func (m metrics) one(name, kind, help string, value uint64) {
	m.Family(name, kind, help)
	m.Sample(name, nil, value)
}

func (m metrics) requests(routes []*route) {
	if len(routes) == 0 {
		return
	}
	classes := [...]string{"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"}
	labels := func(r *route) promtext.Labels {
		if r.name == "" {
			return nil
		}
		return promtext.Labels{"route", r.name}
	}
	const total, running, took = "waddle_requests_total", "waddle_requests_running", "waddle_request_duration_seconds"
	m.Family(total, promtext.Counter, "HTTP requests, by the class of their answer's status.")
	for _, r := range routes {
		for class, name := range classes {
			m.Sample(total, append(labels(r), "status", name), r.classes[class].Load())
		}
	}
	m.Family(running, promtext.Gauge, "HTTP requests that are being answered.")
	for _, r := range routes {
		m.Sample(running, labels(r), uint64(max(r.running.Load(), 0)))
	}
	m.Family(took, promtext.Histogram, "How long HTTP requests took.")
	for _, r := range routes {
		r.took.Write(m.Writer, took, labels(r))
	}
}

func (m metrics) store(w *watched) {
	const total, took = "waddle_store_operations_total", "waddle_store_operation_duration_seconds"
	m.Family(total, promtext.Counter, "Operations of the storage for sessions, by how they ended.")
	for i, op := range watchedOps {
		for o, outcome := range outcomeNames {
			m.Sample(total, promtext.Labels{"operation", string(op), "outcome", outcome}, w.ops[i].outcomes[o].Load())
		}
	}
	m.Family(took, promtext.Histogram, "How long operations of the storage for sessions took.")
	for i, op := range watchedOps {
		w.ops[i].took.Write(m.Writer, took, promtext.Labels{"operation", string(op)})
	}
}

func (m metrics) plugin(s plugin.Stats) {
	const instances, calls, failed, limits = "waddle_plugin_instances", "waddle_plugin_calls_total", "waddle_plugin_errors_total", "waddle_plugin_limits_total"
	m.Family(instances, promtext.Gauge, "Instances of the plugin, by state.")
	states := map[plugin.State]uint64{plugin.StateRunning: 0, plugin.StateBackoff: 0, plugin.StateResting: 0, plugin.StateClosed: 0}
	for _, shard := range s.Shards {
		states[shard.State]++
	}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		m.Sample(instances, promtext.Labels{"state", string(state)}, states[state])
	}
	m.Family(calls, promtext.Counter, "Calls of the plugin, those of background work included.")
	ops := slices.Sorted(maps.Keys(s.Ops))
	for _, op := range ops {
		m.Sample(calls, promtext.Labels{"operation", op}, s.Ops[op].Calls)
	}
	m.Family(failed, promtext.Counter, "Calls of the plugin that failed.")
	for _, op := range ops {
		m.Sample(failed, promtext.Labels{"operation", op}, s.Ops[op].Errors)
	}
	m.one("waddle_plugin_memory_bytes", promtext.Gauge, "Memory of the plugin's instances.", uint64(max(s.Memory, 0)))
	m.one("waddle_plugin_memory_limit_bytes", promtext.Gauge, "Memory that the plugin's instances may take.", uint64(max(s.MemoryLimit, 0)))
	m.one("waddle_plugin_restarts_total", promtext.Counter, "Instances of the plugin after the first ones.", s.Restarts)
	m.one("waddle_plugin_fuel_total", promtext.Counter, "Fuel that the plugin's calls used; none if it is trusted.", s.Fuel)
	m.one("waddle_plugin_throttled_total", promtext.Counter, "Operations that were refused because the plugin had used up its fuel.", s.Throttled)
	m.one("waddle_plugin_waiting", promtext.Gauge, "Operations that wait for an instance.", uint64(max(s.Queue.Waiting, 0)))
	m.Family("waddle_plugin_busy_total", promtext.Counter, "Operations that were refused because too many waited, or that waited too long.")
	m.Sample("waddle_plugin_busy_total", promtext.Labels{"reason", "full"}, s.Queue.Full)
	m.Sample("waddle_plugin_busy_total", promtext.Labels{"reason", "late"}, s.Queue.Late)
	m.Family(limits, promtext.Counter, "How often a limit of the plugin was exceeded.")
	for _, l := range plugin.AllLimits() {
		m.Sample(limits, promtext.Labels{"limit", string(l)}, s.Limits[l])
	}
	m.counts(s.Counts)
	if n := s.Network; n.Granted {
		m.one("waddle_plugin_connections", promtext.Gauge, "Connections of the plugin to its server.", uint64(max(n.Connections, 0)))
		m.one("waddle_plugin_dials_total", promtext.Counter, "Connections that the plugin began.", n.Dials)
		m.one("waddle_plugin_dials_failed_total", promtext.Counter, "Connections of the plugin that were not made.", n.Failed)
		m.one("waddle_plugin_connections_lost_total", promtext.Counter, "Connections of the plugin that were cut.", n.Lost)
	}
}

// counts are what the plugin itself tells, if it does.
func (m metrics) counts(c plugin.Counts) {
	if !c.Told {
		return
	}
	if c.Records >= 0 {
		m.one("waddle_plugin_records", promtext.Gauge, "Records that the plugin holds.", uint64(c.Records))
	}
	if c.Bytes >= 0 {
		m.one("waddle_plugin_record_bytes", promtext.Gauge, "Space that the plugin's records take.", uint64(c.Bytes))
	}
	m.one("waddle_plugin_evicted_total", promtext.Counter, "Records that the plugin dropped for lack of room.", c.Evicted)
	m.one("waddle_plugin_expired_total", promtext.Counter, "Records that the plugin dropped because they had expired.", c.Expired)
}
