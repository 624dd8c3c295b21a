package plugintest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// goOnTests are about work that is done one part per call.
func (h *harness) goOnTests() []storetest.Test {
	return []storetest.Test{
		{Name: "instance/sweep-goes-on", Section: secOptional, Requires: "session_sweep continues at the next call where this one ended, whatever is called in between",
			Run: h.sweepGoesOn},
	}
}

// sweepGoesOn sweeps in small steps, with another operation after each.
// session_stats shows whether the expired records are gone in the end. The result
// of a sweep does not, since other operations may remove records, too.
func (h *harness) sweepGoesOn(p *storetest.Probe) {
	h.needsOpen(p)
	if !h.exports(abi.ExportSweep) || !h.exports(abi.ExportStats) {
		p.Skip("the guest does not export " + abi.ExportSweep + " and " + abi.ExportStats)
	}
	const living, expiring, step, sweeps = 60, 20, 4, 10_000
	const before, now = storetest.Now, storetest.Now + 100
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	body := storetest.Value(7, 40)
	do := func(what string, err error) {
		if err != nil {
			p.Fail(what+": "+err.Error(), "success")
		}
	}
	for _, between := range []struct {
		name string
		do   func(g *guest, i int) error
	}{
		{"session_get", func(g *guest, i int) error { _, err := g.Get(p.Context(), key(i%living), now); return err }},
		{"session_set", func(g *guest, i int) error {
			return g.Set(p.Context(), store.Write{Key: key(i % living), Value: body, Now: now})
		}},
		{"session_touch", func(g *guest, i int) error { return g.Touch(p.Context(), key(i%living), 0, now) }},
		{"session_delete", func(g *guest, i int) error { return g.Delete(p.Context(), []byte("absent"), now) }},
		{"session_keys", func(g *guest, i int) error {
			for _, err := range g.Keys(p.Context(), now) {
				if err != nil && !errors.Is(err, store.ErrUnsupported) {
					return err
				}
			}
			return nil
		}},
	} {
		g, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: p.Dir(), Shards: 1}))
		if err != nil {
			p.Fail(err.Error(), "a plugin that opens")
		}
		p.Cleanup(func() error { return g.Close(p.Context()) })
		for i := range living + expiring {
			w := store.Write{Key: key(i), Value: body, Now: before}
			if i >= living {
				w.Expires = now
			}
			err := g.Set(p.Context(), w)
			if errors.Is(err, store.ErrNoSpace) {
				p.Skip("the guest holds fewer records")
			}
			do("session_set", err)
		}
		left := func() int64 { return g.Stats().Counts.Records }
		if c := g.Stats().Counts; !c.Told || c.Records != living+expiring {
			p.Skip("the guest does not report how many records it holds, or dropped some")
		}
		for i := 0; ; i++ {
			if _, err := g.Sweep(p.Context(), step, now); errors.Is(err, store.ErrUnsupported) {
				p.Skip("the guest answers UNSUPPORTED")
			} else {
				do("session_sweep", err)
			}
			do(between.name, between.do(g, i))
			if i%50 == 49 && left() <= living {
				break
			}
			if i == sweeps {
				p.Failf(fmt.Sprintf("%d: those that have not expired", living), "%d records are stored after %d sweeps with max %d, with %s after each", left(), i, step, between.name)
			}
		}
	}
}
