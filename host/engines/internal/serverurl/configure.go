package serverurl

import (
	"cmp"
	"errors"
	"fmt"
	"maps"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// instanceMemory is for one instance of an engine, whose largest value is in it as it comes in and as
// it is read.
const instanceMemory = 64 << 20

// Configure fills in a config: an engine's name, its defaults, and the settings of its URL.
func Configure(cfg plugin.Config, name string, settings map[string]string) (plugin.Config, error) {
	if cfg.Snapshots != "" {
		return cfg, errors.New("Config.Snapshots is set: must be empty, since the server keeps the sessions")
	}
	cfg.Name = cmp.Or(cfg.Name, name)
	cfg.Shards = cmp.Or(cfg.Shards, 1)
	cfg.MemoryLimit = cmp.Or(cfg.MemoryLimit, int64(cfg.Shards)*instanceMemory)
	merged := maps.Clone(cfg.GuestConfig)
	if merged == nil {
		merged = make(map[string]string)
	}
	for name, value := range settings {
		if _, twice := merged[name]; twice {
			return cfg, fmt.Errorf("Config.GuestConfig has the setting %s, which the URL has, too: must be in one of them", name)
		}
		merged[name] = value
	}
	cfg.GuestConfig = merged
	return cfg, nil
}
