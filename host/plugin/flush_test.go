package plugin_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// slowDisk is a log that takes a while for each word "save" or "flush" of a guest, like
// a disk, and counts them.
type slowDisk struct {
	slog.Handler
	mu   sync.Mutex
	took map[string]time.Duration
	said map[string]int
}

func newSlowDisk(took map[string]time.Duration) *slowDisk {
	var log logBuffer
	return &slowDisk{Handler: log.logger().Handler(), took: took, said: make(map[string]int)}
}

func (d *slowDisk) Handle(_ context.Context, r slog.Record) error {
	d.mu.Lock()
	d.said[r.Message]++
	d.mu.Unlock()
	time.Sleep(d.took[r.Message])
	return nil
}

func (d *slowDisk) times(word string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said[word]
}

func flushing(t *testing.T, disk *slowDisk, change func(*plugin.Config)) *plugin.Plugin {
	t.Helper()
	config := quiet()
	config.Shards, config.MemoryLimit, config.Logger = 1, 1<<20, slog.New(disk)
	config.Durability, config.SaveInterval = plugin.DurabilityClose, time.Hour
	change(&config)
	return open(t, guest(t, "flushes"), config)
}

func write(t *testing.T, p *plugin.Plugin, key string, times int) {
	t.Helper()
	for range times {
		require.NoError(t, p.Set(ctx, store.Write{Key: []byte(key), Value: value(1, ""), Now: 1}))
	}
}

// Saving at intervals goes in steps, and other operations use the shard in between.
func TestSaveLoopGoesInSteps(t *testing.T) {
	disk := newSlowDisk(map[string]time.Duration{"flush": 30 * time.Millisecond, "save": time.Hour})
	p := flushing(t, disk, func(c *plugin.Config) {
		c.Durability, c.SaveInterval = plugin.DurabilityInterval, 20*time.Millisecond
	})
	write(t, p, "a", 40)
	gets, longest := 0, time.Duration(0)
	for end := time.Now().Add(10 * time.Second); disk.times("flush") < 20; gets++ {
		require.True(t, time.Now().Before(end), "%d flushes", disk.times("flush"))
		began := time.Now()
		_, err := p.Get(ctx, []byte("a"), 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		longest = max(longest, time.Since(began))
	}
	require.Greater(t, gets, 100)
	require.Less(t, longest, 400*time.Millisecond, "one step of 20")
	require.Zero(t, disk.times("save"))

	// Without writes there is nothing to save.
	var quiet int
	require.Eventually(t, func() bool {
		was := quiet
		quiet = disk.times("flush")
		return was == quiet
	}, time.Minute, 200*time.Millisecond)
	require.Equal(t, uint64(quiet), p.Stats().Ops["flush"].Calls)
	disk.mu.Lock()
	disk.took = nil
	disk.mu.Unlock()
}

// The answer that there is no such operation is no failure: the guest saves at once.
// A failed step is tried again, and the next instance saves what a lost one had.
func TestFlushThatFails(t *testing.T) {
	for _, c := range []struct {
		trick, then string
		errors      int
	}{
		{"u", "save", 0},
		{"f", "flush", 1},
		{"t", "flush", 1},
	} {
		t.Run(c.trick, func(t *testing.T) {
			disk := newSlowDisk(nil)
			p := flushing(t, disk, func(c *plugin.Config) {
				c.Durability, c.SaveInterval = plugin.DurabilityInterval, 10*time.Millisecond
			})
			write(t, p, c.trick, 1)
			require.Eventually(t, func() bool { return disk.times(c.then) > c.errors }, time.Minute, time.Millisecond)
			require.GreaterOrEqual(t, disk.times("writes could not be made durable"), c.errors)
			require.EqualValues(t, c.errors, p.Stats().Ops["flush"].Errors)
			write(t, p, "a", 1)
			before := disk.times(c.then)
			require.Eventually(t, func() bool { return disk.times(c.then) > before }, time.Minute, time.Millisecond)
		})
	}
}

// Save goes in steps as well, and is Save at the end.
func TestSaveGoesInSteps(t *testing.T) {
	disk := newSlowDisk(map[string]time.Duration{"flush": 10 * time.Millisecond})
	p := flushing(t, disk, func(*plugin.Config) {})
	write(t, p, "a", 20)
	require.NoError(t, p.Save(ctx, 1))
	require.GreaterOrEqual(t, disk.times("flush"), 8)
	require.Equal(t, 1, disk.times("save"))

	// A cancelled one leaves the round to the next.
	write(t, p, "a", 100)
	brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Save(brief, 1), context.DeadlineExceeded)
	require.NoError(t, p.Save(ctx, 1))
}

// Close waits for a save that makes progress, however long it takes, and for no other.
func TestCloseWaitsForSteps(t *testing.T) {
	disk := newSlowDisk(map[string]time.Duration{"flush": 30 * time.Millisecond})
	p := flushing(t, disk, func(c *plugin.Config) { plugin.Hurry(c, time.Second, 300*time.Millisecond) })
	write(t, p, "a", 60)
	ended, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.NoError(t, p.Close(ended))
	require.Greater(t, time.Since(began), time.Second)
	require.Equal(t, 1, disk.times("save"))
}
