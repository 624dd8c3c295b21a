package tenant

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/waddle-sessions/waddle/host/store"
)

// Remove ends a tenant. Requests that come later are nobody's; those that have begun end
// as they would have, for as long as Grace and the context allow. Then the plugin saves and
// closes. State on disk stays: a tenant of that name that keeps its state finds it. See
// [Host.Purge]. It returns [ErrUnknown] if there is no such tenant.
func (h *Host) Remove(ctx context.Context, name string) error { return h.remove(ctx, name, false) }

// Purge is Remove, and deletes the state that the tenant keeps on disk, also that of one
// that was removed before. It does not touch the directories that a manifest mounts.
func (h *Host) Purge(ctx context.Context, name string) error { return h.remove(ctx, name, true) }

func (h *Host) remove(ctx context.Context, name string, purge bool) error {
	if err := h.enter(); err != nil {
		return err
	}
	defer h.work.Done()
	back, err := h.turns.take(ctx, name)
	if err != nil {
		return err
	}
	defer back()
	h.mu.Lock()
	_, hadFailed := h.failed[name]
	delete(h.failed, name)
	h.mu.Unlock()
	t, there := h.Tenant(name)
	if there {
		h.unpublish(t)
		bounded, cancel := context.WithTimeout(ctx, h.config.Grace)
		defer cancel()
		_ = t.requests.shut(bounded)
		err = t.end(bounded)
		h.event(EventRemoved, name, err)
	}
	if purge {
		purged, purgeErr := h.purge(name)
		there = there || purged
		err = errors.Join(err, purgeErr)
	}
	if !there && !hadFailed {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return err
}

// purge deletes what a tenant keeps on disk.
func (h *Host) purge(name string) (there bool, err error) {
	dir, err := h.stateDir(name)
	if err != nil {
		return false, nil // nothing can be there
	}
	if _, err := os.Lstat(dir); err != nil {
		return false, nil
	}
	return true, os.RemoveAll(dir)
}

// end closes the tenant's store. Later operations get [store.ErrClosed].
func (t *Tenant) end(ctx context.Context) error {
	last := t.store.now.Load()
	t.store.now.Store(&edition{plan: last.plan, reads: newGate(), writes: newGate(), down: store.ErrClosed})
	if last.down != nil {
		if last.module != nil {
			last.module.release()
		}
		return nil
	}
	t.account(last.plugin)
	return last.retire(ctx)
}
