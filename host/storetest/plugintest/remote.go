package plugintest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// remoteInstances is how many instances the checks of a guest with remote have.
const remoteInstances = 4

// remote is a guest whose records lie elsewhere, with instances that a check calls one
// by one.
type remote struct {
	*guest
	p         *storetest.Probe
	dir       string
	instances int
}

// openRemote opens the guest, or skips the check if its records lie in its instances.
func (h *harness) openRemote(p *storetest.Probe) remote {
	h.needsOpen(p)
	if !slices.Contains(h.info.Capabilities, abi.CapabilityRemote) {
		p.Skip("the guest does not describe the capability " + abi.CapabilityRemote)
	}
	return h.openRouted(p, remoteInstances)
}

// openRouted opens the module whose instances a check calls one by one.
func (h *harness) openRouted(p *storetest.Probe, instances int) remote {
	if err := h.needsRouted(p.Context()); err != nil {
		p.Skip(err.Error())
	}
	dir := p.Dir()
	g, err := h.openModule(p.Context(), h.routed, h.config(storetest.Setup{Dir: dir, Shards: instances}))
	if err != nil {
		p.Failf("a plugin that opens", "with %d instances, and without its description: %s", instances, err)
	}
	p.Cleanup(func() error { return g.Close(p.Context()) })
	return remote{g, p, dir, instances}
}

func (h *harness) needsRouted(ctx context.Context) error {
	if h.routed != nil {
		return nil
	}
	wasm, err := routed(h.wasm)
	if err != nil {
		return err
	}
	h.routed = wasm
	h.keep(ctx, wasm)
	return nil
}

// call calls an export of an instance. A check is skipped if the guest does not have it.
func (r remote) call(instance int, to routedExport, number int64, key string, now store.Millis) ([]byte, error) {
	got, err := r.Get(r.p.Context(), route(to, instance, r.instances, number, []byte(key)), now)
	if errors.Is(err, store.ErrUnsupported) {
		r.p.Skip("the guest does not have " + routedExports[to])
	}
	return got, err
}

// did is call, which must succeed.
func (r remote) did(instance int, to routedExport, number int64, key string, now store.Millis) []byte {
	got, err := r.call(instance, to, number, key, now)
	if err != nil {
		r.p.Failf("success", "%s in instance %d: %s", routedExports[to], instance, err)
	}
	return got
}

func (r remote) trySet(instance int, key string, value []byte, expires, now store.Millis, expect int64) error {
	return r.Set(r.p.Context(), store.Write{Key: route(routedGet, instance, r.instances, expect, []byte(key)), Value: value, Expires: expires, Now: now})
}

func (r remote) set(instance int, key string, value []byte, expires, now store.Millis, expect int64) {
	if err := r.trySet(instance, key, value, expires, now, expect); err != nil {
		r.p.Failf("success", "session_set of %q in instance %d, expect %d: %s", key, instance, expect, err)
	}
}

// conflicts requires that a write is refused.
func (r remote) conflicts(after string, instance int, key string, expect int64) {
	err := r.trySet(instance, key, storetest.Value(99, 20), 0, storetest.Now, expect)
	if !errors.Is(err, store.ErrConflict) {
		r.p.Failf("CONFLICT", "session_set of %q in instance %d, expect %d, after %s: %s", key, instance, expect, after, outcome(err))
	}
}

// sees requires the value under a key, or its absence if it is nil.
func (r remote) sees(after string, instance int, key string, want []byte, now store.Millis) {
	got, err := r.call(instance, routedGet, 0, key, now)
	switch {
	case want == nil && err == nil:
		r.p.Failf("NOT_FOUND", "session_get of %q in instance %d, after %s: a value of %d bytes", key, instance, after, len(got))
	case want == nil && !errors.Is(err, store.ErrNotFound):
		r.p.Failf("NOT_FOUND", "session_get of %q in instance %d, after %s: %s", key, instance, after, err)
	case want != nil && err != nil:
		r.p.Failf("the value as it was stored", "session_get of %q in instance %d, after %s: %s", key, instance, after, err)
	case want != nil && string(got) != string(want):
		r.p.Failf("the value as it was stored last", "session_get of %q in instance %d, after %s: %d bytes that differ", key, instance, after, len(got))
	}
}

// fill stores some records in each instance, and returns their keys.
func (r remote) fill(name string, expires, now store.Millis) (keys []string) {
	for i := range 2 * remoteInstances {
		key := fmt.Sprintf("%s %d", name, i)
		r.set(i%remoteInstances, key, storetest.Value(uint64(i+1), 30), expires, now, store.Any)
		keys = append(keys, key)
	}
	return keys
}

// others returns the instances but for one.
func others(instance int) (list []int) {
	for i := range remoteInstances {
		if i != instance {
			list = append(list, i)
		}
	}
	return list
}
