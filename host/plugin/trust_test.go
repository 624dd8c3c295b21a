package plugin_test

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// A guest that nobody vouches for is stopped without a setting: an endless loop costs
// its caller a call, and the process nothing.
func TestALoopEndsWithoutASetting(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	p, err := plugin.OpenFile(ctx, filepath.Join("testdata", "hostile.wasm"), plugin.Config{})
	require.NoError(t, err)
	defer p.Close(ctx)
	neighbour := open(t, guest(t, "store"), quiet())

	looping := make(chan error, 1)
	go func() {
		_, err := p.Get(ctx, key, actLoop)
		looping <- err
	}()
	served := 0
	for ended := false; !ended; {
		select {
		case err = <-looping:
			ended = true
		default:
			// An uninterruptible loop would keep this from ending.
			runtime.GC()
			require.NoError(t, neighbour.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}))
			served++
			time.Sleep(time.Millisecond)
		}
	}
	require.ErrorIs(t, err, plugin.ErrDeadline)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.Positive(t, served)
}

// The rights of a guest that is not trusted, and what else depends on trust.
func TestTrust(t *testing.T) {
	for _, c := range []struct {
		name     string
		config   func(*plugin.Config)
		deadline time.Duration
		open     time.Duration
		quota    int64
	}{
		{"untrusted", func(*plugin.Config) {}, plugin.DefaultDeadline, 10 * time.Second, plugin.DefaultMountBytes},
		{"untrusted, with a deadline", func(c *plugin.Config) { c.Deadline = time.Minute }, time.Minute, time.Minute, plugin.DefaultMountBytes},
		{"untrusted, with both", func(c *plugin.Config) { c.Deadline, c.OpenDeadline = time.Second, 2*time.Second },
			time.Second, 2 * time.Second, plugin.DefaultMountBytes},
		{"untrusted, opening", func(c *plugin.Config) { c.OpenDeadline = time.Second }, plugin.DefaultDeadline, time.Second, plugin.DefaultMountBytes},
		{"trusted", func(c *plugin.Config) { c.Trusted = true }, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := quiet()
			config.Trusted, config.Shards, config.Mounts = false, 1, []plugin.Mount{{Dir: t.TempDir()}}
			c.config(&config)
			p := open(t, guest(t, "tiny"), config)
			call, opening := p.Deadlines()
			require.Equal(t, c.deadline, call)
			require.Equal(t, c.open, opening)
			bytes, _ := p.MountQuota(0)
			require.Equal(t, c.quota, bytes)
		})
	}
	for want, change := range map[string]func(*plugin.Config){
		"DebugInfo is set for a guest that is not trusted": func(c *plugin.Config) { c.DebugInfo = true },
		"Deadline is 1s and OpenDeadline 0s for a trusted": func(c *plugin.Config) { c.Trusted, c.Deadline = true, time.Second },
		"Deadline is 0s and OpenDeadline 1s for a trusted": func(c *plugin.Config) { c.Trusted, c.OpenDeadline = true, time.Second },
		"Fuel is 1, OpenFuel 0, FuelRate 0 and":            func(c *plugin.Config) { c.Trusted, c.Fuel = true, 1 },
		"Fuel is 0, OpenFuel 1, FuelRate 0 and":            func(c *plugin.Config) { c.Trusted, c.OpenFuel = true, 1 },
		"FuelRate -1 and FuelBurst 0 for a trusted":        func(c *plugin.Config) { c.Trusted, c.FuelRate = true, -1 },
		"FuelRate 0 and FuelBurst 1 for a trusted":         func(c *plugin.Config) { c.Trusted, c.FuelBurst = true, 1 },
		"Fuel is -1, OpenFuel 0 and FuelBurst 0: must":     func(c *plugin.Config) { c.Fuel = -1 },
		"FuelBurst is 1 and FuelRate -1, which means no":   func(c *plugin.Config) { c.FuelRate, c.FuelBurst = -1, 1 },
	} {
		config := quiet()
		config.Trusted = false
		change(&config)
		_, err := plugin.Open(ctx, guest(t, "tiny"), config)
		require.ErrorIs(t, err, plugin.ErrConfig)
		require.ErrorContains(t, err, want)
	}
}
