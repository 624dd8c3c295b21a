package plugintest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// configTests are about how a guest describes itself and how it reads its config.
func (h *harness) configTests() []storetest.Test {
	return []storetest.Test{
		{Name: "module/describes-the-same", Section: secLimits, Requires: "a guest describes its limits, and answers TOO_LARGE above them: they are the same for all instances",
			Run: func(p *storetest.Probe) {
				h.needsOpen(p)
				for range 4 {
					g, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: p.Dir(), Shards: 1}))
					if err != nil {
						p.Fail(err.Error(), "a plugin that opens")
					}
					info := g.Info()
					_ = g.Close(p.Context())
					if info.MaxKey != h.info.MaxKey || info.MaxValue != h.info.MaxValue || !slices.Equal(info.Capabilities, h.info.Capabilities) {
						p.Failf(fmt.Sprintf("keys up to %d and values up to %d bytes and the capabilities %q, as another instance described", h.info.MaxKey, h.info.MaxValue, h.info.Capabilities),
							"a description with %d and %d bytes and %q", info.MaxKey, info.MaxValue, info.Capabilities)
					}
				}
			}},
		{Name: "module/behind-other-settings", Section: secConfig, Requires: "the config is a list of any number of pairs, and a value may be empty: pairs after others count",
			Run: h.unknownBehindOthers},
	}
}

// unknownBehindOthers requires that a guest that refuses an unknown setting also
// refuses it behind many others. The others are those of a later host, the first
// with an empty value.
func (h *harness) unknownBehindOthers(p *storetest.Probe) {
	h.needsOpen(p)
	const unknown, others = "zz_no_such_setting", 40
	config := h.config(storetest.Setup{Dir: p.Dir(), Shards: 1})
	config.GuestConfig[unknown] = "1"
	if g, err := h.openModule(p.Context(), h.wasm, config); err == nil {
		_ = g.Close(p.Context())
		p.Skip("the guest takes a setting that it cannot know")
	}
	settings := maps.Clone(config.GuestConfig)
	delete(settings, unknown)
	// The host's own settings come after these, and all of them before the
	// unknown one.
	offset := 0
	for other, its := range settings {
		if other < "host0" {
			offset += len(other) + len(its) + 2
		}
	}
	var offsets []int
	for i := range others {
		name, value := fmt.Sprintf("host0%02d", i), "some value" // it gets the prefix of the host's names only on its way: see module/host-setting
		if i == 0 {
			value = ""
		}
		settings[name] = value
		offsets = append(offsets, offset+len("host"))
		offset += len(name) + len(value) + 2
	}
	wasm, err := withBytes(h.wasm, offsets, '_')
	if err != nil {
		p.Skip(err.Error())
	}
	config = h.config(storetest.Setup{Dir: p.Dir(), Shards: 1})
	config.GuestConfig = settings
	g, err := h.openModule(p.Context(), wasm, config)
	if err != nil {
		p.Failf("a plugin that opens", "with %d settings of a later host: %s", others, err.Error())
	}
	// It stays open meanwhile, so that it is compiled once.
	defer g.Close(p.Context())
	config = h.config(storetest.Setup{Dir: p.Dir(), Shards: 1})
	config.GuestConfig = maps.Clone(settings)
	config.GuestConfig[unknown] = "1"
	second, err := h.openModule(p.Context(), wasm, config)
	if err == nil {
		_ = second.Close(p.Context())
	}
	var answer *plugin.Error
	if !errors.As(err, &answer) || answer.Code != abi.Invalid {
		p.Failf("INVALID, as without them", "with the setting %s behind %d settings of a later host, the first of them empty: %s", unknown, others, outcome(err))
	}
}

// small opens the module with little memory, and returns how much. Some modules
// need more from the start.
func (h *harness) small(p *storetest.Probe, wasm []byte) (*plugin.Plugin, int64) {
	dir := p.Dir()
	for limit := int64(8 << 20); ; limit *= 2 {
		g, err := h.openModule(p.Context(), wasm, h.config(storetest.Setup{Dir: dir, Shards: 1, MemoryLimit: limit}))
		if err == nil {
			p.Cleanup(func() error { return g.Close(p.Context()) })
			return g.Plugin, limit
		}
		if limit >= 256<<20 {
			p.Fail(fmt.Sprintf("with a memory of %d bytes, and without its description: %s", limit, err.Error()), "a plugin that opens")
		}
	}
}
