package plugin_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// deepGuest is a guest whose session_get goes megabytes deep, and comes back.
var deepGuest = tiring{does: "i32.const 30000 call f0", kinds: []string{"\x60\x01\x7f\x00"},
	functions: []string{"local.get 0 if local.get 0 i32.const 1 i32.sub call f0 end"}}

// The stack that a call took is given back when the call has ended, so many instances
// whose guests went deep once do not keep it.
func TestDeepStacksAreGivenBack(t *testing.T) {
	config := quiet()
	config.Trusted = false
	config.Shards, config.MemoryLimit = 1, 1<<20
	module, err := plugin.DefaultHost().Compile(ctx, deepGuest.in("session_get"), config)
	require.NoError(t, err)
	defer module.Close()
	const instances = 100
	var all []*plugin.Plugin
	for range instances {
		p, err := module.Open(ctx, config)
		require.NoError(t, err)
		defer p.Close(ctx)
		require.NoError(t, p.Clear(ctx, 1))
		all = append(all, p)
	}
	get := func() {
		for _, p := range all {
			_, err := p.Get(ctx, key, 1)
			require.NoError(t, err)
			require.NoError(t, p.Clear(ctx, 1))
		}
	}
	before := heapInUse()
	var fuel uint64
	for range 2 {
		get()
		require.Less(t, heapInUse()-before, int64(instances*(64<<10)))
		used := all[0].Stats().Ops["get"].Fuel
		require.Equal(t, fuel, used/2*min(1, fuel), "the second time it uses as much")
		fuel = used
	}
}
