package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// meeting is a log that holds a guest at the word "get" until so many instances say it,
// for a while, and counts the words.
type meeting struct {
	slog.Handler
	wanted int32
	within atomic.Int32
	met    chan struct{}
	once   sync.Once

	mu   sync.Mutex
	most int32
	said map[string]int
}

func newMeeting(wanted int32) *meeting {
	return &meeting{Handler: slog.DiscardHandler, wanted: wanted, met: make(chan struct{}), said: make(map[string]int)}
}

func (m *meeting) Enabled(context.Context, slog.Level) bool { return true }

func (m *meeting) Handle(_ context.Context, r slog.Record) error {
	n := int32(0)
	if r.Message == "get" {
		n = m.within.Add(1)
		defer m.within.Add(-1)
	}
	m.mu.Lock()
	m.said[r.Message]++
	m.most = max(m.most, n)
	m.mu.Unlock()
	if n == 0 {
		return nil
	}
	if n == m.wanted {
		m.once.Do(func() { close(m.met) })
	}
	select {
	case <-m.met:
	case <-time.After(50 * time.Millisecond):
	}
	return nil
}

func (m *meeting) times(word string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said[word]
}

// A guest whose records lie elsewhere is in as many calls for one key at the same time
// as it has instances. Any other is in one.
func TestCallsAtTheSameTime(t *testing.T) {
	for _, c := range []struct {
		remote string
		want   int32
	}{{"yes", 2}, {"no", 1}} {
		t.Run("remote "+c.remote, func(t *testing.T) {
			wasm := buildGuest(t, "testdata/remoteguest", "-ldflags=-X main.remote="+c.remote)
			log := newMeeting(2)
			config := quiet()
			config.Logger, config.GuestConfig = slog.New(log), map[string]string{"log": "true"}
			config.Mounts = []plugin.Mount{{Dir: t.TempDir()}}
			p := open(t, wasm, config)
			key := []byte("key")
			require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1, Expect: store.Absent}))
			var calls sync.WaitGroup
			for range 6 {
				calls.Go(func() {
					if got, err := p.Get(ctx, key, 1); err != nil || string(got) != string(value(1, "v")) {
						t.Errorf("%q %v", got, err)
					}
				})
			}
			calls.Wait()
			log.mu.Lock()
			defer log.mu.Unlock()
			require.Equal(t, c.want, log.most)
		})
	}
}

func TestRecordsThatLieElsewhere(t *testing.T) {
	wasm := buildGuest(t, "testdata/remoteguest")
	dir := t.TempDir()
	log := newMeeting(0)
	config := quiet()
	config.Logger, config.GuestConfig = slog.New(log), map[string]string{"log": "true", "touch": "false"}
	config.Shards = 4
	config.Durability = plugin.DurabilityClose
	config.Mounts = []plugin.Mount{{Dir: dir}}
	p := open(t, wasm, config)
	require.Equal(t, []string{"cas", "remote"}, p.Info().Capabilities)

	// Each increment counts, whichever instance makes it.
	key := []byte("counter")
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}))
	var writers sync.WaitGroup
	var won atomic.Int32
	for range 8 {
		writers.Go(func() {
			for range 5 {
				seen := won.Load()
				err := p.Set(ctx, store.Write{Key: key, Value: value(uint64(seen)+2, ""), Now: 1, Expect: int64(seen) + 1})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	got, err := p.Get(ctx, key, 1)
	require.NoError(t, err)
	require.Equal(t, value(uint64(won.Load())+1, ""), got)

	var want []string
	for n := range 9 {
		k := fmt.Append(nil, "key", n)
		want = append(want, string(k))
		require.NoError(t, p.Set(ctx, store.Write{Key: k, Value: value(1, "v"), Expires: 100, Now: 1}))
	}
	require.NoError(t, p.Delete(ctx, key, 1))
	require.NoError(t, p.Touch(ctx, []byte("key3"), 300, 1), "by reading and writing")
	var keys []string
	for k, err := range p.Keys(ctx, 1) {
		require.NoError(t, err)
		keys = append(keys, string(k))
	}
	slices.Sort(keys)
	require.Equal(t, want, keys, "each once")
	require.NoError(t, p.Save(ctx, 1))
	require.Equal(t, 4, log.times("save"), "each instance")
	removed, err := p.Sweep(ctx, 1000, 200)
	require.NoError(t, err)
	require.Equal(t, 8, removed)
	require.NoError(t, p.Recycle(ctx))
	_, err = p.Get(ctx, []byte("key3"), 200)
	require.NoError(t, err)
	require.NoError(t, p.Clear(ctx, 200))
	require.Equal(t, 1, log.times("clear"))
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "kept"), Now: 1}))
	saves := log.times("save")
	require.NoError(t, p.Close(ctx))
	require.Equal(t, saves+4, log.times("save"))

	// The number of instances does not say where a record is.
	config.Shards = 1
	p = open(t, wasm, config)
	got, err = p.Get(ctx, key, 1)
	require.NoError(t, err)
	require.Equal(t, value(1, "kept"), got)
	require.NoError(t, p.Close(ctx))

	config.Snapshots = t.TempDir()
	_, err = plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.ErrorContains(t, err, "would undo what others did")
}

// A write that is answered UNAVAILABLE may have been done, or be done later. Sessions take it neither
// for done nor for not done: whatever was confirmed is there, and no change overwrites another's.
func TestLostAnswersOfWrites(t *testing.T) {
	wasm := buildGuest(t, "testdata/remoteguest")
	config := quiet()
	config.GuestConfig = map[string]string{"lose": "3"}
	config.Shards = 4
	config.Mounts = []plugin.Mount{{Dir: t.TempDir()}}
	p := open(t, wasm, config)
	settings := session.Defaults()
	settings.OnEvent = func(context.Context, session.Event) {}
	manager, err := session.New(p, settings)
	require.NoError(t, err)
	var id string
	begin := manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = session.From(r).Set("begun", true) }))
	for id == "" {
		w := httptest.NewRecorder()
		begin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if cookies := w.Result().Cookies(); w.Code == http.StatusOK && len(cookies) > 0 {
			id = cookies[0].Value
		}
	}
	const writers, rounds = 6, 15
	visits := session.NewKey[int]("visits")
	var counted, lost atomic.Int64
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			own := session.NewKey[int](fmt.Sprint("own ", w))
			for n := 1; n <= rounds; n++ {
				s := manager.Session(ctx, id)
				if _, err := session.Increment(s, visits, 1); err == nil {
					counted.Add(1)
				} else if errors.Is(err, store.ErrUnavailable) {
					lost.Add(1)
				} else {
					t.Error(err)
				}
				for s = manager.Session(ctx, id); ; s = manager.Session(ctx, id) { // until it is confirmed
					err := own.Set(s, n)
					if err == nil {
						err = s.Save()
					}
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrUnavailable) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	require.NotZero(t, lost.Load())
	s := manager.Session(ctx, id)
	for w := range writers {
		n, err := session.NewKey[int](fmt.Sprint("own ", w)).Get(s)
		require.NoError(t, err)
		require.Equal(t, rounds, n)
	}
	n, err := visits.Get(s)
	require.NoError(t, err)
	require.GreaterOrEqual(t, int64(n), counted.Load())
	require.LessOrEqual(t, int64(n), counted.Load()+lost.Load())
	for manager.Session(ctx, id).Destroy() != nil {
	}
	ok, err := manager.Session(ctx, id).Has("begun")
	require.NoError(t, err)
	require.False(t, ok)
}
