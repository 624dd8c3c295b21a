package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// mostPause bounds how long operations wait for the change from one plugin to another. It
// is below the default of StoreTimeout, so that they do not fail meanwhile.
const mostPause = 5 * time.Second

// replace changes the plugin of a tenant.
func (h *Host) replace(ctx context.Context, t *Tenant, old *edition, p *plan) *DeployError {
	fail := func(stage Stage, err error) *DeployError { return &DeployError{Tenant: t.name, Stage: stage, Err: err} }
	h.stage(t.name, StageModule)
	m, err := h.modules.acquire(ctx, p, h.configOf(p))
	if err != nil {
		return fail(StageModule, err)
	}
	var failed *DeployError
	h.stage(t.name, StageOpen)
	r, err := h.roomAfter(old, p, m)
	switch {
	case err != nil:
		failed = fail(StageOpen, err)
	case old.down != nil:
		failed = h.revive(ctx, t, old, p, m, r)
	case sharesDirectory(old, p, r):
		failed = h.handOver(ctx, t, old, p, m, r)
	default:
		failed = h.move(ctx, t, old, p, m, r)
	}
	if failed != nil {
		m.release()
	}
	return failed
}

// sharesDirectory reports whether both need a directory that only one plugin at a time can
// have.
func sharesDirectory(old *edition, p *plan, r *room) bool {
	if r != nil && old.room != nil && r.dir() == old.room.dir() {
		return true
	}
	for _, a := range old.plan.config.Mounts {
		for _, b := range p.config.Mounts {
			if !a.ReadOnly && !b.ReadOnly && a.Dir == b.Dir {
				return true
			}
		}
	}
	return false
}

// move replaces a plugin while it serves.
func (h *Host) move(ctx context.Context, t *Tenant, old *edition, p *plan, m *module, r *room) *DeployError {
	fresh, failed := h.openEdition(ctx, p, m, r)
	if failed != nil {
		r.discard()
		return failed
	}
	h.stage(t.name, StageMove)
	if err := h.moveSessions(ctx, t, old, fresh); err != nil {
		closing, cancel := h.grace()
		defer cancel()
		_ = fresh.plugin.Close(closing)
		r.discard()
		return &DeployError{Tenant: t.name, Stage: StageMove, Err: err}
	}
	t.account(old.plugin)
	closing, cancel := h.grace()
	defer cancel()
	if err := old.retire(closing); err != nil {
		h.config.Logger.Warn("the plugin that was replaced did not close as it should", "tenant", t.name, "error", err)
	}
	if old.room != nil {
		old.room.discard()
	}
	return nil
}

// moveSessions copies the sessions of one edition to another, and puts that in its place.
func (h *Host) moveSessions(ctx context.Context, t *Tenant, old, fresh *edition) error {
	copies, err := mustCopy(old, fresh)
	if err != nil {
		return err
	}
	mover := &mover{from: old.plugin, to: fresh.plugin, recorder: newRecorder(), now: func() store.Millis {
		return min(h.now(), store.Millis(t.store.time.Load()))
	}}
	err = h.switchTo(ctx, t, old, fresh, copies, mover)
	if err != nil && copies && fresh.plan.manifest.Replace == ReplaceDrop && ctx.Err() == nil && !errors.Is(err, ErrState) {
		// What could be copied is not all, and part of the sessions is worse than none.
		if err := fresh.plugin.Clear(ctx, h.now()); err != nil {
			return err
		}
		h.config.Logger.Warn("sessions are lost, as the manifest allows: they could not be moved", "tenant", t.name, "error", err)
		return h.switchTo(ctx, t, old, fresh, false, mover)
	}
	return err
}

// switchTo puts an edition in the place of another one, with copies of its sessions or
// without.
func (h *Host) switchTo(ctx context.Context, t *Tenant, old, fresh *edition, copies bool, mover *mover) error {
	if copies {
		if err := pausing(ctx, t, old, func(context.Context) error {
			t.store.copying.Store(mover.recorder)
			return nil
		}); err != nil {
			return err
		}
		defer t.store.copying.Store(nil)
		if err := mover.copyAll(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrMove, err)
		}
	}
	if fresh.room != nil {
		// What is on disk must be whole before it is put in force.
		if err := fresh.plugin.Save(ctx, h.now()); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
		if err := fresh.room.prepare(); err != nil {
			return err
		}
		if copies {
			if err := mover.followUp(ctx); err != nil {
				return fmt.Errorf("%w: %w", ErrMove, err)
			}
		}
	}
	began := time.Now()
	err := pausing(ctx, t, old, func(ctx context.Context) error {
		if copies {
			if err := mover.finish(ctx); err != nil {
				return fmt.Errorf("%w: %w", ErrMove, err)
			}
		}
		if err := fresh.room.commit(); err != nil {
			return err
		}
		t.store.now.Store(fresh)
		return nil
	})
	if err == nil {
		t.paused(time.Since(began))
	}
	return err
}

// pausing runs f while nothing is written. If f has put another edition in place, those
// who wait go there.
func pausing(ctx context.Context, t *Tenant, e *edition, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, mostPause)
	defer cancel()
	defer func() {
		if t.store.now.Load() == e {
			e.writes.open()
		} else {
			e.writes.redirect() // it stays shut: somebody may only now come to it
		}
	}()
	if err := e.writes.shut(ctx); err != nil {
		return fmt.Errorf("%w: %d writes that had begun did not end in %v: %w", ErrMove, e.writes.inside(), mostPause, err)
	}
	return f(ctx)
}

// mustCopy reports whether the sessions have to be copied.
func mustCopy(old, fresh *edition) (bool, error) {
	switch {
	case remote(old.plugin) && remote(fresh.plugin):
		return false, nil
	case old.plugin.Info().Module.Export(abi.ExportSnapshot) != nil:
		return true, nil
	}
	if fresh.plan.manifest.Replace == ReplaceDrop {
		return false, nil
	}
	if counts := old.plugin.Stats().Counts; counts.Told && counts.Records == 0 {
		return false, nil
	}
	return false, fmt.Errorf(`%w: its guest does not export %s, and the new plugin has none of its directories: `+
		`write a guest that exports it, or set "replace" to "drop" to log everybody out`, ErrWouldLose, abi.ExportSnapshot)
}

func remote(p *plugin.Plugin) bool {
	return slices.Contains(p.Info().Capabilities, abi.CapabilityRemote)
}

// handOver replaces a plugin by one that needs its directory: operations wait until the
// old one has saved and closed and the new one has opened, or the old one again.
func (h *Host) handOver(ctx context.Context, t *Tenant, old *edition, p *plan, m *module, r *room) *DeployError {
	fail := func(err error) *DeployError { return &DeployError{Tenant: t.name, Stage: StageMove, Err: err} }
	h.stage(t.name, StageMove)
	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, mostPause)
	defer cancel()
	for _, g := range []*gate{old.writes, old.reads} {
		if err := g.shut(waiting); err != nil {
			old.writes.open()
			old.reads.open()
			return fail(fmt.Errorf("%w: operations that had begun did not end in %v: %w", ErrMove, mostPause, err))
		}
	}
	t.account(old.plugin)
	// From here on one of the two must open, whatever the context says.
	always, cancel := h.grace()
	defer cancel()
	next, failed := (*edition)(nil), (*DeployError)(nil)
	if err := old.plugin.Close(always); err != nil {
		failed = fail(fmt.Errorf("%w: the old plugin could not save: %w", ErrMove, err))
	} else {
		next, failed = h.openEdition(ctx, p, m, r)
	}
	if failed != nil {
		next = h.reopen(always, t, old, failed)
	}
	t.store.now.Store(next)
	old.writes.redirect()
	old.reads.redirect()
	if failed == nil {
		old.module.release()
		t.paused(time.Since(began))
	}
	return failed
}

// reopen opens the plugin of an edition again that was closed. If that fails, the tenant
// is down, and opening is tried again and again.
func (h *Host) reopen(ctx context.Context, t *Tenant, old *edition, why error) *edition {
	again, failed := h.openEdition(ctx, old.plan, old.module, old.room)
	if failed == nil {
		return again
	}
	down := &edition{plan: old.plan, module: old.module, room: old.room, reads: newGate(), writes: newGate(),
		down: fmt.Errorf("%w: tenant %q has no plugin that runs: %w", store.ErrUnavailable, t.name, failed.Err)}
	h.config.Logger.Error("a plugin could not be replaced, and the old one does not open any more", "tenant", t.name, "error", why, "reopening", failed)
	h.event(EventDown, t.name, failed)
	h.begin(func() { h.retry(t, down) })
	return down
}

// revive opens a plugin for a tenant that has none that runs.
func (h *Host) revive(ctx context.Context, t *Tenant, down *edition, p *plan, m *module, r *room) *DeployError {
	fresh, failed := h.openEdition(ctx, p, m, r)
	if failed != nil {
		return failed
	}
	if err := errors.Join(r.prepare(), r.commit()); err != nil {
		closing, cancel := h.grace()
		defer cancel()
		_ = fresh.plugin.Close(closing)
		return &DeployError{Tenant: t.name, Stage: StageOpen, Err: err}
	}
	t.store.now.Store(fresh)
	down.module.release()
	h.event(EventUp, t.name, nil)
	return nil
}

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// retry opens the plugin of a tenant that is down, with pauses that grow, until it opens,
// another deploy has changed it, or it is removed.
func (h *Host) retry(t *Tenant, down *edition) {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		select {
		case <-time.After(pause):
		case <-h.ctx.Done():
			return
		}
		back, err := h.turns.take(h.ctx, t.name)
		if err != nil {
			return
		}
		over := t.store.now.Load() != down
		if !over {
			if again, failed := h.openEdition(h.ctx, down.plan, down.module, down.room); failed == nil {
				t.store.now.Store(again)
				h.event(EventUp, t.name, nil)
				over = true
			}
		}
		back()
		if over {
			return
		}
	}
}
