package plugin_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// settled returns how many goroutines are left once others have ended.
func settledGoroutines() (n int) {
	least := runtime.NumGoroutine()
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}

// Two hundred plugins of one module are compiled once and open at a fraction of the
// first one's price. They have no goroutine, memory or mapping of their own before
// they are used, and no goroutine after.
func TestManyPluginsOfAModule(t *testing.T) {
	const plugins = 200
	h := hosted(t, plugin.HostConfig{})
	wasm, err := memory.Module()
	require.NoError(t, err)
	config := quiet()
	config.SweepInterval, config.Durability, config.SaveInterval = time.Hour, plugin.DurabilityInterval, time.Hour
	goroutines := settledGoroutines()

	began := time.Now()
	m, err := h.Compile(ctx, wasm, config)
	require.NoError(t, err)
	defer m.Close()
	all := []*plugin.Plugin{openModule(t, m, config)}
	set(t, all[0], "k")
	first := time.Since(began)
	// The tasks of the beginning are done: sweeping, counting and saving are left.
	require.Eventually(t, func() bool { return h.Stats().Tasks == 3 }, time.Minute, time.Millisecond)
	used := h.Stats()
	require.Positive(t, used.Memory.Used)

	began = time.Now()
	for range plugins - 1 {
		all = append(all, openModule(t, m, config))
	}
	each := time.Since(began) / (plugins - 1)
	t.Logf("the first took %v, another one %v", first, each)
	require.Less(t, each, first/20)

	s := h.Stats()
	require.EqualValues(t, 1, s.Compiled)
	require.Equal(t, 1, s.Modules)
	require.Equal(t, plugins, s.Plugins)
	require.Equal(t, used.Memory, s.Memory, "who is not used has none")
	require.Equal(t, used.AddressSpace, s.AddressSpace)
	require.Equal(t, used.Mappings, s.Mappings)
	require.Equal(t, used.Tasks, s.Tasks, "and nothing to be done")
	require.LessOrEqual(t, settledGoroutines(), goroutines+1, "the scheduler's")

	for i, p := range all {
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(uint64(i)+1, "v"), Now: 1}))
	}
	require.LessOrEqual(t, settledGoroutines(), goroutines+1)
	for i, p := range all {
		got, err := p.Get(ctx, key, 1)
		require.NoError(t, err)
		require.Equal(t, value(uint64(i)+1, "v"), got, "each has its own")
		require.NoError(t, p.Close(ctx))
	}
	require.LessOrEqual(t, settledGoroutines(), goroutines)
}

// A lazy plugin is refused for what shows without running it. The first call returns
// the guest's own refusal.
func TestLazyPluginSaysAtTheFirstCall(t *testing.T) {
	config := quiet()
	config.Lazy = true
	_, err := plugin.Open(ctx, guest(t, "export_missing"), config)
	require.ErrorIs(t, err, plugin.ErrExport)
	p := open(t, guest(t, "open_refuses"), config)
	require.Equal(t, "guest", p.Name())
	require.Zero(t, p.Info().MaxKey, "nothing is known of what a guest says of itself before it has run")
	require.NoError(t, p.Save(ctx, 1))
	_, err = p.Get(ctx, key, 1)
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorContains(t, err, "unknown setting: colour")

	config.Lazy = false
	_, err = plugin.Open(ctx, guest(t, "open_refuses"), config)
	require.ErrorIs(t, err, plugin.ErrOpen)

	config.Lazy, config.Mounts = true, []plugin.Mount{{Dir: t.TempDir() + "/none"}}
	_, err = plugin.Open(ctx, guest(t, "store"), config)
	require.ErrorIs(t, err, plugin.ErrDirectory)
}

// The guest judges a directory of another number of shards at once.
func TestLazyPluginOverADirectoryOfAnotherNumber(t *testing.T) {
	dir, wasm := t.TempDir(), fileGuest(t)
	p := open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 10)
	require.NoError(t, p.Close(ctx))
	config := overDir(dir, 4)
	config.Lazy = true
	_, err := plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrShards)
	config.Shards = 2
	p = open(t, wasm, config)
	require.Zero(t, p.Stats().Memory)
	_, err = p.Get(ctx, []byte("key 7"), 1)
	require.NoError(t, err)
}

// fillIdle writes records, and requireFull looks for them.
func fillIdle(t *testing.T, p *plugin.Plugin, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: value(uint64(i)+1, "v"), Now: 1}))
	}
}

func requireFull(t *testing.T, p *plugin.Plugin, n int) {
	t.Helper()
	for i := range n {
		got, err := p.Get(ctx, fmt.Appendf(nil, "key %d", i), 1)
		require.NoError(t, err)
		require.Equal(t, value(uint64(i)+1, "v"), got)
	}
}

// A sleeping plugin takes no mapping, no task and no open file, and no memory but for the
// records that the host keeps. It has all its records at the next call: in files, or with
// the host.
func TestSleepGivesEverythingBack(t *testing.T) {
	engine, err := memory.Module()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		wasm      []byte
		files     bool
		snapshots bool
		tasks     int // sweeping, counting and saving, if there is something to do
	}{
		"small guest":   {wasm: guest(t, "store"), tasks: 1},
		"memory engine": {wasm: engine, tasks: 2},
		"with a file":   {wasm: engine, snapshots: true, tasks: 3},
		"files":         {wasm: fileGuest(t), files: true, tasks: 3},
	} {
		t.Run(name, func(t *testing.T) {
			h := hosted(t, plugin.HostConfig{})
			config := quiet()
			config.NoCache = false // compiling the engine takes most of the time
			config.Host, config.MemoryLimit, config.SweepInterval = h, 128<<20, time.Hour
			if c.files {
				config.Mounts = []plugin.Mount{{Dir: t.TempDir()}}
			}
			if c.snapshots {
				config.Snapshots = t.TempDir()
			}
			p := open(t, c.wasm, config)
			fillIdle(t, p, 60)
			told := func(tasks int) { // the tasks of the beginning are done
				require.Eventually(t, func() bool { return h.Stats().Tasks == tasks }, time.Minute, time.Millisecond)
			}
			told(c.tasks)
			awake := h.Stats()
			for range 3 {
				require.NoError(t, p.Sleep(ctx))
				s := h.Stats()
				if c.files {
					require.Zero(t, s.Memory.Used)
				} else {
					require.Positive(t, s.Memory.Used, "what the host keeps")
					require.Less(t, s.Memory.Used, int64(60*100))
				}
				require.Zero(t, s.AddressSpace.Used)
				require.Zero(t, s.Tasks)
				require.Less(t, s.Mappings.Used, awake.Mappings.Used)
				require.Equal(t, plugin.StateResting, p.Stats().Shards[0].State)
				requireFull(t, p, 60)
				s = h.Stats()
				require.Equal(t, awake.Mappings, s.Mappings)
				require.Equal(t, awake.Memory, s.Memory, "the instance has its records again, and the host none")
				told(c.tasks)
				require.Zero(t, p.Stats().Restarts)
			}
			require.NoError(t, p.Sleep(ctx))
			require.NoError(t, p.Close(ctx))
			if c.files || c.snapshots {
				p = open(t, c.wasm, config)
				requireFull(t, p, 60)
				require.NoError(t, p.Close(ctx))
			}
		})
	}
}

// The records that the host keeps for guests that sleep count as the guests' memory does.
// Where there is no room for them, the guest does not sleep, and has lost nothing.
func TestRecordsOfSleepingGuestsCount(t *testing.T) {
	const room = 256 << 10
	wasm, err := os.ReadFile("../storetest/plugintest/testdata/mutants/wasm/base.wasm")
	require.NoError(t, err)
	config := quiet()
	config.Shards = 1
	write := func(p *plugin.Plugin, n, size int) {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, "large ", n), Value: value(1, strings.Repeat("v", size)), Now: 1}))
	}
	filled := func(h *plugin.Host) *plugin.Plugin {
		config.Host = h
		p := open(t, wasm, config)
		for n := range 60 {
			write(p, n, 8000)
		}
		return p
	}
	probe := hosted(t, plugin.HostConfig{})
	p := filled(probe)
	instance := probe.Stats().Memory.Used
	require.NoError(t, p.Close(ctx))

	h := hosted(t, plugin.HostConfig{Memory: instance + room})
	p = filled(h)
	for range 3 {
		err := p.Sleep(ctx)
		require.ErrorIs(t, err, plugin.ErrBudget)
		require.ErrorContains(t, err, "HostConfig.Memory is")
		require.ErrorContains(t, err, "the guest does not sleep")
		require.Equal(t, plugin.StateRunning, p.Stats().Shards[0].State)
		require.Equal(t, instance, h.Stats().Memory.Used)
	}
	for n := range 60 {
		_, err := p.Get(ctx, fmt.Append(nil, "large ", n), 1)
		require.NoError(t, err)
	}
	require.Zero(t, p.Stats().Restarts)

	for n := range 60 {
		write(p, n, 100)
	}
	require.NoError(t, p.Sleep(ctx))
	kept := h.Stats().Memory.Used
	require.Greater(t, kept, int64(60*100))
	require.Less(t, kept, int64(room))
	// Another guest has what is left, and no more.
	other := open(t, wasm, config)
	for n := 0; ; n++ {
		err := other.Set(ctx, store.Write{Key: fmt.Append(nil, "other ", n), Value: value(1, strings.Repeat("v", 8000)), Now: 1})
		if err != nil {
			require.ErrorIs(t, err, store.ErrNoSpace)
			break
		}
	}
	both := h.Stats().Memory.Used
	require.Greater(t, both, instance)
	_, err = p.Get(ctx, []byte("large 7"), 1)
	require.ErrorIs(t, err, plugin.ErrBudget, "another one took the room")
	require.Equal(t, both, h.Stats().Memory.Used, "its records stay kept")
	require.NoError(t, other.Close(ctx))
	require.Eventually(t, func() bool {
		_, err := p.Get(ctx, []byte("large 7"), 1)
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	require.LessOrEqual(t, h.Stats().Memory.Used, instance)
	require.NoError(t, p.Sleep(ctx))
	require.NoError(t, p.Close(ctx))
	require.Zero(t, h.Stats().Memory.Used, "closing keeps nothing")
}

// With SleepAfter the host puts idle shards, and only those, to sleep by itself.
func TestIdlePluginsSleep(t *testing.T) {
	h := hosted(t, plugin.HostConfig{})
	config := quiet()
	config.Host, config.SleepAfter = h, 20*time.Millisecond
	p := open(t, guest(t, "store"), config)
	fillIdle(t, p, 40)
	for range 3 {
		require.Eventually(t, func() bool { return h.Stats().AddressSpace.Used == 0 }, time.Minute, time.Millisecond)
		require.Eventually(t, func() bool { return h.Stats().Tasks == 0 }, time.Minute, time.Millisecond, "nothing is left to be done")
		requireFull(t, p, 40)
	}
}

// A guest whose records would be lost is refused with SleepAfter, and never closed.
func TestWhatCannotSleep(t *testing.T) {
	config := quiet()
	config.SleepAfter = time.Millisecond
	tiny := guest(t, "tiny")
	for _, lazy := range []bool{false, true} {
		config.Lazy = lazy
		_, err := plugin.Open(ctx, tiny, config)
		require.ErrorIs(t, err, plugin.ErrExport)
		require.ErrorContains(t, err, "SleepAfter needs the export session_snapshot")
	}
	config.Lazy, config.SleepAfter = false, 0
	p := open(t, tiny, config)
	require.ErrorIs(t, p.Sleep(ctx), store.ErrUnsupported)
	require.Positive(t, p.Stats().Memory)

	config.SleepAfter = -1
	_, err := plugin.Open(ctx, tiny, config)
	require.ErrorIs(t, err, plugin.ErrConfig)
}

// When the budget is spent, a sleeping plugin returns an error until there is room, and
// its records are kept.
func TestWakingNeedsRoom(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("memory is on the heap here")
	}
	h := hosted(t, plugin.HostConfig{Mappings: 5}) // code and one instance
	clock := newClock()
	config := quiet()
	config.Host, config.Shards, config.Lazy, config.Now = h, 1, true, clock.Now
	p, q := open(t, guest(t, "store"), config), open(t, guest(t, "store"), config)
	fillIdle(t, p, 5)
	require.NoError(t, p.Sleep(ctx))
	fillIdle(t, q, 1)
	var failures atomic.Int64
	for range 10 {
		_, err := p.Get(ctx, []byte("key 1"), 1)
		require.ErrorIs(t, err, store.ErrUnavailable)
		if clock.advance(time.Second); failures.Add(1) == 1 {
			require.ErrorIs(t, err, plugin.ErrBudget)
			require.ErrorContains(t, err, "HostConfig.Mappings is 5")
		}
	}
	require.NoError(t, q.Sleep(ctx))
	requireFull(t, p, 5)
}
