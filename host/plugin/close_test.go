package plugin_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// stall is a log that does not return for one word of one shard until it is let go:
// the caller hangs in a function of the host.
type stall struct {
	slog.Handler
	on func(shard int64, said string) bool

	reached chan struct{} // closed when a caller hangs
	once    *sync.Once
	let     chan struct{}
	free    func() // closes let
}

func newStall(t *testing.T, on func(shard int64, said string) bool) *stall {
	var log logBuffer
	s := &stall{Handler: log.logger().Handler(), on: on, reached: make(chan struct{}), once: new(sync.Once), let: make(chan struct{})}
	s.free = sync.OnceFunc(func() { close(s.let) })
	t.Cleanup(s.free)
	return s
}

func (s *stall) Handle(ctx context.Context, r slog.Record) error {
	shard := int64(-1)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "shard" && a.Value.Kind() == slog.KindInt64 {
			shard = a.Value.Int64()
		}
		return true
	})
	if s.on(shard, r.Message) {
		s.once.Do(func() { close(s.reached) })
		<-s.let
	}
	return s.Handler.Handle(ctx, r)
}

// stalling opens a plugin of four shards with a snapshot directory and a record in
// each, saved; keys[i] belongs to shard i.
func stalling(t *testing.T, s *stall, dir string) (p *plugin.Plugin, keys [][]byte) {
	t.Helper()
	config := quiet()
	config.Shards, config.MemoryLimit, config.Snapshots, config.SaveInterval = 4, 64<<20, dir, time.Hour
	if s != nil {
		config.Logger = slog.New(s)
	}
	plugin.Hurry(&config, 50*time.Millisecond, 200*time.Millisecond)
	p = open(t, guest(t, "talks"), config)
	if s != nil {
		t.Cleanup(s.free)
	}
	keys = make([][]byte, 4)
	for i, found := 0, 0; found < 4; i++ {
		k := fmt.Append(nil, "key", i)
		if at := abi.ShardOf(k, 4); keys[at] == nil {
			keys[at] = k
			found++
		}
	}
	return p, keys
}

func put(t *testing.T, p *plugin.Plugin, key []byte, body string) {
	t.Helper()
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, body), Now: store.At(time.Now())}))
}

// held returns the bodies under keys, "" for missing ones.
func held(t *testing.T, p *plugin.Plugin, keys [][]byte) (bodies []string) {
	t.Helper()
	for _, k := range keys {
		v, err := p.Get(ctx, k, store.At(time.Now()))
		if err != nil {
			require.ErrorIs(t, err, store.ErrNotFound)
			v = make([]byte, 8)
		}
		bodies = append(bodies, string(v[8:]))
	}
	return bodies
}

// Wherever a shard hangs, Close returns when its context has ended, names the
// shard, and has saved the others. It keeps what was saved before of the one that
// hangs.
func TestCloseLeavesAShardThatHangs(t *testing.T) {
	for _, at := range []string{"set", "save", "snapshot"} {
		for _, dead := range []bool{false, true} {
			t.Run(fmt.Sprint(at, ", context ended before: ", dead), func(t *testing.T) {
				t.Parallel()
				var armed sync.Map
				s := newStall(t, func(shard int64, said string) bool {
					_, is := armed.Load("now")
					return is && shard == 2 && said == at
				})
				dir := t.TempDir()
				p, keys := stalling(t, s, dir)
				for _, k := range keys {
					put(t, p, k, "saved")
				}
				require.NoError(t, p.Save(ctx, store.At(time.Now())))
				for _, k := range keys {
					put(t, p, k, "acknowledged")
				}
				armed.Store("now", true)
				if at == "set" {
					go func() {
						_ = p.Set(ctx, store.Write{Key: keys[2], Value: value(1, "never answered"), Now: 1})
					}()
					<-s.reached
				}

				closing, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				if dead {
					cancel()
				}
				began := time.Now()
				err := p.Close(closing)
				require.Less(t, time.Since(began), 10*time.Second)
				require.ErrorIs(t, err, plugin.ErrHung)
				require.ErrorIs(t, err, store.ErrUnavailable)
				require.ErrorIs(t, err, closing.Err())
				require.ErrorContains(t, err, "shard 2 of 4")
				for i, k := range keys {
					if i != 2 {
						_, err := p.Get(ctx, k, 1)
						require.ErrorIs(t, err, store.ErrClosed)
					}
				}

				// The directory belongs to this plugin until the guest is out of it.
				copied := t.TempDir()
				for _, name := range []string{"sessions.snapshot"} {
					b, err := os.ReadFile(filepath.Join(dir, name))
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(filepath.Join(copied, name), b, 0o600))
				}
				next, _ := stalling(t, nil, copied)
				want := []string{"acknowledged", "acknowledged", "saved", "acknowledged"}
				require.Equal(t, want, held(t, next, keys))
				_, err = os.Stat(filepath.Join(dir, "sessions.snapshot.last"))
				require.ErrorIs(t, err, os.ErrNotExist)

				again, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
				defer cancel()
				require.ErrorIs(t, p.Close(again), plugin.ErrHung, "a second Close waits for what is left")
				s.free()
				require.NoError(t, p.Close(ctx))
				p, _ = stalling(t, nil, dir)
				require.NotContains(t, held(t, p, keys), "")
			})
		}
	}
}

// A shard whose save fails, or that is down, does not keep the others out of the
// snapshot. The records of a guest that cannot save are in it all the same.
func TestSnapshotWithoutAShard(t *testing.T) {
	dir := t.TempDir()
	p, keys := stalling(t, nil, dir)
	for _, k := range keys {
		put(t, p, k, "saved")
	}
	require.NoError(t, p.Save(ctx, store.At(time.Now())))
	for _, k := range keys {
		put(t, p, k, "acknowledged")
	}
	p.Fail(1)
	err := p.Save(ctx, store.At(time.Now()))
	require.ErrorIs(t, err, plugin.ErrBackoff)
	require.ErrorContains(t, err, "the snapshot has shard 1 as it was at an earlier one")
	p.Fail(1)
	require.NoError(t, p.Close(ctx))
	p, _ = stalling(t, nil, dir)
	require.Equal(t, []string{"acknowledged", "saved", "acknowledged", "acknowledged"}, held(t, p, keys))
}

// A shard that hangs keeps neither the chores nor, when its context ends, Save from
// the other shards.
func TestOthersGoOnBesideAShardThatHangs(t *testing.T) {
	s := newStall(t, func(shard int64, said string) bool { return shard == 0 && said == "set" })
	config := quiet()
	config.Shards, config.MemoryLimit, config.Logger = 4, 64<<20, slog.New(s)
	config.Durability, config.SaveInterval, config.SweepInterval = plugin.DurabilityInterval, time.Millisecond, time.Millisecond
	plugin.Hurry(&config, 10*time.Millisecond, 10*time.Millisecond)
	p := open(t, guest(t, "talks"), config)
	t.Cleanup(s.free)
	_, keys := stalling(t, nil, t.TempDir())
	go func() { _ = p.Set(ctx, store.Write{Key: keys[0], Now: 1}) }()
	<-s.reached

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := p.Get(short, keys[0], 1)
	require.ErrorIs(t, err, context.DeadlineExceeded, "who can be called off does not wait for ever")
	short, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	err = p.Save(short, 1)
	require.ErrorIs(t, err, plugin.ErrHung)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "shard 0 of 4")

	before := p.Stats()
	for _, k := range keys[1:] {
		require.NoError(t, p.Set(ctx, store.Write{Key: k, Now: 1}))
	}
	require.Eventually(t, func() bool {
		now := p.Stats()
		for i := 1; i < 4; i++ {
			for _, op := range []string{"save", "sweep"} {
				if now.Shards[i].Ops[op].Calls < before.Shards[i].Ops[op].Calls+2 && op == "sweep" ||
					now.Shards[i].Ops[op].Calls == before.Shards[i].Ops[op].Calls {
					return false
				}
			}
		}
		return true
	}, time.Minute, time.Millisecond)
	s.free()
	require.NoError(t, p.Close(ctx))
}

// While others make progress, Close goes on although its context has ended.
func TestCloseGoesOnWhileThereIsProgress(t *testing.T) {
	s := newStall(t, func(int64, string) bool { return false })
	slow := slog.New(slowly{s, 100 * time.Millisecond})
	config := quiet()
	config.Shards, config.Snapshots, config.Logger, config.SaveInterval = 2, t.TempDir(), slow, time.Hour
	plugin.Hurry(&config, time.Second, 300*time.Millisecond)
	p := open(t, guest(t, "talks"), config)
	put(t, p, []byte("k"), "v")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	began := time.Now()
	require.NoError(t, p.Close(ended))
	require.Greater(t, time.Since(began), 450*time.Millisecond, "a save and four chunks, each with a word that takes its time")
}

// slowly is a log that takes its time.
type slowly struct {
	slog.Handler
	takes time.Duration
}

func (s slowly) Handle(ctx context.Context, r slog.Record) error {
	time.Sleep(s.takes)
	return s.Handler.Handle(ctx, r)
}
