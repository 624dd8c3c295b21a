package hosting

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// metricsType is the content type of the text format of Prometheus, whose version it is.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// buckets are the bounds of the histogram, some of those that a [tenant.Latency] has: with
// ten thousand tenants, each is ten thousand series.
var buckets = []int{6, 8, 10, 12, 14, 16, 18, 20} // 64 µs to 1 s, each four times the one before

// metrics writes families one after the other, as the format demands.
type metrics struct{ *bufio.Writer }

// writeMetrics writes a snapshot in the text format of Prometheus.
func writeMetrics(w io.Writer, s *Snapshot) error {
	m := metrics{bufio.NewWriter(w)}
	m.family("waddle_tenants", "gauge", "Tenants by state.")
	for _, state := range slices.Sorted(maps.Keys(s.States)) {
		m.sample("waddle_tenants", labels{"state", string(state)}, uint64(s.States[state]))
	}
	if s.MaxTenants >= 0 {
		m.family("waddle_tenants_max", "gauge", "How many tenants there may be.")
		m.sample("waddle_tenants_max", nil, uint64(s.MaxTenants))
	}
	m.family("waddle_modules", "gauge", "Modules that are compiled: tenants with equal plugins share one.")
	m.sample("waddle_modules", nil, uint64(s.Modules))
	m.family("waddle_manifest_problems", "gauge", "Manifests that were not deployed as they are now.")
	m.sample("waddle_manifest_problems", nil, uint64(len(s.Problems)))
	m.family("waddle_admin_refused_total", "counter", "Requests of the admin interface that did not have the token.")
	m.sample("waddle_admin_refused_total", nil, s.Refused)

	m.each(s, "waddle_tenant_requests_total", "counter", "HTTP requests that reached a handler.", func(v *View) uint64 { return v.Requests })
	m.by(s, "waddle_tenant_calls_total", "Operations of the tenant's store.", "operation", func(v *View) map[string]uint64 { return v.Calls })
	m.by(s, "waddle_tenant_errors_total", "Operations that failed.", "kind", func(v *View) map[string]uint64 { return v.Errors })
	m.by(s, "waddle_tenant_limits_total", "How often a limit was hit.", "limit", func(v *View) map[string]uint64 { return v.Limits })
	m.each(s, "waddle_tenant_fuel_total", "counter", "Fuel that the plugin's calls used.", func(v *View) uint64 { return v.Fuel })
	m.each(s, "waddle_tenant_restarts_total", "counter", "Instances of the plugin after the first one.", func(v *View) uint64 { return v.Restarts })
	m.each(s, "waddle_tenant_deploys_total", "counter", "Deploys that changed something.", func(v *View) uint64 { return v.Deploys })
	m.each(s, "waddle_tenant_deploy_failures_total", "counter", "Deploys that failed.", func(v *View) uint64 { return v.Failures })
	m.each(s, "waddle_tenant_memory_bytes", "gauge", "Memory of the plugin's instances.", func(v *View) uint64 { return uint64(max(v.Memory, 0)) })
	m.family("waddle_tenant_records", "gauge", "Records that the plugin holds, of those that tell.")
	for i := range s.Tenants {
		if v := &s.Tenants[i]; v.Records >= 0 {
			m.sample("waddle_tenant_records", labels{"tenant", v.Name}, uint64(v.Records))
		}
	}
	m.family("waddle_tenant_state", "gauge", "1 for the state that the tenant is in.")
	for i := range s.Tenants {
		v := &s.Tenants[i]
		m.sample("waddle_tenant_state", labels{"tenant", v.Name, "state", string(v.State)}, 1)
	}
	m.durations(s)
	return m.Flush()
}

// durations writes how long operations took.
func (m metrics) durations(s *Snapshot) {
	const name = "waddle_tenant_call_duration_seconds"
	m.family(name, "histogram", "How long operations of the tenant's store took.")
	for i := range s.Tenants {
		v := &s.Tenants[i]
		for _, b := range buckets {
			m.sample(name+"_bucket", labels{"tenant", v.Name, "le", seconds(v.latency.Bound(b))}, below(&v.latency, b))
		}
		m.sample(name+"_bucket", labels{"tenant", v.Name, "le", "+Inf"}, v.latency.Count)
		m.line(name+"_sum", labels{"tenant", v.Name}, seconds(v.latency.Sum))
		m.sample(name+"_count", labels{"tenant", v.Name}, v.latency.Count)
	}
}

// below counts what lies in a bucket and in those before it.
func below(l *tenant.Latency, bucket int) (n uint64) {
	for _, c := range l.Buckets[:bucket+1] {
		n += c
	}
	return n
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'g', -1, 64) }

func (m metrics) each(s *Snapshot, name, kind, help string, value func(*View) uint64) {
	m.family(name, kind, help)
	for i := range s.Tenants {
		m.sample(name, labels{"tenant", s.Tenants[i].Name}, value(&s.Tenants[i]))
	}
}

func (m metrics) by(s *Snapshot, name, help, label string, values func(*View) map[string]uint64) {
	m.family(name, "counter", help)
	for i := range s.Tenants {
		v := &s.Tenants[i]
		all := values(v)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			m.sample(name, labels{"tenant", v.Name, label, key}, all[key])
		}
	}
}

func (m metrics) family(name, kind, help string) {
	m.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

// labels are names and values in turn.
type labels []string

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func (m metrics) sample(name string, l labels, value uint64) {
	m.line(name, l, strconv.FormatUint(value, 10))
}

func (m metrics) line(name string, l labels, value string) {
	m.WriteString(name)
	for i := 0; i < len(l); i += 2 {
		m.WriteString([]string{"{", ","}[min(i, 1)])
		m.WriteString(l[i] + `="` + labelEscapes.Replace(l[i+1]) + `"`)
	}
	if len(l) > 0 {
		m.WriteByte('}')
	}
	m.WriteString(" " + value + "\n")
}
