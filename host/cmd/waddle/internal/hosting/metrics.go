package hosting

import (
	"io"
	"maps"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// buckets are the bounds of the histogram, some of those that a [tenant.Latency] has: with
// ten thousand tenants, each is ten thousand series.
var buckets = []int{6, 8, 10, 12, 14, 16, 18, 20} // 64 µs to 1 s, each four times the one before

// metrics writes families of all tenants.
type metrics struct{ promtext.Writer }

// writeMetrics writes a snapshot in the text format of Prometheus.
func writeMetrics(w io.Writer, s *Snapshot) error {
	m := metrics{promtext.NewWriter(w)}
	m.Family("waddle_tenants", "gauge", "Tenants by state.")
	for _, state := range slices.Sorted(maps.Keys(s.States)) {
		m.Sample("waddle_tenants", promtext.Labels{"state", string(state)}, uint64(s.States[state]))
	}
	if s.MaxTenants >= 0 {
		m.Family("waddle_tenants_max", "gauge", "How many tenants there may be.")
		m.Sample("waddle_tenants_max", nil, uint64(s.MaxTenants))
	}
	m.Family("waddle_modules", "gauge", "Modules that are compiled: tenants with equal plugins share one.")
	m.Sample("waddle_modules", nil, uint64(s.Modules))
	m.Family("waddle_manifest_problems", "gauge", "Manifests that were not deployed as they are now.")
	m.Sample("waddle_manifest_problems", nil, uint64(len(s.Problems)))
	m.Family("waddle_admin_refused_total", "counter", "Requests of the admin interface that did not have the token.")
	m.Sample("waddle_admin_refused_total", nil, s.Refused)

	m.each(s, "waddle_tenant_requests_total", "counter", "HTTP requests that reached a handler.", func(v *View) uint64 { return v.Requests })
	m.by(s, "waddle_tenant_calls_total", "Operations of the tenant's store.", "operation", func(v *View) map[string]uint64 { return v.Calls })
	m.by(s, "waddle_tenant_errors_total", "Operations that failed.", "kind", func(v *View) map[string]uint64 { return v.Errors })
	m.by(s, "waddle_tenant_limits_total", "How often a limit was hit.", "limit", func(v *View) map[string]uint64 { return v.Limits })
	m.each(s, "waddle_tenant_fuel_total", "counter", "Fuel that the plugin's calls used.", func(v *View) uint64 { return v.Fuel })
	m.each(s, "waddle_tenant_restarts_total", "counter", "Instances of the plugin after the first one.", func(v *View) uint64 { return v.Restarts })
	m.each(s, "waddle_tenant_deploys_total", "counter", "Deploys that changed something.", func(v *View) uint64 { return v.Deploys })
	m.each(s, "waddle_tenant_deploy_failures_total", "counter", "Deploys that failed.", func(v *View) uint64 { return v.Failures })
	m.each(s, "waddle_tenant_memory_bytes", "gauge", "Memory of the plugin's instances.", func(v *View) uint64 { return uint64(max(v.Memory, 0)) })
	m.Family("waddle_tenant_records", "gauge", "Records that the plugin holds, of those that tell.")
	for i := range s.Tenants {
		if v := &s.Tenants[i]; v.Records >= 0 {
			m.Sample("waddle_tenant_records", promtext.Labels{"tenant", v.Name}, uint64(v.Records))
		}
	}
	m.Family("waddle_tenant_state", "gauge", "1 for the state that the tenant is in.")
	for i := range s.Tenants {
		v := &s.Tenants[i]
		m.Sample("waddle_tenant_state", promtext.Labels{"tenant", v.Name, "state", string(v.State)}, 1)
	}
	m.durations(s)
	return m.Flush()
}

// durations writes how long operations took.
func (m metrics) durations(s *Snapshot) {
	const name = "waddle_tenant_call_duration_seconds"
	m.Family(name, "histogram", "How long operations of the tenant's store took.")
	for i := range s.Tenants {
		v := &s.Tenants[i]
		bounds := make([]time.Duration, len(buckets))
		for i, b := range buckets {
			bounds[i] = v.latency.Bound(b)
		}
		m.Buckets(name, promtext.Labels{"tenant", v.Name}, bounds, func(i int) uint64 { return below(&v.latency, buckets[i]) }, v.latency.Count, v.latency.Sum)
	}
}

// below counts what lies in a bucket and in those before it.
func below(l *tenant.Latency, bucket int) (n uint64) {
	for _, c := range l.Buckets[:bucket+1] {
		n += c
	}
	return n
}

func (m metrics) each(s *Snapshot, name, kind, help string, value func(*View) uint64) {
	m.Family(name, kind, help)
	for i := range s.Tenants {
		m.Sample(name, promtext.Labels{"tenant", s.Tenants[i].Name}, value(&s.Tenants[i]))
	}
}

func (m metrics) by(s *Snapshot, name, help, label string, values func(*View) map[string]uint64) {
	m.Family(name, "counter", help)
	for i := range s.Tenants {
		v := &s.Tenants[i]
		all := values(v)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			m.Sample(name, promtext.Labels{"tenant", v.Name, label, key}, all[key])
		}
	}
}
