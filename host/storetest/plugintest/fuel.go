package plugintest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// The records over which fuel is measured: as many as every guest must hold, of the size
// of a session with a few values.
const (
	fuelRecords = storetest.LeastRecords
	fuelValue   = 300
)

// fuel measures how much fuel the guest's operations use, over a sequence that is the same
// in every run. An operation that the guest lacks, or at which it fails, is left out. The
// guest is metered for this even if it is trusted.
func (h *harness) fuel(ctx context.Context) []storetest.Fuel {
	p, err := h.openMetered(ctx)
	if err != nil {
		return nil // checks have reported it
	}
	defer func() { _ = p.Close(context.WithoutCancel(ctx)) }()
	const now, hour = storetest.Now, 3_600_000
	m := &fuelMeter{plugin: p}
	m.add("open", p.Stats().Shards[0].OpenFuel)
	key := func(i int) []byte { k := sha256.Sum256([]byte{byte(i)}); return k[:] }
	set := func(i int, expires store.Millis) error {
		return p.Set(ctx, store.Write{Key: key(i), Value: make([]byte, min(fuelValue, p.Info().MaxValue)), Expires: expires, Now: now, Expect: store.Any})
	}
	m.each(store.OpSet, func(i int) error { return set(i, now+hour) })
	m.each(store.OpGet, func(i int) error { _, err := p.Get(ctx, key(i), now); return err })
	m.each(store.OpTouch, func(i int) error { return p.Touch(ctx, key(i), now+2*hour, now) })
	m.each(store.OpSet, func(i int) error { return set(i, now+hour) })
	m.each(store.OpDelete, func(i int) error { return p.Delete(ctx, key(i), now) })
	for i := range fuelRecords {
		_ = set(i, now+1)
	}
	m.once(fmt.Sprintf("sweep of %d", fuelRecords), store.OpSweep, func() error { _, err := p.Sweep(ctx, fuelRecords, now+hour); return err })
	return m.result()
}

func (h *harness) openMetered(ctx context.Context) (*plugin.Plugin, error) {
	setup := storetest.Setup{Shards: 1}
	if h.mounted {
		var err error
		if setup.Dir, err = h.makeDir(); err != nil {
			return nil, err
		}
	}
	c := h.config(setup)
	c.Trusted, c.DebugInfo = false, false
	c.Deadline = max(c.Deadline, time.Minute) // what a machine manages in that time does not matter here
	c.FuelRate, c.FuelBurst = -1, 0
	return plugin.Open(ctx, h.wasm, c)
}

// fuelMeter collects what the calls of each operation use.
type fuelMeter struct {
	plugin *plugin.Plugin
	names  []string
	used   map[string][]uint64
	failed []string
}

func (m *fuelMeter) add(name string, used uint64) {
	if m.used == nil {
		m.used = make(map[string][]uint64)
	}
	if !slices.Contains(m.names, name) {
		m.names = append(m.names, name)
	}
	m.used[name] = append(m.used[name], used)
}

func (m *fuelMeter) each(op store.Op, do func(i int) error) {
	for i := range fuelRecords {
		m.once(string(op), op, func() error { return do(i) })
	}
}

func (m *fuelMeter) once(name string, op store.Op, do func() error) {
	before := m.plugin.Stats().Ops[string(op)].Fuel
	err := do()
	used := m.plugin.Stats().Ops[string(op)].Fuel - before
	if err != nil || used == 0 { // the guest lacks it, and the host does without
		m.failed = append(m.failed, name)
		return
	}
	m.add(name, used)
}

func (m *fuelMeter) result() (all []storetest.Fuel) {
	for _, name := range m.names {
		if slices.Contains(m.failed, name) {
			continue
		}
		used := m.used[name]
		slices.Sort(used)
		all = append(all, storetest.Fuel{Operation: name, Calls: len(used), Median: used[(len(used)-1)/2], Most: used[len(used)-1]})
	}
	return all
}
