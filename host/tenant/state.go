package tenant

import (
	"context"
	"errors"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// State is how a tenant is, as operators read it.
type State string

// The states of a tenant.
const (
	StateServing   State = "serving"
	StateAsleep    State = "asleep"    // the next request wakes it
	StateBackoff   State = "backoff"   // its plugin failed, and is started again after a pause
	StateDown      State = "down"      // it has no plugin that runs; opening one is tried again and again
	StateCompiling State = "compiling" // its first deploy waits for its module
	StateDeploying State = "deploying" // its first deploy goes on
	StateFailed    State = "failed"    // its first deploy failed
)

// The states that are reported as events when they change.
const (
	seenServing int32 = iota
	seenAsleep
	seenBackoff
)

// observe reports a state, if it is another one than before.
func (t *Tenant) observe(state State, err error) {
	now, kind := seenServing, EventAwake
	switch state {
	case StateAsleep:
		now, kind = seenAsleep, EventAsleep
	case StateBackoff:
		now, kind = seenBackoff, EventBackoff
	}
	before := t.seen.Swap(now)
	if before != now && (now != seenServing || before == seenAsleep) {
		t.host.event(kind, t.name, err)
	}
}

// failed reports what an error of the plugin says about it.
func (t *Tenant) failed(err error) {
	var e *plugin.Error
	if !errors.As(err, &e) || e.Kind == nil {
		return
	}
	switch {
	case errors.Is(e.Kind, plugin.ErrBackoff):
		t.observe(StateBackoff, err)
	case errors.Is(e.Kind, plugin.ErrRate):
	default:
		t.host.event(EventCrashed, t.name, err)
	}
}

// watchInterval is how often the host looks which tenants have fallen asleep.
const watchInterval = time.Second

// watch reports tenants that have fallen asleep, until Close.
func (h *Host) watch() {
	every := time.NewTicker(watchInterval)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-h.ctx.Done():
			return
		}
		h.byName.Range(func(_, value any) bool {
			t := value.(*Tenant)
			if e := t.store.now.Load(); e.down == nil && t.seen.Load() == seenServing && e.plugin.Resting() {
				t.observe(StateAsleep, nil)
			}
			return true
		})
	}
}

// pending is a name's deploy that runs.
type pending struct {
	stage Stage
	since time.Time
}

// Failure is a first deploy that failed.
type Failure struct {
	Tenant string
	Time   time.Time
	Err    error
}

// maxFailures bounds how many failed deploys a host remembers.
const maxFailures = 1000

// begins, stage and ends keep track of deploys.
func (h *Host) begins(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending[name] = &pending{StageManifest, time.Now()}
}

func (h *Host) stage(name string, stage Stage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending[name].stage = stage
}

func (h *Host) ends(name string, failed *DeployError) {
	_, there := h.Tenant(name)
	h.mu.Lock()
	delete(h.pending, name)
	delete(h.failed, name)
	first := failed != nil && !there && !errors.Is(failed, context.Canceled)
	if first && len(h.failed) < maxFailures {
		h.failed[name] = Failure{name, time.Now(), failed}
	}
	h.mu.Unlock()
	if first {
		h.event(EventFailed, name, failed)
	}
}
