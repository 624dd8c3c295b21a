package engines_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestABoundMeters: a bundled engine is trusted, unless the config has a bound, which
// then holds.
func TestABoundMeters(t *testing.T) {
	bounds := map[string]func(*plugin.Config){
		"Deadline":     func(c *plugin.Config) { c.Deadline = time.Minute },
		"OpenDeadline": func(c *plugin.Config) { c.OpenDeadline = time.Minute },
		"Fuel":         func(c *plugin.Config) { c.Fuel = 1 << 40 },
		"OpenFuel":     func(c *plugin.Config) { c.OpenFuel = 1 << 40 },
		"FuelRate":     func(c *plugin.Config) { c.FuelRate = 1 << 40 },
		"no FuelRate":  func(c *plugin.Config) { c.FuelRate = -1 },
		"FuelBurst":    func(c *plugin.Config) { c.FuelBurst = 1 << 40 },
	}
	used := func(storage string, cfg plugin.Config) uint64 {
		cfg.Logger, cfg.Shards, cfg.SweepInterval = silent, 1, -1
		s := engines.Settings{Storage: storage, Config: cfg}
		if storage != memory.Name && !engines.IsServer(storage) {
			s.Dir = t.TempDir()
		}
		p, err := s.Open(ctx)
		require.NoError(t, err)
		defer func() { _ = p.Close(ctx) }()
		require.NoError(t, p.Set(ctx, store.Write{Key: make([]byte, 32), Value: make([]byte, 8), Now: 1, Expires: 1000}))
		return p.Stats().Ops["set"].Fuel
	}
	server := "redis://" + backend.SharedRedis(t, backend.RedisOptions{}).Addr()
	other := "postgres://waddle@" + backend.SharedPostgres(t).Addr() + "/waddle"
	for _, storage := range []string{"memory", "keyfolder", "dynfile", server, other} {
		require.Zero(t, used(storage, plugin.Config{}), storage)
		require.Zero(t, used(storage, plugin.Config{Trusted: true}), storage)
		for name, set := range bounds {
			if storage != memory.Name && name != "Deadline" {
				continue // the engines decide by the same function
			}
			var cfg plugin.Config
			set(&cfg)
			require.Positive(t, used(storage, cfg), "%s with %s", storage, name)
			cfg.Trusted, cfg.Logger = true, silent
			_, err := memory.Open(ctx, cfg)
			require.ErrorIs(t, err, plugin.ErrConfig, "somebody says both: %s", name)
		}
	}

	p, err := memory.Open(ctx, plugin.Config{Fuel: 1, Logger: silent, Shards: 1, SweepInterval: -1})
	require.NoError(t, err)
	defer func() { _ = p.Close(ctx) }()
	_, err = p.Get(ctx, make([]byte, 32), 1)
	require.ErrorIs(t, err, plugin.ErrFuel)
}
