package plugin_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

func saves(p *plugin.Plugin) uint64 { return p.Stats().Ops["save"].Calls }

func set(t testing.TB, p *plugin.Plugin, key string) {
	t.Helper()
	require.NoError(t, p.Set(ctx, store.Write{Key: []byte(key), Value: value(1, "v"), Now: 1}))
}

func TestDurabilityCommitSavesBeforeItAnswers(t *testing.T) {
	config := quiet()
	config.Durability = plugin.DurabilityCommit
	p := open(t, guest(t, "store"), config)
	for i, write := range []func() error{
		func() error {
			return p.Set(ctx, store.Write{Key: []byte("k"), Value: value(1, "v"), Now: 1})
		},
		func() error { return p.Touch(ctx, []byte("k"), 99, 1) },
		func() error { return p.Delete(ctx, []byte("k"), 1) },
	} {
		require.NoError(t, write())
		require.EqualValues(t, i+1, saves(p), "write %d", i)
	}
	before := saves(p)
	require.NoError(t, p.Clear(ctx, 1))
	require.Greater(t, saves(p), before)

	_, err := p.Get(ctx, []byte("k"), 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	after := saves(p)
	require.ErrorIs(t, p.Set(ctx, store.Write{Key: []byte("k"), Value: value(1, "v"), Now: 1, Expect: 7}), store.ErrConflict)
	require.Equal(t, after, saves(p), "what was not written needs no saving")
}

func TestDurabilityCommitIsSharedByWriters(t *testing.T) {
	config := quiet()
	config.Durability, config.Shards = plugin.DurabilityCommit, 1
	p := open(t, guest(t, "slowsave"), config)
	const writers, each = 16, 8
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d-%d", w, i%2)
				if err := p.Set(ctx, store.Write{Key: []byte(key), Value: value(1, "v"), Now: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	require.Less(t, saves(p), uint64(writers*each/4), "writers that wait share a save")
}

func TestDurabilityIntervalSavesWhatWasWritten(t *testing.T) {
	config := quiet()
	config.Durability, config.SaveInterval = plugin.DurabilityInterval, time.Millisecond
	config.Host = hosted(t, plugin.HostConfig{}) // it has nothing else to do
	p := open(t, guest(t, "store"), config)
	eventually := func(f func() bool) { require.Eventually(t, f, time.Minute, time.Millisecond) }
	set(t, p, "k")
	eventually(func() bool { return saves(p) > 0 })
	seen, looks := saves(p), config.Host.Rounds()
	eventually(func() bool { return config.Host.Rounds() > looks+20 })
	require.Equal(t, seen, saves(p), "nothing was written since")
	set(t, p, "k")
	eventually(func() bool { return saves(p) > seen })
}

func TestDurabilityCloseSavesAtTheEnd(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	set(t, p, "k")
	require.Zero(t, saves(p))
	require.NoError(t, p.Close(ctx))
	require.EqualValues(t, 2, saves(p), "one for each shard")
}

func TestDurabilityCommitTellsOfASaveThatFailed(t *testing.T) {
	config := quiet()
	config.Durability, config.Shards = plugin.DurabilityCommit, 1
	p := open(t, guest(t, "failsave"), config)
	err := p.Set(ctx, store.Write{Key: []byte("k"), Value: value(1, "v"), Now: 1})
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.ErrorContains(t, err, "not made durable")
}

func TestParseDurability(t *testing.T) {
	for _, d := range []plugin.Durability{plugin.DurabilityClose, plugin.DurabilityInterval, plugin.DurabilityCommit} {
		got, err := plugin.ParseDurability(d.String())
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	_, err := plugin.ParseDurability("sometimes")
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.ErrorContains(t, err, `"sometimes"`)
}

func TestMountIsForOnePluginAtATime(t *testing.T) {
	dir := t.TempDir()
	config := quiet()
	config.Mounts = []plugin.Mount{{Dir: dir}}
	first := open(t, guest(t, "store"), config)

	_, err := plugin.Open(ctx, guest(t, "store"), config)
	require.ErrorIs(t, err, plugin.ErrInUse)
	require.ErrorContains(t, err, filepath.Base(dir))
	var refused *plugin.LoadError
	require.True(t, errors.As(err, &refused))

	require.NoError(t, first.Close(ctx))
	require.NoError(t, open(t, guest(t, "store"), config).Close(ctx))
}

func TestMountsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		mounts []plugin.Mount
		kind   error
		says   string
	}{
		{"no such directory", []plugin.Mount{{Dir: filepath.Join(dir, "none")}}, plugin.ErrDirectory, "none"},
		{"relative path", []plugin.Mount{{Dir: dir, Path: "data"}}, plugin.ErrConfig, `"data"`},
		{"path that is not clean", []plugin.Mount{{Dir: dir, Path: "/a/../b"}}, plugin.ErrConfig, "/a/../b"},
		{"path twice", []plugin.Mount{{Dir: dir, ReadOnly: true}, {Dir: dir, ReadOnly: true}}, plugin.ErrConfig, "/data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := quiet()
			config.Mounts = c.mounts
			_, err := plugin.Open(ctx, guest(t, "store"), config)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
		})
	}
}
