package plugin_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// member is a plugin of a crowd, and what it must hold.
type member struct {
	mu      sync.Mutex
	p       *plugin.Plugin
	records map[string][]byte
}

// step does something random, and compares.
func (m *member) step(random *rand.Rand, clock *clock) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := fmt.Sprint("key ", random.IntN(6))
	switch random.IntN(12) {
	default:
		return m.compare(k)
	case 0, 1, 2, 3:
		v := value(random.Uint64()|1, fmt.Sprintf("%s has %d", m.p.Name(), random.Uint64()))
		if err := m.p.Set(ctx, store.Write{Key: []byte(k), Value: v, Now: 1}); err != nil {
			return err
		}
		m.records[k] = v
		return nil
	case 4:
		delete(m.records, k)
		return m.p.Delete(ctx, []byte(k), 1)
	case 5:
		return m.p.Sleep(ctx)
	case 6:
		n := 0
		for _, err := range m.p.Keys(ctx, 1) {
			if n++; err != nil {
				return err
			}
		}
		if n != len(m.records) {
			return fmt.Errorf("%s has %d keys: must have %d", m.p.Name(), n, len(m.records))
		}
		return nil
	case 7:
		if random.IntN(8) > 0 {
			return nil
		}
		m.p.Poison()
		clear(m.records)
		clock.advance(time.Minute)
		return nil
	}
}

func (m *member) compare(k string) error {
	got, err := m.p.Get(ctx, []byte(k), 1)
	want, has := m.records[k]
	switch {
	case !has && errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !bytes.Equal(got, want):
		return fmt.Errorf("%s: %s is %q: must be %q", m.p.Name(), k, got, want)
	}
	return nil
}

// Hundreds of plugins take turns on one executor, and on a few, fail, and are put to sleep by
// themselves and by each other, while the collector runs. Each holds what a model holds.
func TestACrowdOnFewExecutors(t *testing.T) {
	const page = 64 << 10
	for name, c := range map[string]struct {
		executors int
		host      plugin.HostConfig
	}{
		"one executor":            {1, plugin.HostConfig{}},
		"three, 40 awake":         {3, plugin.HostConfig{Awake: 40}},
		"three, room for 12":      {3, plugin.HostConfig{Memory: 12 * 18 * page}},
		"three, mappings for 40":  {3, plugin.HostConfig{Mappings: 90}},
		"as many as there may be": {1024, plugin.HostConfig{Awake: 100}},
	} {
		for _, trusted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, trusted %v", name, trusted), func(t *testing.T) {
				clock := newClock()
				config := sharing(t, c.host)
				config.Trusted, config.Now, config.MemoryLimit = trusted, clock.Now, 2<<20
				n, steps := 300, 20_000
				if raced || testing.Short() {
					n, steps = 120, 3000
				}
				crowd := make([]*member, n)
				for i, p := range openShared(t, guest(t, "store"), config, n) {
					crowd[i] = &member{p: p, records: make(map[string][]byte)}
				}
				crowd[0].p.LimitExecutors(c.executors)

				mingle(t, crowd, clock, steps)
				s := config.Host.Stats()
				require.LessOrEqual(t, s.Shared.Executors, c.executors)
				require.Positive(t, s.Shared.Switches)
				for _, u := range []plugin.Usage{s.Memory, s.Mappings} {
					require.True(t, u.Limit < 0 || u.Used <= u.Limit, "%+v", s)
				}
				t.Logf("%+v", s.Shared)
			})
		}
	}
}

// mingle makes many callers use the plugins of a crowd at the same time, while the collector runs.
func mingle(t *testing.T, crowd []*member, clock *clock, steps int) {
	t.Helper()
	var over atomic.Bool
	var wait, collector sync.WaitGroup
	collector.Go(func() {
		for !over.Load() {
			runtime.GC()
			runtime.Gosched()
		}
	})
	const workers = 8
	errs := make([]error, workers)
	for w := range workers {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			for range steps / workers {
				if errs[w] = crowd[random.IntN(len(crowd))].step(random, clock); errs[w] != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	over.Store(true)
	collector.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, m := range crowd {
		for k := range 6 {
			require.NoError(t, m.compare(fmt.Sprint("key ", k)))
		}
	}
}

// Guests in every language take turns on one executor.
func TestCrowdsOfEveryLanguage(t *testing.T) {
	for name, wasm := range manyGuests(t) {
		if name == "tiny fixture" { // it cannot list its keys
			continue
		}
		if raced && name != "c" { // wazero's compiler takes long with the race detector
			continue
		}
		t.Run(name, func(t *testing.T) {
			const plugins = 60
			clock := newClock()
			config := sharing(t, plugin.HostConfig{Awake: plugins / 4})
			config.Now = clock.Now
			crowd := make([]*member, plugins)
			for i, p := range openShared(t, wasm, config, plugins) {
				crowd[i] = &member{p: p, records: make(map[string][]byte)}
			}
			crowd[0].p.LimitExecutors(1)
			mingle(t, crowd, clock, 3000)
			s := config.Host.Stats().Shared
			require.Equal(t, 1, s.Executors)
			require.LessOrEqual(t, s.Awake, plugins/4)
			require.Positive(t, s.Wakes)
		})
	}
}
