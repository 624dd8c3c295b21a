package plugintest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// checkStats compares what a guest reports about itself with what was done to it.
func (h *harness) checkStats(p *storetest.Probe) {
	h.needsOpen(p)
	if !h.exports(abi.ExportStats) {
		p.Skip("the guest does not export " + abi.ExportStats)
	}
	g, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: p.Dir(), Shards: 1}))
	if err != nil {
		p.Fail(err.Error(), "a plugin that opens")
	}
	p.Cleanup(func() error { return g.Close(p.Context()) })
	do := func(what string, err error) {
		if err != nil {
			p.Fail(what+": "+err.Error(), "success")
		}
	}
	write := func(i int, expires store.Millis) store.Write {
		return store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: storetest.Value(1, 40), Expires: expires, Now: storetest.Now}
	}
	told := func(after string) plugin.Counts {
		stats := g.Stats()
		if e := stats.Shards[0].LastError; e != "" {
			p.Fail("after "+after+": "+e, "a list of pairs, with numbers of up to 18 digits")
		}
		return stats.Counts
	}
	if !told("session_open").Told {
		p.Skip("the guest answers UNSUPPORTED")
	}
	before := told("session_open")
	records := func(after string, want int64) {
		got := told(after)
		switch {
		case got.Records >= 0 && got.Records != want:
			p.Failf(fmt.Sprint(want), "records after %s: %d", after, got.Records)
		case got.Records > 0 && got.Bytes == 0:
			p.Failf("the space that they take", "bytes after %s: 0, with %d records", after, got.Records)
		case got.Evicted != 0:
			p.Failf("none: there is room", "evicted after %s: %d", after, got.Evicted)
		case got.Expired < before.Expired:
			p.Failf(fmt.Sprintf("at least %d, as before", before.Expired), "expired after %s: %d", after, got.Expired)
		}
		before = got
	}
	records("session_open", 0)
	n := p.Records(50, 50)
	for i := range n {
		do("session_set", g.Set(p.Context(), write(i, storetest.Now+1000*store.Millis(1+i%2))))
	}
	records("50 records", 50)
	for i := range 10 {
		do("session_set", g.Set(p.Context(), write(i, storetest.Now+1000*store.Millis(1+i%2))))
	}
	records("10 of 50 were written anew", 50)
	for i := range 20 {
		do("session_delete", g.Delete(p.Context(), write(i, 0).Key, storetest.Now))
	}
	records("20 of 50 were deleted", 30)
	do("session_save", g.Save(p.Context(), storetest.Now+1000))
	// A guest without session_sweep does not need one: session_save is enough for
	// so few records.
	for idle := 0; idle < 20; idle++ {
		removed, err := g.Sweep(p.Context(), 1000, storetest.Now+1000)
		if err != nil {
			break
		}
		if removed > 0 {
			idle = 0
		}
	}
	records("15 of 30 had expired, and were saved and swept over", 15)
	if before.Expired < 15 && before.Expired > 0 {
		p.Failf("15", "expired after 15 of 30 had: %d", before.Expired)
	}
	do("session_clear", g.Clear(p.Context(), storetest.Now+1000))
	records("session_clear", 0)
}
