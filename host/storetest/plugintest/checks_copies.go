package plugintest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// copyTests are about guests that want to know that they are copies. Whether copies have
// anything in common that they must not have cannot be seen from outside.
func (h *harness) copyTests() []storetest.Test {
	return []storetest.Test{
		{Name: "instance/copied", Section: secCopying, Requires: "a copy that is told by session_copied, before session_open, opens and works like any other instance",
			Run: h.copied},
	}
}

func (h *harness) copied(p *storetest.Probe) {
	h.needsOpen(p)
	if !h.exports(abi.ExportCopied) {
		p.Skip("the guest does not export " + abi.ExportCopied)
	}
	wasm, err := told(h.wasm)
	if err != nil {
		p.Skip(err.Error())
	}
	g, err := h.openModule(p.Context(), wasm, h.config(storetest.Setup{Dir: p.Dir(), Shards: 1}))
	if err != nil {
		p.Fail("told that it is a copy: "+err.Error(), "a plugin that opens")
	}
	p.Cleanup(func() error { return g.Close(p.Context()) })
	const now = storetest.Now
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	value := func(i int) []byte { return storetest.Value(uint64(i+1), 8+i*37%4000) }
	n := p.Records(200, 8)
	for i := range n {
		if err := g.Set(p.Context(), store.Write{Key: key(i), Value: value(i), Now: now}); err != nil {
			p.Failf("success", "session_set of record %d in a copy: %v", i, err)
		}
	}
	for i := range n {
		got, err := g.Get(p.Context(), key(i), now)
		if err != nil || string(got) != string(value(i)) {
			p.Failf("the value as it was stored", "session_get of record %d of %d in a copy: %d bytes, %s", i, n, len(got), outcome(err))
		}
	}
	if err := g.failed(); err != nil {
		p.Fail(err.Error(), "an instance that stays alive")
	}
}
