package tenant

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Tenant is a customer of the process: a storage plugin, and the sessions in it. It stays
// the same through all deploys of its name, until it is removed.
//
// A Tenant may be used by many goroutines at once.
type Tenant struct {
	name string
	host *Host

	plan     atomic.Pointer[plan]
	front    atomic.Pointer[front]
	store    swap
	requests *gate
	served   atomic.Uint64
	seen     atomic.Int32 // the state that was last reported, one of seenServing and so on

	mu     sync.Mutex
	record record
}

// record is what happened to a tenant so far.
type record struct {
	deployed     time.Time     // last
	deploys      uint64        // that succeeded, the first one included
	failures     uint64        // deploys that failed
	failure      error         // of the last deploy, nil if it succeeded
	pause        time.Duration // in which writes waited for the last replacement
	replacements uint64        // of the plugin
	before       plugin.Stats  // sums of plugins that ended
	limits       map[plugin.Limit]uint64
}

// Name returns the tenant's name.
func (t *Tenant) Name() string { return t.name }

// Manifest returns the manifest in force. It is shared and must not be changed.
func (t *Tenant) Manifest() Manifest { return t.plan.Load().manifest }

// Manager returns the tenant's session manager. A deploy that changes session settings
// makes another one; what has begun with the previous one ends with it.
func (t *Tenant) Manager() *session.Manager { return t.front.Load().manager }

// Store returns the tenant's store. It stays the same when the plugin is replaced, and
// is [store.ErrClosed] when the tenant was removed.
func (t *Tenant) Store() store.Store { return &t.store }

// Sleep puts the tenant's plugin to sleep, as [plugin.Plugin.Sleep] does. The next
// operation wakes it.
func (t *Tenant) Sleep(ctx context.Context) error {
	e, err := t.store.read(ctx)
	if err != nil {
		return err
	}
	defer e.reads.leave()
	if err := e.plugin.Sleep(ctx); err != nil {
		return err
	}
	t.observe(StateAsleep, nil)
	return nil
}
