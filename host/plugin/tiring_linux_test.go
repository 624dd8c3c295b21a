package plugin_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"golang.org/x/sys/unix"
)

// threadTime is the processor time that this thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// running returns how long a call ran on a processor. The call stays on its goroutine.
func running(call func() error) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	err := call()
	return threadTime() - before, err
}

// tiringConfig has room for a guest with a gigabyte of memory and a directory. Its pauses
// do not last, and only the bounds of a call end it.
func tiringConfig(t *testing.T, c *clock) plugin.Config {
	config := quiet()
	config.Trusted, config.Shards, config.MemoryLimit, config.Now, config.FuelRate = false, 1, 1<<30+1<<22, c.Now, -1
	config.Deadline, config.OpenDeadline = patientDeadline, patientDeadline
	config.Mounts = []plugin.Mount{{Dir: t.TempDir()}}
	return config
}

const (
	// endsAfter is a deadline, and endsBefore how long a call may have run in the end. On a
	// quiet machine it is little more; the factor is for others.
	endsAfter  = 50 * time.Millisecond
	endsBefore = 8 * endsAfter
)

// A guest that computes without an end is ended by its deadline soon after it, whatever it
// does, and collections go on meanwhile.
func TestTiringGuestsEndWithTheirDeadline(t *testing.T) {
	if testing.Short() || raced {
		t.Skip("takes half a minute, and measures")
	}
	for _, g := range tirings() {
		t.Run(g.name, func(t *testing.T) {
			clock := newClock()
			config := tiringConfig(t, clock)
			config.Fuel = 1 << 50
			p := open(t, g.in("session_get"), config)
			p.SetDeadline(endsAfter)
			least, counted, collections, stops := time.Hour, time.Duration(0), int64(0), newStops()
			for range 3 { // a machine may be busy with other things
				clock.advance(time.Hour)
				require.NoError(t, p.Save(ctx, 1), "it is well otherwise")
				var ran time.Duration
				var err error
				collections += collecting(func() { ran, err = running(func() error { _, err := p.Get(ctx, key, 1); return err }) })
				var e *plugin.Error
				require.ErrorAs(t, err, &e)
				require.ErrorIs(t, err, plugin.ErrDeadline)
				require.EqualValues(t, endsAfter, e.Allowed)
				counted = durationOf(e.Used)
				require.Greater(t, e.Used, e.Allowed)
				require.NoError(t, readable(err, "may run for 50ms"))
				if least = min(least, ran); least < endsBefore && collections > 3 {
					break
				}
			}
			t.Logf("%s ran for %v, of which %v were counted; %d collections, the longest stop %v", g.name, least, counted, collections, stops.longest())
			require.Less(t, least, endsBefore)
			require.Greater(t, collections, int64(3))
		})
	}
}

// collecting returns how many garbage collections ended during a call. A guest that does not
// give Go control lets none end.
func collecting(call func()) int64 {
	var ended, n atomic.Int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for ended.Load() == 0 {
			runtime.GC()
			if ended.Load() == 0 {
				n.Add(1)
			}
		}
	})
	call()
	ended.Store(1)
	wait.Wait()
	return n.Load()
}

// A bound in fuel ends it at the same place each time, soon after the bound, in both
// engines.
func TestTiringGuestsEndWithTheirFuel(t *testing.T) {
	const fuel = 1<<22 + 12345
	for _, g := range tirings() {
		t.Run(g.name, func(t *testing.T) {
			var used []int64
			for engine, open := range engines {
				for range 2 {
					clock := newClock()
					config := tiringConfig(t, clock)
					config.Fuel = fuel
					p, err := open(ctx, g.in("session_get"), config)
					require.NoError(t, err, engine)
					_, err = p.Get(ctx, key, 1)
					var e *plugin.Error
					require.ErrorAs(t, err, &e, engine)
					require.ErrorIs(t, err, plugin.ErrFuel, engine)
					require.EqualValues(t, fuel, e.Allowed)
					require.NoError(t, readable(err, "units: may use 4206649"))
					require.NoError(t, p.Close(ctx))
					used = append(used, e.Used)
				}
			}
			for _, u := range used {
				require.Equal(t, used[0], u, "%v", used)
			}
			require.Greater(t, used[0], int64(fuel))
			require.Less(t, used[0], int64(fuel+1<<21))
			t.Logf("%d units beyond the bound", used[0]-fuel)
		})
	}
}

// The bounds hold in every export, in opening and in operations.
func TestTiringGuestsEndInEveryExport(t *testing.T) {
	operation := map[string]string{"session_get": "get", "session_set": "set", "session_delete": "delete", "session_clear": "clear", "session_save": "save",
		"session_touch": "touch", "session_sweep": "sweep", "session_keys": "keys", "session_snapshot": "snapshot", "session_restore": "restore"}
	opening := []string{"_initialize", "session_describe", "session_alloc", "session_open"}
	tried := 0
	for _, g := range tirings() {
		if !strings.Contains(" loop |wide calls, 31 deep|fill of a gigabyte|random_get of 48 MiB|fd_write of newlines", g.name) {
			continue
		}
		for _, kind := range []error{plugin.ErrFuel, plugin.ErrDeadline} {
			t.Run(fmt.Sprint(g.name, "/", kind), func(t *testing.T) {
				bound := func(c *plugin.Config, opening bool) {
					switch {
					case kind == plugin.ErrFuel && opening:
						c.OpenFuel = 1 << 22
					case kind == plugin.ErrFuel:
						c.Fuel = 1 << 22
					case opening:
						c.OpenDeadline = shortDeadline
					}
				}
				for _, export := range opening {
					config := tiringConfig(t, newClock())
					bound(&config, true)
					config.FuelRate = -1
					p, err := plugin.Open(ctx, g.in(export), config)
					if err == nil {
						_ = p.Close(ctx)
					}
					require.ErrorIs(t, err, plugin.ErrOpen, export)
					require.ErrorIs(t, err, kind, export)
					require.NoError(t, readable(err, "may "), export)
					tried++
				}
				for export, name := range operation {
					config := tiringConfig(t, newClock())
					bound(&config, false)
					p := open(t, g.in(export), config)
					if kind == plugin.ErrDeadline {
						p.SetDeadline(shortDeadline)
					}
					err := operations[name](p, 1)
					var e *plugin.Error
					require.ErrorAs(t, err, &e, export)
					require.ErrorIs(t, err, kind, export)
					require.Equal(t, name, e.Op)
					tried++
				}
			})
		}
	}
	require.Greater(t, tried, 100)
}

// A guest that does not end when it is closed ends by its bound there, too.
func TestTiringGuestsAreClosed(t *testing.T) {
	config := tiringConfig(t, newClock())
	config.Fuel = 1 << 22
	p := open(t, tirings()[0].in("session_save"), config)
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}))
	require.ErrorIs(t, p.Close(ctx), plugin.ErrFuel)
	require.Equal(t, plugin.StateClosed, p.Stats().Shards[0].State)
}

// Nothing stays of a guest that ran out in the middle of anything.
func TestRunningOutLeavesNothing(t *testing.T) {
	g := tirings()[0]
	clock := newClock()
	config := tiringConfig(t, clock)
	config.Fuel, config.MemoryLimit = 1<<21, 1<<20
	p := open(t, g.in("session_clear"), config)
	out := func(n int) {
		for range n {
			err := p.Clear(ctx, 1)
			require.ErrorIs(t, err, plugin.ErrFuel)
			clock.advance(time.Hour)
		}
	}
	out(10)
	runtime.GC()
	threads, goroutines, mapped := threadsOfProcess(t), runtime.NumGoroutine(), mappedMemory(t)
	out(200)
	runtime.GC()
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	require.LessOrEqual(t, threadsOfProcess(t), threads+4, "the goroutine is locked to its thread for the call only")
	require.LessOrEqual(t, mappedMemory(t), mapped+64<<20)
	require.False(t, errors.Is(p.Save(ctx, 1), plugin.ErrFuel))
}
