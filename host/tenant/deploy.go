package tenant

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// Deploy makes a tenant of a manifest, or changes the tenant that has its name to what the
// manifest says, while requests are served. If it fails it returns a [*DeployError], and a
// tenant that was there goes on as before.
//
// A manifest that says the same as the one in force changes nothing. What counts is the
// content of the plugin's file, not its name or time. If only names of hosts or settings of
// sessions differ, the plugin stays: requests that have begun end with the settings that
// they began with. A manifest that refers to a keyring has it read again.
//
// Otherwise the plugin is replaced. The new one is opened and tried with a record before
// any request reaches it. Then it gets the sessions:
//
//   - If the new plugin has a directory of the old one, the old one saves and closes while
//     operations wait, and the new one opens.
//   - Otherwise they are copied while requests go on, and writes wait only while what was
//     written meanwhile follows. The old plugin's guest must export session_snapshot.
//   - If both keep their records elsewhere, there is nothing to move.
//   - Any other is refused with [ErrWouldLose], unless the manifest says that losing the
//     sessions is fine.
//
// A context that ends stops a deploy as long as it has not succeeded.
func (h *Host) Deploy(ctx context.Context, m Manifest) (*Tenant, error) {
	if err := h.enter(); err != nil {
		return nil, err
	}
	defer h.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	back, err := h.turns.take(ctx, m.Name)
	if err != nil {
		return nil, h.whyEnded(&DeployError{Tenant: m.Name, Stage: StageManifest, Err: err})
	}
	defer back()
	h.begins(m.Name)
	t, failed := h.deploy(ctx, m)
	h.ends(m.Name, failed)
	if failed != nil {
		return nil, h.whyEnded(failed)
	}
	return t, nil
}

// whyEnded returns a failure with ErrClosed in place of what ended the deploy when the host
// was closed.
func (h *Host) whyEnded(failed *DeployError) *DeployError {
	if h.ctx.Err() != nil && errors.Is(failed, context.Canceled) {
		failed.Err = ErrClosed
	}
	return failed
}

// deploy is Deploy in the name's turn.
func (h *Host) deploy(ctx context.Context, m Manifest) (*Tenant, *DeployError) {
	t, there := h.Tenant(m.Name)
	p, err := h.grounds().resolve(ctx, m)
	if err != nil {
		failed := &DeployError{Tenant: m.Name, Stage: StageManifest, Err: err}
		if there {
			return nil, h.keeps(t, failed)
		}
		return nil, failed
	}
	p.manifest.Hosts = slices.Sorted(slices.Values(p.manifest.Hosts)) // the order means nothing
	if there {
		return t, h.redeploy(ctx, t, &p)
	}
	return h.first(ctx, &p)
}

// grounds are what manifests are resolved on.
func (h *Host) grounds() grounds { return h.config.grounds() }

// configOf returns the config of a plan's plugin, with what is the same for all tenants.
func (h *Host) configOf(p *plan) plugin.Config {
	c := p.config
	c.Host, c.Logger, c.Now, c.Shared = h.plugins, h.config.Logger, h.config.clock, true
	if h.config.tune != nil {
		h.config.tune(&c)
	}
	return c
}

// first deploys a tenant that is not there.
func (h *Host) first(ctx context.Context, p *plan) (_ *Tenant, failed *DeployError) {
	name := p.manifest.Name
	fail := func(stage Stage, err error) (*Tenant, *DeployError) {
		return nil, &DeployError{Tenant: name, Stage: stage, Err: err}
	}
	if err := h.claim(name, p.manifest.Hosts); err != nil {
		return fail(StageNames, err)
	}
	defer func() {
		if failed != nil {
			h.unclaim(name, nil)
		}
	}()
	t := &Tenant{name: name, host: h, requests: newGate()}
	t.store.tenant = t
	manager, err := h.config.Manager(t.name, &t.store, p.settings)
	if err != nil {
		return fail(StageSettings, err)
	}
	h.stage(name, StageModule)
	m, err := h.modules.acquire(ctx, p, h.configOf(p))
	if err != nil {
		return fail(StageModule, err)
	}
	h.stage(name, StageOpen)
	r, err := h.roomOf(p, m)
	if err != nil {
		m.release()
		return fail(StageOpen, err)
	}
	e, failed := h.openEdition(ctx, p, m, r)
	if failed != nil {
		m.release()
		if failed.budget() {
			failed.Err = fmt.Errorf("%w: %w", ErrTooMany, failed.Err)
		}
		return nil, failed
	}
	r.tidy()
	t.store.now.Store(e)
	t.plan.Store(p)
	t.front.Store(&front{manager: manager})
	t.record.deploys, t.record.deployed = 1, time.Now()
	h.publish(t, p.manifest.Hosts)
	h.event(EventDeployed, name, nil)
	return t, nil
}

// budget reports whether something that all plugins share was used up.
func (e *DeployError) budget() bool { return errors.Is(e.Err, plugin.ErrBudget) }

// redeploy changes a tenant that is there.
func (h *Host) redeploy(ctx context.Context, t *Tenant, p *plan) *DeployError {
	fail := func(stage Stage, err error) *DeployError {
		return h.keeps(t, &DeployError{Tenant: t.name, Stage: stage, Err: err})
	}
	before, e := t.plan.Load(), t.store.now.Load()
	samePlugin := e.down == nil && samePlugin(e.plan, p)
	if samePlugin && sameFront(before, p) && slices.Equal(before.manifest.Hosts, p.manifest.Hosts) {
		p.wasm = nil
		t.deployed(p, false)
		return nil
	}
	if err := h.claim(t.name, p.manifest.Hosts); err != nil {
		return fail(StageNames, err)
	}
	restore := func() { h.unclaim(t.name, before.manifest.Hosts) }
	next := t.front.Load()
	if samePlugin {
		p.wasm = nil
	}
	if !sameFront(before, p) {
		manager, err := h.config.Manager(t.name, &t.store, p.settings)
		if err != nil {
			restore()
			return fail(StageSettings, err)
		}
		next = &front{manager: manager}
	}
	kind := EventChanged
	if !samePlugin {
		kind = EventReplaced
		if failed := h.replace(ctx, t, e, p); failed != nil {
			restore()
			return h.keeps(t, failed)
		}
	}
	t.front.Store(next)
	h.publish(t, p.manifest.Hosts)
	h.unclaim(t.name, p.manifest.Hosts)
	t.deployed(p, true)
	h.event(kind, t.name, nil)
	return nil
}

// keeps notes that a deploy has failed whose tenant goes on.
func (h *Host) keeps(t *Tenant, failed *DeployError) *DeployError {
	failed.Serving = t.store.now.Load().down == nil
	t.mu.Lock()
	t.record.failures++
	t.record.failure = failed
	t.mu.Unlock()
	h.event(EventRolledBack, t.name, failed)
	return failed
}

// deployed notes that a deploy has succeeded.
func (t *Tenant) deployed(p *plan, changed bool) {
	t.plan.Store(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.record.failure = nil
	if changed {
		t.record.deploys++
		t.record.deployed = time.Now()
	}
}

// samePlugin reports whether two plans run the same plugin in the same way.
func samePlugin(a, b *plan) bool {
	return a.sum == b.sum && reflect.DeepEqual(pluginPart(a.manifest), pluginPart(b.manifest))
}

// pluginPart is what a manifest says of its plugin, but for where it comes from.
func pluginPart(m Manifest) Manifest {
	m.Hosts, m.Session, m.Keyring, m.Replace = nil, nil, "", ""
	m.Plugin, m.SchemaURL = Source{Bundled: m.Plugin.Bundled}, ""
	return m
}

// sameFront reports whether two plans have the same sessions. What a reference to a
// keyring leads to may have changed.
func sameFront(a, b *plan) bool {
	return a.manifest.Keyring == "" && b.manifest.Keyring == "" && reflect.DeepEqual(a.manifest.Session, b.manifest.Session)
}
