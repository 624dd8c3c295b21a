package plugin_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// metered is a Config of a guest that is not trusted, and has no deadline to speak of.
func metered() plugin.Config {
	c := untrusted()
	c.OpenDeadline = patientDeadline
	return c
}

// keyIn returns a key that belongs to a shard.
func keyIn(shard, shards int) []byte {
	for i := 0; ; i++ {
		if k := fmt.Appendf(nil, "key%06d", i); abi.ShardOf(k, shards) == shard {
			return k
		}
	}
}

// sequence makes some calls on a shard, and returns the fuel that each used.
func sequence(t *testing.T, p *plugin.Plugin, k []byte) (used []uint64) {
	before := p.Stats().Fuel
	did := func(err error) {
		t.Helper()
		require.NoError(t, err)
		after := p.Stats().Fuel
		used = append(used, after-before)
		before = after
	}
	for i := range 20 {
		did(p.Set(ctx, store.Write{Key: k, Value: value(uint64(i+1), strings.Repeat("v", 50*i)), Now: 1, Expires: 1 << 40}))
		v, err := p.Get(ctx, k, 1)
		did(err)
		require.Len(t, v, 8+50*i)
	}
	did(p.Delete(ctx, k, 1))
	_, err := p.Get(ctx, k, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	did(nil)
	return used
}

// The same calls use the same fuel in each run, shard and engine.
func TestFuelIsTheSame(t *testing.T) {
	guests, err := filepath.Glob("../../examples/guests/*/store.wasm")
	require.NoError(t, err)
	require.NotEmpty(t, guests)
	for _, file := range append(guests, "testdata/store.wasm") {
		if info, err := os.Stat(file); err != nil || info.Size() > 1<<20 {
			continue // a guest in Go draws random numbers
		}
		t.Run(file, func(t *testing.T) {
			wasm, err := os.ReadFile(file)
			require.NoError(t, err)
			var first []uint64
			k := keyIn(3, 4) // and so in the last shard of two
			for engine, open := range engines {
				for _, shards := range []int{1, 2, 4, 4} {
					config := metered()
					config.Shards, config.MemoryLimit = shards, int64(shards)*16<<20
					p, err := open(ctx, wasm, config)
					require.NoError(t, err)
					used := sequence(t, p, k)
					if first == nil {
						first = used
					}
					require.Equal(t, first, used, "%s, %d shards", engine, shards)
					stats := p.Stats()
					sum := uint64(0)
					for _, s := range stats.Shards {
						sum += s.Fuel
					}
					require.Equal(t, stats.Fuel, sum)
					require.NoError(t, p.Close(ctx))
				}
			}
			require.Greater(t, first[0], uint64(10))
		})
	}
}

// Everything counts: what opening uses is in the plugin's fuel and in no operation's.
func TestFuelIsTheSum(t *testing.T) {
	wasm := guest(t, "store")
	opened := open(t, wasm, metered()).Stats()
	require.Positive(t, opened.Fuel)

	config := metered()
	config.Lazy = true
	p := open(t, wasm, config)
	require.Zero(t, p.Stats().Fuel)
	sum := opened.Fuel
	for i, used := range sequence(t, p, key) {
		if i > 0 {
			sum += used
		} else {
			require.Greater(t, used, opened.Fuel, "the first call opens the guest")
			sum = used
		}
	}
	require.NoError(t, p.Save(ctx, 1))
	stats := p.Stats()
	require.Equal(t, sum+stats.Ops["save"].Fuel, stats.Fuel)
	inOperations := uint64(0)
	for _, o := range stats.Ops {
		inOperations += o.Fuel
	}
	require.Equal(t, stats.Fuel, opened.Fuel+inOperations)
	require.NoError(t, p.Recycle(ctx))
	require.Greater(t, p.Stats().Fuel, stats.Fuel+opened.Fuel, "the instance before counts, and opening the next")

	trusted := open(t, wasm, quiet())
	sequence := trusted.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1})
	require.NoError(t, sequence)
	require.Zero(t, trusted.Stats().Fuel)
	require.Zero(t, trusted.Stats().Ops["set"].Fuel)
}

// A call that ends in a trap counts with what it used, and not with what it might have.
func TestFuelOfATrap(t *testing.T) {
	config := metered()
	config.Shards = 1
	p := open(t, guest(t, "hostile"), config)
	_, err := p.Get(ctx, key, actTrap)
	require.ErrorIs(t, err, plugin.ErrTrap)
	used := p.Stats().Ops["get"].Fuel
	require.Positive(t, used)
	require.Less(t, used, uint64(10_000)) // the buffer that it asked for costs some thousands
}

// Each bound ends a call with an error of its kind, which says what was allowed and used.
// The next instance works.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  func(*plugin.Config)
		act     store.Millis
		kind    error
		allowed int64
		least   int64 // used
		most    int64
		says    string
	}{
		{"fuel", func(c *plugin.Config) { c.Fuel = 1 << 24 }, actLoop, plugin.ErrFuel, 1 << 24, 1 << 24, 1<<24 + 1<<17, "units: may use 16777216"},
		{"little fuel", func(c *plugin.Config) { c.Fuel = 1000 }, actLoop, plugin.ErrFuel, 1000, 1000, 1000 + 1<<17, "units: may use 1000"},
		{"deadline", func(c *plugin.Config) { c.Deadline = shortDeadline }, actLoop, plugin.ErrDeadline,
			int64(shortDeadline), int64(shortDeadline), int64(patientDeadline), "may run for 20ms"},
		{"deadline without loops", func(c *plugin.Config) { c.Deadline = shortDeadline }, actRecurseWide, plugin.ErrDeadline,
			int64(shortDeadline), int64(shortDeadline), int64(patientDeadline), "may run for 20ms"},
		{"depth", func(*plugin.Config) {}, actRecurse, plugin.ErrDepth, 16 << 20, 16 << 20, 17 << 20, "bytes of stack: may take 16777216"},
	} {
		for engine, open := range engines {
			t.Run(c.name+"/"+engine, func(t *testing.T) {
				clock := newClock()
				config := metered()
				config.Now, config.FuelRate = clock.Now, -1
				c.config(&config)
				p, err := open(ctx, guest(t, "hostile"), config)
				require.NoError(t, err)
				defer p.Close(ctx)
				_, err = p.Get(ctx, key, c.act)
				var e *plugin.Error
				require.ErrorAs(t, err, &e)
				require.ErrorIs(t, err, store.ErrUnavailable)
				if c.kind == plugin.ErrDepth && engine == "interpreted" {
					require.ErrorContains(t, err, "stack overflow", "wazero's interpreter has a bound of its own, 2000 calls")
					return
				}
				require.ErrorIs(t, err, c.kind)
				require.NoError(t, readable(err, c.says))
				require.Equal(t, c.allowed, e.Allowed)
				require.Greater(t, e.Used, c.least)
				require.Less(t, e.Used, c.most)
				require.NotEmpty(t, e.Trace)
				require.NotContains(t, e.Trace, "waddle:")
				clock.advance(e.RetryAfter)
				_, err = p.Get(ctx, key, actWork)
				require.NoError(t, err)
			})
		}
	}
}

// Each step of opening has its bounds.
func TestBoundsOfOpening(t *testing.T) {
	for _, fixture := range []string{"init_loop", "describe_loop", "alloc_loop", "open_loop"} {
		config := metered()
		config.OpenFuel = 1 << 22
		_, err := plugin.Open(ctx, guest(t, fixture), config)
		require.ErrorIs(t, err, plugin.ErrOpen, fixture)
		require.ErrorIs(t, err, plugin.ErrFuel, fixture)
		require.NoError(t, readable(err, "may use 4194304"))

		config = metered()
		config.OpenDeadline = shortDeadline
		_, err = plugin.Open(ctx, guest(t, fixture), config)
		require.ErrorIs(t, err, plugin.ErrOpen, fixture)
		require.ErrorIs(t, err, plugin.ErrDeadline, fixture)
		require.NoError(t, readable(err, "may run for 20ms"))
	}
}

// The bound per second refuses operations before they reach the guest. Nothing else
// changes: the instance lives on, is saved and swept, and serves again when there is fuel.
func TestFuelRate(t *testing.T) {
	var passed time.Duration
	clock := newClock()
	config := metered()
	config.Now = clock.Now
	config.FuelRate, config.FuelBurst = 1<<20, 1<<24
	plugin.Passed(&config, func() time.Duration { return passed })
	// Each round of session_delete uses five million units.
	p := open(t, tiring{locals: numbers, does: "i32.const 1000000 local.set 0 loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end"}.in("session_delete"), config)
	opened := p.Stats().Fuel
	allowed := 0
	var err error
	for ; err == nil; allowed++ {
		require.Less(t, allowed, 1000)
		err = p.Delete(ctx, key, 1)
	}
	allowed--
	stats := p.Stats()
	each := stats.Ops["delete"].Fuel / uint64(allowed)
	require.InDelta(t, float64(1<<24)/float64(each), float64(allowed), 1.01, "the burst, and what is owed for the last")
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, plugin.ErrRate)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NoError(t, readable(err, "delete"))
	require.Equal(t, -1, e.Shard)
	require.EqualValues(t, 1<<20, e.Allowed)
	over := int64(stats.Fuel) - 1<<24
	require.InDelta(t, over, e.Used, 1<<18)
	require.InDelta(t, float64(over)/(1<<20), e.RetryAfter.Seconds(), 0.3)
	require.Equal(t, e.RetryAfter, store.RetryIn(err))

	refused := p.Stats()
	require.EqualValues(t, 1, refused.Throttled)
	require.Zero(t, refused.Errors)
	require.Zero(t, refused.Restarts)
	require.Equal(t, plugin.StateRunning, refused.Shards[0].State)
	require.Equal(t, stats.Fuel, refused.Fuel, "the guest did not run")
	for name, operate := range operations {
		err := operate(p, 1)
		switch name {
		case "save", "sweep":
			require.NoError(t, err, name)
		case "get", "set", "delete", "clear", "touch":
			require.ErrorIs(t, err, plugin.ErrRate, name)
		}
	}

	passed += e.RetryAfter / 2
	require.ErrorIs(t, p.Delete(ctx, key, 1), plugin.ErrRate)
	passed += e.RetryAfter/2 + 100*time.Millisecond
	require.NoError(t, p.Delete(ctx, key, 1))
	require.ErrorIs(t, p.Delete(ctx, key, 1), plugin.ErrRate)
	passed += time.Hour // no more than the burst comes back
	for n := 0; p.Delete(ctx, key, 1) == nil; n++ {
		require.LessOrEqual(t, n, allowed)
	}
	require.Zero(t, p.Stats().Restarts)
	require.Less(t, opened, each)
}

var numbers = []wasmbin.Locals{{Count: 1, Type: wasmbin.I32}}

// A guest without a bound per second is never refused.
func TestNoFuelRate(t *testing.T) {
	config := metered()
	config.FuelRate = -1
	plugin.Passed(&config, func() time.Duration { return 0 })
	p := open(t, guest(t, "hostile"), config)
	for range 5 {
		require.NoError(t, p.Clear(ctx, actSleep))
	}
	require.Zero(t, p.Stats().Throttled)
	require.False(t, bytes.Contains([]byte(p.Stats().Shards[0].LastError), []byte("fuel")))
}
