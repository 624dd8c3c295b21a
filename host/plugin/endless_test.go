package plugin_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// endlessMemory is the memory of the guest of endless.wat, endlessMost what it may return.
const (
	endlessMemory = 1 << 20
	endlessMost   = 4 * endlessMemory
)

// neverEnding opens the guest of endless.wat with one shard. like describes its chunks.
func neverEnding(t *testing.T, like string, deadline time.Duration, change func(*plugin.Config)) *plugin.Plugin {
	config := quiet()
	config.Shards, config.MemoryLimit, config.SaveInterval = 1, endlessMemory, time.Hour
	config.Trusted, config.Deadline = deadline == 0, deadline
	if like == "waits" || like == "drains" {
		plugin.HurrySequences(&config, 100*time.Millisecond)
	}
	if change != nil {
		change(&config)
	}
	p := open(t, guest(t, "endless"), config)
	become(t, p, like)
	return p
}

func become(t *testing.T, p *plugin.Plugin, like string) {
	require.NoError(t, p.Set(ctx, store.Write{Key: []byte(like), Value: value(1, ""), Now: 1}))
}

// An endless enumeration, whose cursors and keys are all new, ends when it has returned
// more than the guest can have, or has taken too long.
func TestEndlessEnumeration(t *testing.T) {
	for _, c := range []struct {
		like     string
		deadline time.Duration
		says     string
	}{
		{"large", 0, "bytes of memory"},
		{"large", time.Minute, "bytes of memory"},
		{"tiny", 0, "bytes of memory"},
		{"nothing", 0, "bytes of memory"},
		{"waits", time.Minute, "of the guest's time"},
	} {
		p := neverEnding(t, c.like, c.deadline, nil)
		given := 0
		check := func(err error) {
			require.ErrorIs(t, err, plugin.ErrEndless, c.like)
			require.ErrorIs(t, err, plugin.ErrProtocol)
			require.ErrorIs(t, err, store.ErrUnavailable)
			require.ErrorContains(t, err, c.says)
			require.LessOrEqual(t, given, endlessMost)
			_, err = p.Get(ctx, key, 1)
			require.ErrorIs(t, err, store.ErrNotFound, "the instance lives on")
		}
		var err error
		for r, e := range p.Snapshot(ctx, 1) {
			given, err = given+len(r.Key)+len(r.Value), e
		}
		check(err)
		given = 0
		for k, e := range p.Keys(ctx, 1) {
			given, err = given+len(k), e
		}
		check(err)
		require.ErrorIs(t, p.Recycle(ctx), plugin.ErrEndless)
		check(last(p.Keys(ctx, 1)))
	}
}

// Files count as well: up to the quotas, and without a bound if there is none.
func TestEnumerationOfFilesIsBoundedByTheirQuota(t *testing.T) {
	for quota, most := range map[int64]int{0: 1 << 30, 5 << 20: 24 << 20} {
		p := neverEnding(t, "large", 0, func(c *plugin.Config) {
			c.Mounts = []plugin.Mount{{Dir: t.TempDir(), MaxBytes: quota}}
		})
		given, bound := 0, 8*endlessMost
		var err error
		for r, e := range p.Snapshot(ctx, 1) {
			if given, err = given+len(r.Value), e; given > bound {
				break
			}
		}
		require.LessOrEqual(t, given, most)
		if quota == 0 {
			require.NoError(t, err)
			require.Greater(t, given, bound)
			continue
		}
		require.ErrorIs(t, err, plugin.ErrEndless)
		require.Greater(t, given, most*9/10)
	}
}

// A snapshot of it is not written and leaves nothing behind, the previous one is kept,
// and Save and Close return.
func TestEndlessSnapshot(t *testing.T) {
	for _, like := range []string{"large", "tiny", "nothing", "waits"} {
		t.Run(like, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := neverEnding(t, "empty", time.Minute, func(c *plugin.Config) {
				plugin.Hurry(c, 5*time.Minute, 10*time.Second) // a machine can be slow
				if c.Snapshots = dir; like == "waits" {
					plugin.HurrySequences(c, 100*time.Millisecond)
				}
			})
			require.NoError(t, p.Save(ctx, 1))
			before := sizes(t, dir)
			require.Contains(t, before, "sessions.snapshot")
			become(t, p, like)
			for range 3 {
				require.ErrorIs(t, p.Save(ctx, 1), plugin.ErrEndless)
				require.Equal(t, before, sizes(t, dir))
			}
			ended, cancel := context.WithCancel(ctx)
			cancel()
			err := p.Close(ended)
			require.ErrorIs(t, err, plugin.ErrEndless)
			require.NotErrorIs(t, err, plugin.ErrHung)
			require.ErrorIs(t, err, store.ErrUnavailable)
			require.Equal(t, before, sizes(t, dir))
		})
	}
}

// sizes returns the sizes of the files in a directory.
func sizes(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := make(map[string]int64)
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".lock" && e.Name()[0] != '.' {
			info, err := e.Info()
			require.NoError(t, err)
			all[e.Name()] = info.Size()
		}
	}
	return all
}

// A guest that fails in the middle each time does not make the file grow either,
// although the previous records are taken over and a part is added.
func TestSnapshotsThatFailDoNotAddUp(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	p := neverEnding(t, "fails", 0, func(c *plugin.Config) { c.Snapshots, c.Now = dir, clock.Now })
	for range 8 {
		require.ErrorIs(t, p.Save(ctx, 1), plugin.ErrTrap)
		clock.advance(time.Minute)
		become(t, p, "fails")
	}
	size := sizes(t, dir)["sessions.snapshot"]
	require.Greater(t, size, int64(endlessMost))
	require.LessOrEqual(t, size, int64(2*endlessMost))
}

// The context ends Recycle in the middle of a shard, which keeps its instance.
func TestRecycleEndsWithTheContext(t *testing.T) {
	p := neverEnding(t, "waits", 0, func(c *plugin.Config) { c.MemoryLimit = 1 << 30 })
	short, cancel := withTimeout(50 * time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Recycle(short), context.DeadlineExceeded)
	require.Zero(t, p.Stats().Restarts)
	_, err := p.Get(ctx, key, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
}

// A round of session_flush that takes a million steps does not keep Close.
func TestCloseOfAnEndlessFlush(t *testing.T) {
	var log logBuffer
	p := neverEnding(t, "drains", time.Minute, func(c *plugin.Config) { c.Logger = log.logger() })
	began := time.Now()
	require.NoError(t, p.Close(ctx))
	require.Contains(t, log.String(), "does not end")
	require.Less(t, time.Since(began), time.Minute)
}
