package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// crowd is a declaration for which each instance takes memory of the host.
type crowd struct {
	table, active, segments, globals, data, functions int
}

// crowds have as much of one thing, or of all, as a module may have.
var crowds = map[string]crowd{
	"a table":          {table: 1 << 18},
	"active elements":  {table: 1 << 18, active: 1 << 18},
	"element segments": {segments: 1<<18 - 1, active: 1},
	"globals":          {globals: 1<<13 - 1},
	"data segments":    {data: 1 << 17},
	"functions":        {functions: 1 << 15},
	"everything":       {table: 1 << 18, active: 1 << 18, globals: 1<<13 - 1, data: 1 << 17},
}

func (c crowd) module() []byte {
	replaced := map[byte]string{
		4: "\x01\x70\x00" + string(uleb(max(c.table, 1))),
		6: vector(same(c.globals+1, "\x7f\x01\x41\x00\x0b")...),
	}
	entries := func(n int) string { return string(uleb(n)) + strings.Repeat("\x00", n) }
	elements := same(c.segments, "\x00\x41\x00\x0b\x00")
	if c.active > 0 {
		elements = append(elements, "\x00\x41\x00\x0b"+entries(c.active))
	}
	if len(elements) > 0 {
		replaced[9] = vector(elements...)
	}
	if c.data > 0 {
		// All in the same place: such segments cannot be joined.
		replaced[11] = vector(same(c.data, "\x00\x41\x00\x0b\x01\x00")...)
	}
	return withSections(bomb(same(c.functions, "\x00\x0b")...), replaced)
}

// withSections puts other contents into the sections of a module, and adds those
// that it does not have.
func withSections(wasm []byte, contents map[byte]string) []byte {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		panic(err)
	}
	for id, content := range contents {
		m.Set(id, []byte(content))
	}
	return m.Append(nil)
}

// hostNeeds is what an instance of the simplest guest takes.
const hostNeeds = 64 << 10

// An instance takes no more in the host than the count for it, and not far less.
func TestInstanceSizeIsCounted(t *testing.T) {
	for engine, open := range map[string]func(context.Context, []byte, plugin.Config) (*plugin.Plugin, error){
		"compiled": plugin.Open, "interpreted": plugin.OpenInterpreted,
	} {
		for name, c := range crowds {
			t.Run(engine+"/"+name, func(t *testing.T) {
				wasm := c.module()
				outline, err := preflight.Parse(wasm, preflight.Limits{})
				require.NoError(t, err)
				counted := outline.InstanceSize(engine == "interpreted")
				taken := heapOfInstance(t, wasm, open)
				t.Logf("%d KiB for an instance, and %d are counted", taken>>10, counted>>10)
				require.LessOrEqual(t, taken, counted+hostNeeds)
				if engine == "compiled" { // in the other, elements point to functions
					require.Less(t, counted, 2*taken)
				}
			})
		}
	}
}

// A guest that would take too much is refused before any of it is compiled, with the
// sum and what to set. With as much as the message says, it runs.
func TestInstancesThatTakeTooMuch(t *testing.T) {
	wasm := crowds["everything"].module()
	config := quiet()
	config.Shards, config.MemoryLimit = 64, 4<<20
	_, err := plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrLimits)
	require.ErrorContains(t, err, "262144 entries in 1 element segments, 8192 globals, 131072 data segments")
	_, after, _ := strings.Cut(err.Error(), "set MemoryLimit to at least ")
	var enough int64
	_, scanned := fmt.Sscan(after, &enough)
	require.NoError(t, scanned, "%v", err)
	require.Greater(t, enough, int64(900<<20))

	config.Shards, config.MemoryLimit = 2, enough/32-1
	_, err = plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrLimits)
	config.MemoryLimit++
	p := open(t, wasm, config)
	require.EqualValues(t, 1<<16, p.Info().ShardMemory, "what is left is the page that it needs")

	// There are as many shards as there is room for, if their number is not fixed.
	config.Shards = 0
	require.Equal(t, 2, open(t, wasm, config).Info().Shards)
}

// heapOfInstance returns how much the Go heap grows for another instance.
func heapOfInstance(t *testing.T, wasm []byte, open func(context.Context, []byte, plugin.Config) (*plugin.Plugin, error)) int64 {
	heap := func(shards int) int64 {
		config := quiet()
		config.Shards, config.MemoryLimit = shards, 1<<34
		p, err := open(ctx, wasm, config)
		require.NoError(t, err)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		require.NoError(t, p.Close(ctx))
		return int64(m.HeapAlloc)
	}
	return (heap(16) - heap(8)) / 8
}

// attacksInMasses are guests whose instances each take much of the host. They are
// refused if MemoryLimit has no room for all instances, and otherwise stay within it.
func attacksInMasses() (all []attack) {
	for name, c := range crowds {
		made := func() ([]byte, error) { return c.module(), nil }
		little := untrusted()
		little.Shards, little.MemoryLimit = 64, 4<<20
		enough := little
		enough.MemoryLimit = 1200 << 20
		if name != "functions" && name != "globals" { // these are free
			all = append(all, refusal(masses, name+", too much", boundRefusal, made, little, plugin.ErrLimits, "set MemoryLimit"))
		}
		all = append(all, attack{masses, name + ", as much as may be", enough.MemoryLimit + boundInstance*64 + boundRunning + boundCompile, made,
			func(wasm []byte) error {
				p, err := plugin.Open(ctx, wasm, enough)
				if err != nil {
					return err
				}
				return errors.Join(p.Clear(ctx, 1), p.Close(ctx))
			}})
	}
	return all
}
