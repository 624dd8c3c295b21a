package plugin_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// modelled is a plugin with what it must hold. Its user holds the lock.
type modelled struct {
	sync.Mutex
	*plugin.Plugin
	holds map[string]string
	set   int
}

// step makes one operation, chosen at random, and compares its outcome with the model's.
func (m *modelled) step(random *rand.Rand) error {
	m.Lock()
	defer m.Unlock()
	key := fmt.Sprintf("key %d", random.IntN(12))
	switch random.IntN(10) {
	case 0, 1, 2:
		m.set++
		value := binary.LittleEndian.AppendUint64(nil, uint64(m.set)) // the revision
		value = append(value, m.Name()...)
		value = append(value, make([]byte, random.IntN(600))...)
		if err := m.Set(ctx, store.Write{Key: []byte(key), Value: value, Now: storetest.Now}); err != nil {
			return err
		}
		m.holds[key] = string(value)
	case 3:
		if err := m.Delete(ctx, []byte(key), storetest.Now); err != nil {
			return err
		}
		delete(m.holds, key)
	case 4:
		return m.Sleep(ctx)
	default:
		value, err := m.Get(ctx, []byte(key), storetest.Now)
		want, held := m.holds[key]
		switch {
		case !held && errors.Is(err, store.ErrNotFound):
		case err != nil:
			return fmt.Errorf("%s of %s: %w", key, m.Name(), err)
		case !held || string(value) != want:
			return fmt.Errorf("%s of %s is %q: must be %q, of %v", key, m.Name(), value, want, held)
		}
	}
	return nil
}

// Hundreds of plugins take turns on one executor, called by many at once, and sleep now
// and then, also because others need their room. Each holds what it was given, and
// nothing else.
func TestHundredsOnOneExecutor(t *testing.T) {
	plugins, rounds := 300, 200
	if raced || testing.Short() {
		plugins, rounds = 60, 60
	}
	for name, wasm := range manyGuests(t) {
		if raced && name != "c" && name != "tiny fixture" {
			continue // wazero's compiler takes long with the race detector
		}
		t.Run(name, func(t *testing.T) {
			config := sharing(t, plugin.HostConfig{Awake: plugins / 4})
			module, err := config.Host.Compile(ctx, wasm, config)
			require.NoError(t, err)
			defer module.Close()
			all := make([]*modelled, plugins)
			for i := range all {
				config.Name = fmt.Sprintf("tenant %d", i)
				p, err := module.Open(ctx, config)
				require.NoError(t, err)
				p.LimitExecutors(1)
				all[i] = &modelled{Plugin: p, holds: make(map[string]string)}
			}
			const callers = 16
			errs := make([]error, callers)
			var wait sync.WaitGroup
			for c := range callers {
				wait.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(c)))
					for range rounds * plugins / callers / 8 {
						if errs[c] = all[random.IntN(plugins)].step(random); errs[c] != nil {
							return
						}
					}
				})
			}
			wait.Wait()
			require.NoError(t, errors.Join(errs...))
			stats := config.Host.Stats().Shared
			require.Equal(t, 1, stats.Executors)
			require.LessOrEqual(t, stats.Awake, plugins/4)
			require.Positive(t, stats.Wakes)
			require.Greater(t, stats.Switches, uint64(plugins))
			for _, m := range all {
				require.NoError(t, m.Close(ctx))
			}
		})
	}
}
