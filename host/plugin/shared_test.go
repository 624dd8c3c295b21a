package plugin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// openShared opens plugins of one module that share executors.
func openShared(t *testing.T, wasm []byte, config plugin.Config, n int) []*plugin.Plugin {
	t.Helper()
	m, err := config.Host.Compile(ctx, wasm, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	all := make([]*plugin.Plugin, n)
	for i := range all {
		c := config
		c.Name = fmt.Sprint("tenant-", i)
		all[i] = openModule(t, m, c)
		require.Empty(t, all[i].Info().NotShared)
		require.True(t, all[i].Info().Shared)
	}
	return all
}

func asleep(p *plugin.Plugin) bool { return p.Stats().Shards[0].State == plugin.StateResting }

// A shared plugin costs no task, mapping or reserved address while it sleeps, and looking at it
// wakes nobody.
func TestSharedPluginsSleepByThemselves(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	config.SleepAfter, config.SweepInterval = 20*time.Millisecond, time.Millisecond
	h := config.Host
	// The guest has neither session_snapshot nor session_restore.
	all := openShared(t, guest(t, "tiny"), config, 5)
	require.Zero(t, h.Stats().Shared, "nothing has run")
	for round := range 3 {
		for i, p := range all {
			require.NoError(t, p.Set(ctx, store.Write{Key: []byte("key"), Value: value(uint64(i), "v"), Now: 1}))
		}
		require.Eventually(t, func() bool { return h.Stats().Shared.Asleep == len(all) }, time.Minute, time.Millisecond)
		require.Eventually(t, func() bool { return h.Stats().Tasks == 0 }, time.Minute, time.Millisecond)
		wakes := h.Stats().Shared.Wakes
		require.GreaterOrEqual(t, wakes, uint64(round*len(all)))
		for _, p := range all {
			s := p.Stats()
			require.Equal(t, plugin.StateResting, s.Shards[0].State)
			require.EqualValues(t, round+1, s.Ops["set"].Calls)
		}
		s := h.Stats()
		require.Equal(t, wakes, s.Shared.Wakes)
		require.Zero(t, s.AddressSpace.Used)
		require.EqualValues(t, 2+2, s.Mappings.Used, "code and images")
		got, err := all[round].Get(ctx, []byte("key"), 1)
		require.NoError(t, err)
		require.Equal(t, value(uint64(round), "v"), got)
	}
}

// No more plugins are awake than may be: the least recently used sleeps first.
func TestAwakeIsBounded(t *testing.T) {
	config := sharing(t, plugin.HostConfig{Awake: 3})
	all := openShared(t, guest(t, "store"), config, 6)
	use := func(i int) {
		t.Helper()
		_, err := all[i].Get(ctx, []byte("absent"), 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.LessOrEqual(t, config.Host.Stats().Shared.Awake, 3)
	}
	expect := func(want ...int) {
		t.Helper()
		var got []int
		for i, p := range all {
			if !asleep(p) {
				got = append(got, i)
			}
		}
		require.Equal(t, want, got)
	}
	for i := range all[:4] {
		use(i)
	}
	expect(1, 2, 3)
	use(1)
	use(4)
	expect(1, 3, 4)
	for range 10 {
		use(3) // stays on its executor
	}
	use(5)
	use(0)
	expect(0, 3, 5)
	for range 3 {
		for i := range all {
			use(i)
		}
	}
	require.Equal(t, 3, config.Host.Stats().Shared.Asleep)
}

// Before the host's memory refuses anything, what idle plugins take is counted to the page, and
// then they are put to sleep. One that cannot be woken keeps what it has.
func TestSharedPluginsMakeRoom(t *testing.T) {
	const page = 64 << 10
	config := sharing(t, plugin.HostConfig{Memory: 400 * page})
	h := config.Host
	all := openShared(t, guest(t, "shares"), config, 200)
	for i, p := range all {
		s := &sharer{p: p, pages: sharePages}
		require.NoError(t, s.sets(int64(i+1)))
	}
	s := h.Stats()
	require.Equal(t, len(all), s.Shared.Awake, "each has written to a page or two, of four times sixteen")
	require.LessOrEqual(t, s.Memory.Used, s.Memory.Limit)

	// A plugin of its own takes nearly everything.
	greedy := quiet()
	greedy.Host, greedy.Shards, greedy.MemoryLimit, greedy.GuestConfig = h, 1, 1<<30, map[string]string{"filler": strings.Repeat("x", 80)}
	big := open(t, guest(t, "shares"), greedy)
	_, err := big.Get(ctx, key, shareGrowAll)
	require.NoError(t, err)
	s = h.Stats()
	require.Greater(t, big.Stats().Memory, s.Memory.Limit*8/10)
	require.Equal(t, len(all), s.Shared.Asleep)
	for _, p := range all {
		_, err := p.Get(ctx, key, shareWork)
		if err == nil {
			require.NoError(t, p.Sleep(ctx))
			continue
		}
		require.ErrorIs(t, err, plugin.ErrBudget)
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "HostConfig.Memory")
		var e *plugin.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, plugin.LimitHostMemory, e.Limit)
	}
	require.NoError(t, big.Close(ctx))
	for i, p := range all {
		got, err := p.Get(ctx, key, shareWork)
		require.NoError(t, err)
		require.EqualValues(t, i+1, binary.LittleEndian.Uint64(got[8:]))
	}
}

// A plugin with much of its own stays awake when it is only idle, and sleeps when it must.
func TestLargeGuestsStayAwake(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	config.SleepAfter = 5 * time.Millisecond
	engine, err := memory.Module()
	require.NoError(t, err)
	all := openShared(t, engine, config, 2)
	for i := range 300 {
		w := store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: make([]byte, 30_000), Now: 1}
		for j := range w.Value {
			w.Value[j] = byte(i + j)
		}
		require.NoError(t, all[0].Set(ctx, w))
	}
	require.NoError(t, all[1].Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}))
	require.Eventually(t, func() bool { return asleep(all[1]) }, time.Minute, time.Millisecond)
	time.Sleep(10 * config.SleepAfter)
	require.False(t, asleep(all[0]))
	require.NoError(t, all[0].Sleep(ctx))
	require.True(t, asleep(all[0]))
	for i := range 300 {
		got, err := all[0].Get(ctx, fmt.Appendf(nil, "key %d", i), 1)
		require.NoError(t, err)
		require.Len(t, got, 30_000)
		require.Equal(t, byte(i+29_999), got[29_999])
	}
}

// A snapshot on disk has the records of a plugin that sleeps, whether it is saved or closed.
func TestSnapshotsOfSharedPlugins(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	config.Snapshots = t.TempDir()
	wasm := guest(t, "store")
	for round, ends := range []func(p *plugin.Plugin){
		func(p *plugin.Plugin) { require.NoError(t, p.Save(ctx, 1)) },
		func(*plugin.Plugin) {},
	} {
		p := open(t, wasm, config)
		require.True(t, p.Info().Shared)
		if round > 0 {
			requireFull(t, p, 20)
		}
		fillIdle(t, p, 20+20*round)
		require.NoError(t, p.Sleep(ctx))
		ends(p)
		require.NoError(t, p.Sleep(ctx))
		require.NoError(t, p.Close(ctx))
	}
	p := open(t, wasm, config)
	requireFull(t, p, 40)
}

// A call that waits for an executor leaves when its context ends. Nothing has happened to
// its guest, and it works as soon as there is one.
func TestCallsWaitForAnExecutor(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	config.GuestConfig = map[string]string{"filler": strings.Repeat("x", 80)}
	slow := config
	slow.Logger = slog.New(&holding{entered: entered, leave: leave})
	m, err := config.Host.Compile(ctx, guest(t, "shares"), config)
	require.NoError(t, err)
	defer m.Close()
	holder, waiter := openModule(t, m, slow), openModule(t, m, config)
	s := &sharer{p: waiter, pages: sharePages}
	require.NoError(t, s.sets(7))
	waiter.LimitExecutors(1)

	held := make(chan error)
	go func() {
		_, err := holder.Get(ctx, key, shareLine)
		held <- err
	}()
	<-entered
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = waiter.Get(short, key, shareWork)
	require.Equal(t, context.DeadlineExceeded, err)
	waits := make(chan error)
	go func() { waits <- s.does(shareWork, newClock()) }()
	select {
	case err := <-waits:
		t.Fatal(err)
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	require.NoError(t, <-held)
	require.NoError(t, <-waits)
	require.Zero(t, waiter.Stats().Restarts)
	require.Equal(t, 1, config.Host.Stats().Shared.Executors)
}

// holding is a handler that blocks at the first record.
type holding struct {
	slog.Handler
	entered, leave chan struct{}
}

func (*holding) Enabled(context.Context, slog.Level) bool { return true }
func (b *holding) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "line of the guest" {
		b.entered <- struct{}{}
		<-b.leave
	}
	return nil
}

// Nothing that a plugin had is anywhere in the memory or the globals of another, whatever became of
// the first: it sleeps, has failed, or was closed.
func TestSecretsStayWithTheirPlugin(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	clock := newClock()
	config.Now = clock.Now
	for name, wasm := range manyGuests(t) {
		t.Run(name, func(t *testing.T) {
			all := openShared(t, wasm, config, 4)
			all[0].LimitExecutors(1)
			secret := bytes.Repeat([]byte("SECRET!!"), 100)
			tell := func(p *plugin.Plugin) {
				for i := range 100 {
					require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Appendf(nil, "SECRET!! %d", i), Value: secret, Now: 1}))
				}
			}
			knows := func(p *plugin.Plugin) bool {
				_, err := p.Get(ctx, []byte("absent"), 1)
				require.ErrorIs(t, err, store.ErrNotFound)
				memory, _ := p.MemoryOf()
				require.NotEmpty(t, memory)
				return bytes.Contains(memory, []byte("SECRET"))
			}
			for round, ends := range []func(p *plugin.Plugin){
				func(p *plugin.Plugin) {},
				func(p *plugin.Plugin) { require.NoError(t, p.Sleep(ctx)) },
				func(p *plugin.Plugin) { p.Poison() },
				func(p *plugin.Plugin) { require.NoError(t, p.Close(ctx)) },
			} {
				clock.advance(time.Minute)
				tell(all[0])
				require.True(t, knows(all[0]))
				ends(all[0])
				for _, p := range all[1:] {
					require.False(t, knows(p), "round %d", round)
					require.NoError(t, p.Sleep(ctx))
					require.False(t, knows(p), "round %d", round)
				}
			}
		})
	}
}

// Opening, calling, sleeping, failing and closing leave nothing behind.
func TestSharedPluginsLeaveNothing(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	config.Now = newClock().Now
	m, err := config.Host.Compile(ctx, guest(t, "store"), config)
	require.NoError(t, err)
	defer m.Close()
	rounds := 1000
	if testing.Short() || raced {
		rounds = 100
	}
	round := func(i int) {
		p, err := m.Open(ctx, config)
		require.NoError(t, err)
		fillIdle(t, p, 3)
		if i%2 == 0 {
			require.NoError(t, p.Sleep(ctx))
		}
		if i%3 == 0 {
			requireFull(t, p, 3)
		}
		if i%5 == 0 {
			p.Poison()
		}
		require.NoError(t, p.Close(ctx))
	}
	has := func() (mappings, files, goroutines int, heap uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		maps, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		fds, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return bytes.Count(maps, []byte("\n")), len(fds), runtime.NumGoroutine(), m.HeapAlloc
	}
	for i := range 60 {
		round(i)
	}
	before := config.Host.Stats()
	mappings, files, goroutines, heap := has()
	for i := range rounds {
		round(i)
	}
	after := config.Host.Stats()
	require.Equal(t, before.Memory, after.Memory)
	require.Equal(t, before.Mappings, after.Mappings)
	require.Equal(t, before.AddressSpace, after.AddressSpace)
	require.Zero(t, after.Shared.Awake+after.Shared.Asleep)
	var now [4]int
	require.Eventually(t, func() bool {
		m, f, g, h := has()
		now = [...]int{m - mappings, f - files, g - goroutines, int(h) - int(heap)}
		return now[0] <= 20 && now[1] <= 0 && now[2] <= 2 && /* of the test */ now[3] < 1<<20
	}, 10*time.Second, 100*time.Millisecond, "%v more mappings, files, goroutines, bytes", &now)
}

// What a plugin that may share needs and cannot have is told once, and it works all the same.
func TestWhyAPluginDoesNotShare(t *testing.T) {
	for name, c := range map[string]struct {
		wasm   []byte
		change func(*plugin.Config)
		why    string
	}{
		"mounts":       {guest(t, "store"), func(c *plugin.Config) { c.Mounts = []plugin.Mount{{Dir: t.TempDir(), Path: "/data"}} }, "mounts"},
		"not asked to": {guest(t, "store"), func(c *plugin.Config) { c.Shared = false }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			config := sharing(t, plugin.HostConfig{})
			config.Logger, config.Shards = log.logger(), 1
			c.change(&config)
			for range 2 {
				p := open(t, c.wasm, config)
				require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(5, "12345678"), Now: 1}))
				_, err := p.Get(ctx, key, 1<<40)
				require.NoError(t, err)
				info := p.Info()
				require.Equal(t, c.why == "" && config.Shared, info.Shared)
				require.Contains(t, info.NotShared, c.why)
				require.NoError(t, p.Close(ctx))
			}
			want := 0
			if c.why != "" {
				want = 2
			}
			require.Equal(t, want, strings.Count(log.String(), "does not share executors"))
		})
	}
}

// A plugin that may have less memory than the first of its module began with has an instance of its
// own.
func TestAPluginWithLittleRoomDoesNotShare(t *testing.T) {
	config := sharing(t, plugin.HostConfig{})
	wasm := guest(t, "init_grow")
	for i, pages := range []int64{8, 16, 7, 8} {
		config.MemoryLimit = pages << 16
		p := open(t, wasm, config)
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(5, ""), Now: 1}))
		require.Equal(t, pages >= 8, p.Info().Shared, i)
		if pages < 8 {
			require.Contains(t, p.Info().NotShared, "less memory")
			require.EqualValues(t, pages<<16, p.Stats().Memory)
		} else {
			require.EqualValues(t, 8<<16, p.Stats().Memory)
		}
	}
}
