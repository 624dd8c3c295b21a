package plugin_test

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestCloseWhileCallsRun(t *testing.T) {
	for name, deadline := range map[string]time.Duration{"trusted": 0, "with a deadline": time.Minute} {
		t.Run(name, func(t *testing.T) {
			config := quiet()
			config.Trusted, config.Deadline = deadline == 0, deadline
			p := open(t, guest(t, "store"), config)
			started := make(chan struct{}, 16)
			var wait sync.WaitGroup
			for i := range 16 {
				wait.Go(func() {
					for n := 0; ; n++ {
						k := fmt.Append(nil, i)
						err := p.Set(ctx, store.Write{Key: k, Value: value(1, "v"), Now: 1})
						if err == nil {
							_, err = p.Get(ctx, k, 1)
						}
						if n == 10 {
							started <- struct{}{}
						}
						if err != nil {
							if err != store.ErrClosed {
								t.Errorf("an unexpected error: %v", err)
							}
							return
						}
					}
				})
			}
			for range 16 {
				<-started
			}
			wait.Go(func() { _ = p.Stats() })
			wait.Go(func() {
				if err := p.Close(ctx); err != nil {
					t.Error(err)
				}
			})
			require.NoError(t, p.Close(ctx))
			wait.Wait()
			stats := p.Stats()
			require.Equal(t, plugin.StateClosed, stats.Shards[0].State)
			require.Zero(t, stats.Memory)
			require.Equal(t, uint64(2), stats.Ops["save"].Calls, "closing saves every shard once")
		})
	}
}

func TestCloseSaysThatItCouldNotSave(t *testing.T) {
	clock := newClock()
	clock.now = time.UnixMilli(int64(actTrap))
	config := quiet()
	config.Shards, config.Now = 1, clock.Now
	p := open(t, guest(t, "hostile"), config)
	err := p.Close(ctx)
	require.ErrorIs(t, err, plugin.ErrTrap)
	require.ErrorContains(t, err, "not everything was saved")
	require.NoError(t, p.Close(ctx))
	_, err = p.Get(ctx, key, actWork)
	require.ErrorIs(t, err, store.ErrClosed)
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	round := func() {
		config := quiet()
		config.SweepInterval = time.Millisecond
		p, err := plugin.Open(ctx, guest(t, "store"), config)
		require.NoError(t, err)
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: 1}))
		require.NoError(t, p.Close(ctx))
	}
	round()
	goroutines, mapped := runtime.NumGoroutine(), mappedMemory(t)
	for range 50 {
		round()
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	require.Less(t, mappedMemory(t), mapped+10*64<<20, "the address space of 50 plugins is not held")
	require.Zero(t, plugin.SharedCode())
}

func TestSweeperOfItsOwn(t *testing.T) {
	clock := newClock()
	config := quiet()
	config.SweepInterval, config.Now = time.Millisecond, clock.Now
	p := open(t, guest(t, "store"), config)
	now := store.At(clock.Now())
	for i := range 50 {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, i), Expires: now + 1000, Now: now}))
	}
	sweeps := func() (least uint64) {
		least = math.MaxUint64
		for _, s := range p.Stats().Shards {
			least = min(least, s.Ops["sweep"].Calls)
		}
		return least
	}
	require.Eventually(t, func() bool { return sweeps() > 0 }, time.Minute, time.Millisecond)
	clock.advance(time.Second)
	before := sweeps()
	require.Eventually(t, func() bool { return sweeps() > before+2 }, time.Minute, time.Millisecond,
		"neither a step that began before the leap counts, nor telling the guest the time")
	n, err := p.Sweep(ctx, 1000, now+1000)
	require.NoError(t, err)
	require.Zero(t, n, "the sweeper has removed them all")

	// A guest that answers UNSUPPORTED is not asked for ever.
	config.Shards = 1
	p = open(t, guest(t, "describe_unsupported"), config)
	require.Eventually(t, func() bool { return p.Stats().Ops["sweep"].Calls == 1 }, time.Minute, time.Millisecond)
}

func TestRecycle(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	for i := range 100 {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, i), Value: value(uint64(i), "v"), Expires: 1 << 60, Now: 1}))
	}
	require.NoError(t, p.Recycle(ctx))
	require.Equal(t, uint64(2), p.Stats().Restarts)
	mapped := mappedMemory(t)
	for i := range 100 {
		got, err := p.Get(ctx, fmt.Append(nil, i), 1)
		require.NoError(t, err)
		require.Equal(t, value(uint64(i), "v"), got)
	}

	// Others read and write meanwhile.
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		wait.Go(func() {
			for n := uint64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				k := fmt.Append(nil, i)
				if err := p.Set(ctx, store.Write{Key: k, Value: value(n, "w"), Now: 1}); err != nil {
					t.Error(err)
					return
				}
				got, err := p.Get(ctx, k, 1)
				if err != nil || string(got) != string(value(n, "w")) {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	for range 50 {
		require.NoError(t, p.Recycle(ctx))
	}
	close(stop)
	wait.Wait()
	require.Less(t, mappedMemory(t), mapped+20*32<<20, "the address space of a hundred instances is not held")
}

func TestRecycleKeepsWhatItCannotCarry(t *testing.T) {
	clock := newClock()
	config := quiet()
	config.Shards, config.Now = 1, clock.Now
	p := open(t, guest(t, "store"), config)
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1}))
	p.SetSetting("too_much", string(make([]byte, 40_000)))
	err := p.Recycle(ctx)
	require.ErrorIs(t, err, store.ErrNoSpace, "a new instance does not open")
	got, err := p.Get(ctx, key, 1)
	require.NoError(t, err, "and the old one is kept")
	require.Equal(t, value(1, "v"), got)
	require.Zero(t, p.Stats().Restarts)
}

func TestMemoryGrowsToItsLimit(t *testing.T) {
	config := quiet()
	config.Shards, config.MemoryLimit = 1, 4<<20
	config.Trusted, config.Deadline = false, 50*time.Millisecond
	p := open(t, guest(t, "hostile"), config)
	done := make(chan error, 1)
	go func() { done <- p.Clear(ctx, actGrow) }()
	require.ErrorIs(t, <-done, plugin.ErrDeadline, "memory.grow fails at the limit, and the guest goes on")
	require.Equal(t, int64(4<<20), p.Stats().MemoryLimit)
}

func TestStats(t *testing.T) {
	config := quiet()
	config.Shards = 2
	p := open(t, guest(t, "store"), config)
	for i := range 10 {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, i), Now: 1}))
	}
	for i := range 10 {
		_, err := p.Get(ctx, fmt.Append(nil, i+5), 1)
		require.Equal(t, i >= 5, err != nil)
	}
	for range 3 {
		require.ErrorIs(t, p.Set(ctx, store.Write{Key: []byte("0"), Expect: store.Absent, Now: 1}), store.ErrConflict)
	}
	stats := p.Stats()
	require.Equal(t, plugin.OpStats{Calls: 13, Conflicts: 3}, stats.Ops["set"])
	require.Equal(t, plugin.OpStats{Calls: 10, NotFound: 5}, stats.Ops["get"])
	require.Equal(t, uint64(23), stats.Calls)
	require.Zero(t, stats.Errors)
	require.Equal(t, int64(2*18*65536), stats.Memory)
	require.Equal(t, int64(64<<20), stats.MemoryLimit)
	require.Len(t, stats.Shards, 2)
	require.Equal(t, stats.Ops["get"].Calls, stats.Shards[0].Ops["get"].Calls+stats.Shards[1].Ops["get"].Calls)
}

func TestInterpreterSaysSo(t *testing.T) {
	var log logBuffer
	config := quiet()
	config.Logger = log.logger()
	p, err := plugin.OpenInterpreted(ctx, guest(t, "store"), config)
	require.NoError(t, err)
	defer p.Close(ctx)
	require.Equal(t, "interpreter", p.Stats().Runtime)
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "interpreted")
}

func TestZeroConfig(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	defer slog.SetDefault(old)
	p, err := plugin.Open(ctx, guest(t, "store"), plugin.Config{})
	require.NoError(t, err)
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: 1}))
	require.NoError(t, p.Close(ctx))
}
