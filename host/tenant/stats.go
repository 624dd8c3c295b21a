package tenant

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// Stats is the state of a tenant, with counts since it was first deployed.
type Stats struct {
	Name  string
	State State
	// Reason says why, for StateBackoff and StateDown. RetryAfter is how long the pause
	// of StateBackoff lasts.
	Reason     string
	RetryAfter time.Duration

	Requests uint64 // that reached a handler
	Running  int64  // of them, those that have not ended

	Calls   map[string]uint64 // of the store, by operation
	Errors  map[string]uint64 // by kind; that a record is not there, or was changed meanwhile, is none
	Latency Latency           // of the store's operations, with the time that they waited for their turn

	Fuel      uint64 // that the plugin's calls have used
	Throttled uint64 // operations beyond the rate of fuel
	// Limits counts how often each limit was exceeded. What was never exceeded is not in it.
	Limits   map[plugin.Limit]uint64
	Restarts uint64 // of the plugin's instances, because they failed or slept
	Memory   int64  // bytes that its instances take now
	Records  int64  // as the guest tells, -1 if it does not

	// Shared says that the plugin takes turns with others of its module on a few
	// instances, and NotShared why it does not.
	Shared    bool
	NotShared string

	Deployed     time.Time     // last
	Deploys      uint64        // that succeeded and changed something
	Failures     uint64        // deploys that failed
	LastFailure  error         // of the last deploy, nil if it succeeded
	Replacements uint64        // of the plugin
	LastPause    time.Duration // in which writes waited for the last replacement

	Plugin plugin.Stats // of the plugin that runs now
}

// Stats returns the state of the tenant. It does not wait for a running call. If the guest
// exports session_stats and is awake, Stats makes one short call of each shard.
func (t *Tenant) Stats() Stats {
	e := t.store.now.Load()
	s := Stats{Name: t.name, State: StateServing, Requests: t.served.Load(), Running: t.requests.inside(),
		Calls: make(map[string]uint64), Errors: make(map[string]uint64), Latency: t.store.counts.took.read(), Limits: make(map[plugin.Limit]uint64), Records: -1}
	for i, name := range opNames {
		s.Calls[name] = t.store.counts.calls[i].Load()
	}
	for i := range errorKinds {
		if n := t.store.counts.errors[i].Load(); n > 0 {
			s.Errors[errorKinds[i].name] = n
		}
	}
	t.mu.Lock()
	r := t.record
	t.mu.Unlock()
	s.Deployed, s.Deploys, s.Failures, s.LastFailure = r.deployed, r.deploys, r.failures, r.failure
	s.Replacements, s.LastPause = r.replacements, r.pause
	s.Fuel, s.Throttled, s.Restarts = r.before.Fuel, r.before.Throttled, r.before.Restarts
	maps.Copy(s.Limits, r.limits)
	if e.down != nil {
		s.State, s.Reason = StateDown, e.down.Error()
		return s
	}
	s.Plugin = e.plugin.Stats()
	s.Fuel += s.Plugin.Fuel
	s.Throttled += s.Plugin.Throttled
	s.Restarts += s.Plugin.Restarts
	s.Memory = s.Plugin.Memory
	info := e.plugin.Info()
	s.Shared, s.NotShared = info.Shared, info.NotShared
	for limit, n := range s.Plugin.Limits {
		s.Limits[limit] += n
	}
	if s.Plugin.Counts.Told {
		s.Records = s.Plugin.Counts.Records
	}
	switch {
	case s.Plugin.Backoff > 0:
		s.State = StateBackoff
		for _, shard := range s.Plugin.Shards {
			if shard.State == plugin.StateBackoff && shard.RetryAfter >= s.RetryAfter {
				s.Reason, s.RetryAfter = shard.LastError, shard.RetryAfter
			}
		}
	case e.plugin.Resting():
		s.State = StateAsleep
	}
	return s
}

// account adds up what a plugin has counted that ends.
func (t *Tenant) account(p *plugin.Plugin) {
	ended := p.Stats()
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := &t.record.before
	sum.Fuel += ended.Fuel
	sum.Throttled += ended.Throttled
	sum.Restarts += ended.Restarts
	limits := maps.Clone(t.record.limits) // others may read it
	if limits == nil {
		limits = make(map[plugin.Limit]uint64)
	}
	for limit, n := range ended.Limits {
		limits[limit] += n
	}
	t.record.limits = limits
}

// paused notes a replacement of the plugin, and how long operations waited for it.
func (t *Tenant) paused(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record.replacements++
	t.record.pause = d
}

// HostStats is the state of a host.
type HostStats struct {
	Tenants    int
	MaxTenants int           // less than 0 for no bound
	States     map[State]int // tenants by state, with those that are being deployed or failed to
	Modules    int           // that are compiled or being compiled
	Failed     []Failure     // first deploys that failed, until another one, or a removal, of the name
	Deploying  []Deploying
	Plugins    plugin.HostStats
}

// Deploying is a deploy that runs.
type Deploying struct {
	Tenant string
	Stage  Stage
	Since  time.Time
	First  bool // there is no such tenant so far
}

// Stats returns the host's state. It asks no guest.
func (h *Host) Stats() HostStats {
	s := HostStats{MaxTenants: h.most, States: make(map[State]int), Modules: h.modules.count(), Plugins: h.plugins.Stats()}
	for _, t := range h.Tenants() {
		s.Tenants++
		s.States[t.state()]++
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.pending {
		_, there := h.Tenant(name)
		s.Deploying = append(s.Deploying, Deploying{name, p.stage, p.since, !there})
		switch {
		case there:
		case p.stage == StageModule:
			s.States[StateCompiling]++
		default:
			s.States[StateDeploying]++
		}
	}
	for _, f := range h.failed {
		s.Failed = append(s.Failed, f)
		s.States[StateFailed]++
	}
	slices.SortFunc(s.Failed, func(a, b Failure) int { return strings.Compare(a.Tenant, b.Tenant) })
	slices.SortFunc(s.Deploying, func(a, b Deploying) int { return strings.Compare(a.Tenant, b.Tenant) })
	return s
}

// state returns how the tenant is, as far as can be told without asking its guest.
func (t *Tenant) state() State {
	e := t.store.now.Load()
	switch {
	case e.down != nil:
		return StateDown
	case t.seen.Load() == seenBackoff:
		return StateBackoff
	case e.plugin.Resting():
		return StateAsleep
	}
	return StateServing
}

// Failure returns why the last deploy of a name failed, nil if it did not.
func (h *Host) Failure(name string) error {
	if t, ok := h.Tenant(name); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.record.failure
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, ok := h.failed[name]; ok {
		return f.Err
	}
	return nil
}
