package plugin_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"path"
	"strings"
	"sync/atomic"
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

// drowsy is a plugin that is put to sleep before every single call. Some checks make thousands:
// there it is before every 500th, after the first hundreds.
type drowsy struct {
	t *testing.T
	*plugin.Plugin
	calls *atomic.Int64
}

const everyCall, laterCalls = 200, 500

func (d drowsy) sleep(ctx context.Context) {
	if n := d.calls.Add(1); ctx.Err() != nil || n > everyCall && n%laterCalls != 0 {
		return
	}
	if err := d.Plugin.Sleep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
		d.t.Error(err)
	}
}

func (d drowsy) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	d.sleep(ctx)
	return d.Plugin.Get(ctx, key, now)
}

func (d drowsy) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	d.sleep(ctx)
	return d.Plugin.GetInto(ctx, key, now, into, most)
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

// manyGuests are guests in all languages, by a name without slashes.
func manyGuests(t testing.TB) map[string][]byte {
	guests := map[string][]byte{"store fixture": guest(t, "store"), "tiny fixture": guest(t, "tiny")}
	for file, wasm := range moduletest.Read(t, "../..", "host/engines/memory/memory.wasm.gz", "examples/guests/*/store.wasm") {
		guests[path.Base(path.Dir(file))] = wasm
	}
	guests["memory engine"] = guests["memory"]
	delete(guests, "memory")
	return guests
}

// The whole suite passes over plugins that share executors, of guests in every language, also if
// they are put to sleep before every single call. That takes minutes, so it is done for some of
// them, and for all with WADDLE_CONFORMANCE=full.
func TestSharedContract(t *testing.T) {
	full := os.Getenv("WADDLE_CONFORMANCE") == "full"
	for name, wasm := range manyGuests(t) {
		for _, c := range []struct {
			how             string
			trusted, sleeps bool
		}{{"metered", false, false}, {"trusted", true, false}, {"asleep before every call", false, true}} {
			if c.trusted && name != "memory engine" && name != "store fixture" {
				continue // nobody trusts them
			}
			if !full && name != "memory engine" && name != "c" && (c.sleeps || name == "store fixture") {
				continue
			}
			t.Run(name+" "+c.how, func(t *testing.T) {
				o := storetest.Options{MaxValue: 1 << 20, Soak: 1000, Sequences: 10}
				if strings.HasSuffix(name, "fixture") {
					o.MaxKey, o.MaxValue = 128, 8000
				}
				if c.sleeps { // each call takes a hundred times as long
					o.Records, o.Bytes, o.Soak, o.Sequences = 64, 128<<10, 300, 5
				}
				if c.sleeps && name != "store fixture" || raced || testing.Short() {
					o.Skip = []string{"growth", "space"} // which make a million calls
				}
				if raced || testing.Short() {
					o.Soak, o.Sequences = 300, 5
				}
				testSharedContract(t, wasm, c.trusted, c.sleeps, o)
			})
		}
	}
}

func testSharedContract(t *testing.T, wasm []byte, trusted, sleeps bool, o storetest.Options) {
	config := sharing(t, plugin.HostConfig{})
	config.MemoryLimit = 512 << 20
	config.Now, config.Trusted = func() time.Time { return time.UnixMilli(int64(storetest.Now)) }, trusted
	module, err := config.Host.Compile(ctx, wasm, config)
	require.NoError(t, err)
	defer module.Close()
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
			return drowsy{t, p, new(atomic.Int64)}, nil
		}
		return p, nil
	}, o)
}
