package hosting

import (
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// View is a tenant as the operator sees it. Counts are since it was first deployed.
type View struct {
	Name   string   `json:"name"`
	Hosts  []string `json:"hosts,omitempty"`
	Plugin string   `json:"plugin"` // the bundled engine, or the file

	State  tenant.State `json:"state"`
	Reason string       `json:"reason,omitempty"` // of the state

	Requests uint64            `json:"requests"`
	Calls    map[string]uint64 `json:"calls"`  // by operation
	Errors   map[string]uint64 `json:"errors"` // by kind
	Limits   map[string]uint64 `json:"limits"` // by the limit that was hit

	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`

	Fuel     uint64 `json:"fuel"`
	Memory   int64  `json:"memory"`
	Records  int64  `json:"records"` // -1 if the plugin does not tell
	Restarts uint64 `json:"restarts"`

	Deployed time.Time `json:"deployed"` // last
	Deploys  uint64    `json:"deploys"`
	Failures uint64    `json:"failures"`          // deploys that failed
	Failure  string    `json:"failure,omitempty"` // of the last deploy

	latency tenant.Latency
}

// Snapshot is everything that the operator sees, at one moment.
type Snapshot struct {
	Time       time.Time            `json:"time"`
	Tenants    []View               `json:"tenants"` // by name
	Problems   []Problem            `json:"problems"`
	Deploying  []string             `json:"deploying"` // tenants, not there yet or with another plugin
	States     map[tenant.State]int `json:"states"`
	MaxTenants int                  `json:"max_tenants"` // less than 0 for no bound
	Modules    int                  `json:"modules"`
	Refused    uint64               `json:"refused"` // requests of the admin interface without the token
}

// Host is the part of a [tenant.Host] that is shown.
type Host interface {
	Tenants() []*tenant.Tenant
	Tenant(name string) (*tenant.Tenant, bool)
	Stats() tenant.HostStats
}

// snapshotAge is how old a snapshot may be. Asking ten thousand tenants takes some
// milliseconds, and many may look at a page.
const snapshotAge = time.Second

// snapshots makes snapshots, and keeps the last one for a moment.
type snapshots struct {
	host      Host
	directory *Directory
	refused   func() uint64
	now       func() time.Time

	mu   sync.Mutex
	last *Snapshot
}

func (s *snapshots) take() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.last != nil && now.Sub(s.last.Time) < snapshotAge {
		return s.last
	}
	stats := s.host.Stats()
	all := s.host.Tenants()
	out := &Snapshot{Time: now, Tenants: make([]View, 0, len(all)), Problems: s.directory.Problems(), Deploying: []string{},
		States: stats.States, MaxTenants: stats.MaxTenants, Modules: stats.Modules, Refused: s.refused()}
	for _, d := range stats.Deploying {
		out.Deploying = append(out.Deploying, d.Tenant)
	}
	for _, t := range all {
		out.Tenants = append(out.Tenants, viewOf(t))
	}
	s.last = out
	return out
}

// forget makes the next snapshot a new one, after a change that its reader has made.
func (s *snapshots) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = nil
}

func viewOf(t *tenant.Tenant) View {
	m, s := t.Manifest(), t.Stats()
	v := View{
		Name: t.Name(), Hosts: m.Hosts, Plugin: pluginOf(m.Plugin), State: s.State, Reason: s.Reason,
		Requests: s.Requests, Calls: s.Calls, Errors: s.Errors, Limits: limitsOf(s),
		P50: s.Latency.Quantile(0.5), P99: s.Latency.Quantile(0.99),
		Fuel: s.Fuel, Memory: s.Memory, Records: s.Records, Restarts: s.Restarts,
		Deployed: s.Deployed, Deploys: s.Deploys, Failures: s.Failures, latency: s.Latency,
	}
	if s.LastFailure != nil {
		v.Failure = s.LastFailure.Error()
	}
	return v
}

func pluginOf(s tenant.Source) string {
	switch {
	case s.Bundled != "":
		return s.Bundled
	case s.File != "":
		return s.File
	}
	return "bytes in the manifest"
}

func limitsOf(s tenant.Stats) map[string]uint64 {
	hit := make(map[string]uint64, len(s.Limits))
	for limit, n := range s.Limits {
		hit[string(limit)] = n
	}
	return hit
}

func total(by map[string]uint64) (sum uint64) {
	for _, n := range by {
		sum += n
	}
	return sum
}
