package plugin_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/moduletest"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// sharing returns a config for plugins that share executors on a host of the test's own.
func sharing(t *testing.T, host plugin.HostConfig) plugin.Config {
	t.Helper()
	config := quiet()
	config.Host, config.Shared, config.Shards = hosted(t, host), true, 0
	if _, err := plugin.Sharing(); err != nil {
		t.Skip(err)
	}
	return config
}

// drowsy is a plugin that is put to sleep before every single call.
type drowsy struct {
	t *testing.T
	*plugin.Plugin
}

func (d drowsy) sleep(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if err := d.Plugin.Sleep(ctx); err != nil && ctx.Err() == nil && err != store.ErrClosed {
		d.t.Error(err)
	}
}

func (d drowsy) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	d.sleep(ctx)
	return d.Plugin.Get(ctx, key, now)
}

func (d drowsy) GetAtMost(ctx context.Context, key []byte, now store.Millis, most int) ([]byte, error) {
	d.sleep(ctx)
	return d.Plugin.GetAtMost(ctx, key, now, most)
}

func (d drowsy) Set(ctx context.Context, w store.Write) error {
	d.sleep(ctx)
	return d.Plugin.Set(ctx, w)
}

func (d drowsy) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	d.sleep(ctx)
	return d.Plugin.Touch(ctx, key, expires, now)
}

func (d drowsy) Delete(ctx context.Context, key []byte, now store.Millis) error {
	d.sleep(ctx)
	return d.Plugin.Delete(ctx, key, now)
}

func (d drowsy) Clear(ctx context.Context, now store.Millis) error {
	d.sleep(ctx)
	return d.Plugin.Clear(ctx, now)
}

func (d drowsy) Save(ctx context.Context, now store.Millis) error {
	d.sleep(ctx)
	return d.Plugin.Save(ctx, now)
}

func (d drowsy) Sweep(ctx context.Context, max int, now store.Millis) (int, error) {
	d.sleep(ctx)
	return d.Plugin.Sweep(ctx, max, now)
}

func (d drowsy) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return sleepingBetween(d, ctx, d.Plugin.Keys(ctx, now))
}

func (d drowsy) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return sleepingBetween(d, ctx, d.Plugin.Snapshot(ctx, now))
}

func (d drowsy) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	return d.Plugin.Restore(ctx, sleepingBetween(d, ctx, records), now)
}

func sleepingBetween[T any](d drowsy, ctx context.Context, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		d.sleep(ctx)
		for v, err := range seq {
			d.sleep(ctx)
			if !yield(v, err) {
				return
			}
		}
	}
}

// The whole suite passes over plugins that share executors, of guests in every language, also if
// they are put to sleep before every single call.
func TestSharedContract(t *testing.T) {
	guests := map[string]struct {
		wasm    []byte
		options storetest.Options
	}{
		"store fixture": {guest(t, "store"), storetest.Options{MaxKey: 128, MaxValue: 8000}},
		"tiny fixture":  {guest(t, "tiny"), storetest.Options{MaxKey: 128, MaxValue: 8000}},
	}
	for path, wasm := range moduletest.Read(t, "../..", "host/engines/memory/memory.wasm.gz", "examples/guests/*/store.wasm") {
		g := guests[path]
		g.wasm = wasm
		if path != "host/engines/memory/memory.wasm.gz" {
			g.options.MaxValue = 60_000
		}
		guests[path] = g
	}
	for name, g := range guests {
		for _, trusted := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", trusted", false: ", metered"}[trusted], func(t *testing.T) {
				config := sharing(t, plugin.HostConfig{})
				config.Now, config.Trusted = func() time.Time { return time.UnixMilli(int64(storetest.Now)) }, trusted
				module, err := config.Host.Compile(ctx, g.wasm, config)
				require.NoError(t, err)
				defer module.Close()
				for _, sleeps := range []bool{false, true} {
					t.Run(map[bool]string{false: "awake", true: "asleep before every call"}[sleeps], func(t *testing.T) {
						o := g.options
						o.Soak, o.Sequences = 3000, 20
						if raced || testing.Short() {
							o.Soak, o.Sequences, o.Skip = 500, 5, []string{"memory", "growth"}
						}
						storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
							c := config
							c.Shards = setup.Shards
							if setup.MemoryLimit > 0 {
								c.MemoryLimit = setup.MemoryLimit
							}
							p, err := module.Open(ctx, c)
							if err != nil {
								return nil, err
							}
							require.Empty(t, p.Info().NotShared)
							if sleeps {
								return drowsy{t, p}, nil
							}
							return p, nil
						}, o)
					})
				}
			})
		}
	}
}
