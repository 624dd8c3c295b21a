package plugin_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// gate is a log that holds a guest at the word "save", if it is shut, and counts the words.
type gate struct {
	slog.Handler
	shut atomic.Bool
	in   chan struct{}
	out  chan struct{}
	mu   sync.Mutex
	said map[string]int
}

func newGate() *gate {
	return &gate{Handler: slog.DiscardHandler, in: make(chan struct{}), out: make(chan struct{}), said: make(map[string]int)}
}

func (g *gate) Enabled(context.Context, slog.Level) bool { return true }

func (g *gate) Handle(_ context.Context, r slog.Record) error {
	g.mu.Lock()
	g.said[r.Message]++
	g.mu.Unlock()
	if r.Message == "save" && g.shut.Swap(false) {
		g.in <- struct{}{}
		<-g.out
	}
	return nil
}

func (g *gate) times(word string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.said[word]
}

// together makes operations wait for a plugin of one instance, in this order, and lets them go.
func (g *gate) together(t *testing.T, p *plugin.Plugin, ops ...func()) {
	t.Helper()
	_, err := p.Get(ctx, []byte("none"), 1) // there is an instance from now on
	require.ErrorIs(t, err, store.ErrNotFound)
	g.shut.Store(true)
	var all sync.WaitGroup
	all.Go(func() { _ = p.Save(context.Background(), 1) })
	<-g.in
	for n, op := range ops {
		all.Go(op)
		require.Eventually(t, func() bool { return p.Stats().Queue.Waiting == n+1 }, time.Minute, 100*time.Microsecond)
	}
	g.out <- struct{}{}
	all.Wait()
}

// batchConfigs are the ways in which a guest runs.
func batchConfigs() map[string]plugin.Config {
	trusted := quiet()
	trusted.Shards = 1
	bounded := trusted
	bounded.Trusted = false
	shared := bounded
	shared.Shared, shared.Lazy = true, true
	return map[string]plugin.Config{"trusted": trusted, "bounded": bounded, "shared": shared}
}

func eachBatchConfig(t *testing.T, test func(t *testing.T, config plugin.Config, g *gate)) {
	for name, config := range batchConfigs() {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			config.Logger = slog.New(g)
			test(t, config, g)
		})
	}
}

// Operations that wait for an instance are one call of the guest, each with its own result.
func TestOneCallForSeveral(t *testing.T) {
	eachBatchConfig(t, func(t *testing.T, config plugin.Config, g *gate) {
		p := open(t, guest(t, "batches"), config)
		set := func(key string, revision uint64, expect int64, err *error) func() {
			return func() {
				*err = p.Set(context.Background(), store.Write{Key: []byte(key), Value: value(revision, key), Now: 1, Expect: expect})
			}
		}
		var errs [6]error
		set("old", 1, 0, &errs[0])()
		require.NoError(t, errs[0])
		var got []byte
		g.together(t, p, set("new", 7, store.Absent, &errs[0]),
			func() { got, errs[1] = p.Get(context.Background(), []byte("new"), 1) },
			set("old", 2, 9, &errs[2]))
		g.together(t, p, func() { errs[3] = p.Touch(context.Background(), []byte("none"), 9, 1) },
			func() { errs[4] = p.Delete(context.Background(), []byte("old"), 1) },
			func() { _, errs[5] = p.Get(context.Background(), []byte("old"), 1) })
		require.Equal(t, [6]error{2: store.ErrConflict, 3: store.ErrNotFound, 5: store.ErrNotFound}, errs)
		require.Equal(t, value(7, "new"), got)
		require.Equal(t, 2, g.times("batch"))
		stats := p.Stats()
		require.EqualValues(t, 3, stats.Ops["set"].Calls)
		require.EqualValues(t, 1, stats.Ops["set"].Conflicts)
		require.EqualValues(t, 2+2, stats.Ops["get"].Calls, "and those of the test")
		if !config.Trusted {
			require.NotZero(t, stats.Ops["delete"].Fuel)
		}
		require.Zero(t, stats.Restarts)
	})
}

// A call for several that breaks the contract ends the instance, and what it answers is an error
// of each.
func TestFaultsOfACallForSeveral(t *testing.T) {
	for _, c := range []struct {
		wrong, says string
		kind        error // nil for an answer
		works       bool  // each operation is made by itself
	}{
		{"t", "unreachable", plugin.ErrTrap, false},
		{"o", "must lie within the memory", plugin.ErrMemory, false},
		{"z", "0 results: must be 3", plugin.ErrProtocol, false},
		{"f", "2 results: must be 3", plugin.ErrProtocol, false},
		{"m", "8 bytes follow the last of 3 results", plugin.ErrProtocol, false},
		{"p", "code 5: must not be above 0", plugin.ErrProtocol, false},
		{"b", "bytes that are not a result", plugin.ErrProtocol, false},
		{"v", "result 0 has 8 bytes: must be empty", plugin.ErrProtocol, false},
		{"l", "may run for", plugin.ErrDeadline, false},
		{"e", "UNAVAILABLE", nil, false},
		{"n", "", nil, true},
		{"u", "", nil, true},
	} {
		t.Run(c.wrong, func(t *testing.T) {
			eachBatchConfig(t, func(t *testing.T, config plugin.Config, g *gate) {
				if c.wrong == "l" {
					if config.Trusted {
						t.Skip("nothing ends it")
					}
					config.Deadline = 20 * time.Millisecond
				}
				p := open(t, guest(t, "batches"), config)
				var errs [3]error
				var ops []func()
				for n := range errs {
					ops = append(ops, func() {
						errs[n] = p.Set(context.Background(), store.Write{Key: fmt.Append(nil, "!", c.wrong, n), Value: value(1, "v"), Now: 1})
					})
				}
				g.together(t, p, ops...)
				require.Equal(t, 1, g.times("batch"))
				for _, err := range errs {
					if c.works {
						require.NoError(t, err)
						continue
					}
					require.ErrorIs(t, err, store.ErrUnavailable)
					require.ErrorContains(t, err, "set in shard 0")
					require.ErrorContains(t, err, c.says)
					if c.kind != nil {
						require.ErrorIs(t, err, c.kind)
					}
				}
				stats := p.Stats()
				require.EqualValues(t, 3, stats.Ops["set"].Calls)
				failed := 0
				if c.kind != nil {
					failed = 1
				}
				require.Equal(t, failed, g.times("the guest failed"))
				require.Eventually(t, func() bool {
					return p.Set(ctx, store.Write{Key: []byte("key"), Value: value(1, "v"), Now: 1}) == nil
				}, time.Minute, time.Millisecond)
				require.EqualValues(t, failed, p.Stats().Restarts)
			})
		})
	}
}

// A call for several may use the fuel that its operations may use one by one, and no more.
func TestFuelOfACallForSeveral(t *testing.T) {
	for _, c := range []struct {
		share float64 // of what an operation of such a call takes
		want  error
	}{{1.2, nil}, {0.8, plugin.ErrFuel}} {
		t.Run(fmt.Sprint(c.share), func(t *testing.T) {
			g := newGate()
			config := batchConfigs()["bounded"]
			config.Logger = slog.New(g)
			spends := func(p *plugin.Plugin, n int) (errs [3]error) {
				ops := make([]func(), n)
				for i := range ops {
					ops[i] = func() {
						errs[i] = p.Set(context.Background(), store.Write{Key: fmt.Append(nil, "!c", i), Value: value(1, "v"), Now: 1})
					}
				}
				g.together(t, p, ops...)
				return errs
			}
			p := open(t, guest(t, "batches"), config)
			require.Equal(t, [3]error{}, spends(p, 3))
			each := p.Stats().Ops["set"].Fuel / 3
			require.Greater(t, each, uint64(1_000_000))

			config.Fuel = int64(float64(each) * c.share)
			p = open(t, guest(t, "batches"), config)
			for _, err := range spends(p, 3) {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

// What has no room in the results is made by itself, and a list that has no room in the guest's
// buffer is divided.
func TestRoomOfACallForSeveral(t *testing.T) {
	eachBatchConfig(t, func(t *testing.T, config plugin.Config, g *gate) {
		config.QueueWait = time.Hour
		p := open(t, guest(t, "batches"), config)
		const n = 20
		large := strings.Repeat("x", 7000)
		var errs [n]error
		var got [n][]byte
		var sets, gets []func()
		for i := range n {
			key := fmt.Append(nil, "key ", i)
			sets = append(sets, func() {
				errs[i] = p.Set(context.Background(), store.Write{Key: key, Value: value(uint64(i+1), large), Now: 1})
			})
			gets = append(gets, func() { got[i], errs[i] = p.Get(context.Background(), key, 1) })
		}
		g.together(t, p, sets...)
		require.Equal(t, [n]error{}, errs)
		g.together(t, p, gets...)
		require.Equal(t, [n]error{}, errs)
		for i := range n {
			require.Equal(t, value(uint64(i+1), large), got[i])
		}
		require.NotZero(t, g.times("batch"))
		require.EqualValues(t, n+2, p.Stats().Ops["get"].Calls)
	})
}

// The suite, with a guest that takes several operations in a call, and by which it is asked
// with many goroutines.
func TestContractWithCallsForSeveral(t *testing.T) {
	wasm := guest(t, "batches")
	for name, config := range batchConfigs() {
		t.Run(name, func(t *testing.T) {
			config.MemoryLimit, config.Now = 64<<20, func() time.Time { return time.UnixMilli(int64(storetest.Now)) }
			config.Shards, config.Deadline = 32, 0
			keep := open(t, wasm, config) // the compiled code
			require.Zero(t, keep.Stats().Restarts)
			storetest.Run(t, func(ctx context.Context, _ storetest.Setup) (store.Store, error) {
				return plugin.Open(ctx, wasm, config)
			}, storetest.Options{MaxKey: 128, MaxValue: 8000, Soak: 500, Sequences: 5, Only: []string{"life", "expect", "concurrent", "random", "soak"}})
		})
	}
}
