package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// value makes a value with a revision.
func value(revision uint64, rest string) []byte {
	b := make([]byte, 8, 8+len(rest))
	for i := range b {
		b[i] = byte(revision >> (8 * i))
	}
	return append(b, rest...)
}

// TestContract runs the conformance suite with the same guest and more or fewer of the
// optional exports, so the guest's own work and the host's in its place are the same.
// The guests are small: many shards have room for all of the suite's records, except
// for its values of megabytes.
func TestContract(t *testing.T) {
	full := guest(t, "store")
	config := quiet()
	config.Shards, config.MemoryLimit, config.Now = 32, 64<<20, func() time.Time { return time.UnixMilli(int64(storetest.Now)) }
	limited := config
	limited.Trusted, limited.Deadline = false, time.Minute
	for _, c := range []struct {
		name   string
		wasm   []byte
		config plugin.Config
		open   func(context.Context, []byte, plugin.Config) (*plugin.Plugin, error)
		only   []string
	}{
		{"all exports", full, config, plugin.Open, nil},
		{"required exports", guest(t, "tiny"), config, plugin.Open, nil},
		{"no touch", without(t, full, "session_touch"), config, plugin.Open, []string{"touch", "expiry", "random"}},
		{"no cas", without(t, full, "session_describe"), config, plugin.Open, []string{"expect", "expiry", "concurrent", "random"}},
		{"no restore", without(t, full, "session_restore"), config, plugin.Open, []string{"restore", "random"}},
		{"with a deadline", full, limited, plugin.Open, []string{"life", "get", "set", "expiry", "expect", "concurrent", "soak"}},
		{"interpreted", full, config, plugin.OpenInterpreted, []string{"life", "get", "set", "expiry", "expect", "touch", "concurrent"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			keep := open(t, c.wasm, quiet()) // the compiled code
			require.Zero(t, keep.Stats().Restarts)
			storetest.Run(t, func(ctx context.Context, _ storetest.Setup) (store.Store, error) {
				return c.open(ctx, c.wasm, c.config)
			}, storetest.Options{MaxKey: 128, MaxValue: 8000, Soak: 3000, Sequences: 20, Only: c.only})
		})
	}
}

// TestEverydayAnswersAreBare: everyday answers are bare errors and cost nothing.
func TestEverydayAnswersAreBare(t *testing.T) {
	for _, name := range []string{"store", "tiny"} {
		s, key := open(t, guest(t, name), quiet()), []byte("key")
		_, err := s.Get(ctx, key, 1)
		require.True(t, err == store.ErrNotFound, "%v", err)
		require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: value(5, ""), Now: 1}))
		err = s.Set(ctx, store.Write{Key: key, Value: value(6, ""), Now: 1, Expect: store.Absent})
		require.True(t, err == store.ErrConflict, "%v", err)
		require.NoError(t, s.Set(ctx, store.Write{Key: key, Now: 1}))
		got, err := s.Get(ctx, key, 1)
		require.NoError(t, err)
		require.NotNil(t, got, "an empty value is a value")
		require.Empty(t, got)
	}
}

func TestEnumeration(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	want := make(map[string]store.Record)
	for i := range 100 {
		r := store.Record{Key: fmt.Append(nil, "key", i), Value: value(uint64(i), "v"), Expires: store.Millis(i%2) * 1000}
		require.NoError(t, p.Set(ctx, store.Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: 1}))
		want[string(r.Key)] = r
	}
	require.NoError(t, p.Set(ctx, store.Write{Key: []byte("gone"), Value: value(1, ""), Expires: 2, Now: 1}))

	var keys []string
	for key, err := range p.Keys(ctx, 10) {
		require.NoError(t, err)
		keys = append(keys, string(key))
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), keys)

	got := make(map[string]store.Record)
	for r, err := range p.Snapshot(ctx, 10) {
		require.NoError(t, err)
		got[string(r.Key)] = r
	}
	require.Equal(t, want, got)

	n := 0
	for _, err := range p.Keys(ctx, 10) {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range p.Snapshot(cancelled, 10) {
		require.ErrorIs(t, err, context.Canceled)
	}

	// Into a guest with another number of shards, with and without the export.
	for name, wasm := range map[string][]byte{
		"restore": guest(t, "store"), "one by one": without(t, guest(t, "store"), "session_restore"),
	} {
		t.Run(name, func(t *testing.T) {
			config := quiet()
			config.Shards = 4
			other := open(t, wasm, config)
			require.NoError(t, other.Restore(ctx, p.Snapshot(ctx, 10), 10))
			copied := make(map[string]store.Record)
			for r, err := range other.Snapshot(ctx, 10) {
				require.NoError(t, err)
				copied[string(r.Key)] = r
			}
			require.Equal(t, want, copied)
		})
	}
}

func TestOptionalExportsThatAreAbsent(t *testing.T) {
	for _, name := range []string{"tiny", "describe_unsupported"} {
		t.Run(name, func(t *testing.T) {
			p := open(t, guest(t, name), quiet())
			for _, err := range p.Keys(ctx, 1) {
				require.ErrorIs(t, err, store.ErrUnsupported)
			}
			for _, err := range p.Snapshot(ctx, 1) {
				require.ErrorIs(t, err, store.ErrUnsupported)
			}
			_, err := p.Sweep(ctx, 10, 1)
			require.ErrorIs(t, err, store.ErrUnsupported)
			require.ErrorIs(t, p.Recycle(ctx), store.ErrUnsupported)
			require.ErrorIs(t, p.Touch(ctx, []byte("absent"), 5, 1), store.ErrNotFound, "done with get and set")
			one := func(yield func(store.Record, error) bool) {
				yield(store.Record{Key: []byte("k"), Value: value(1, "")}, nil)
			}
			require.NoError(t, p.Restore(ctx, one, 1), "done with set")
			require.Zero(t, p.Stats().Restarts, "an answer is no failure")
		})
	}
}

func TestSizes(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	long := bytes.Repeat([]byte("k"), 129)
	for _, c := range []struct {
		w    store.Write
		kind error
		says string
	}{
		{store.Write{}, store.ErrInvalid, "empty"},
		{store.Write{Key: bytes.Repeat([]byte("k"), 1025)}, store.ErrTooLarge, "1024"},
		{store.Write{Key: long}, store.ErrTooLarge, "128"},
		{store.Write{Key: []byte("k"), Value: make([]byte, 8001)}, store.ErrTooLarge, "8000"},
		{store.Write{Key: []byte("k"), Value: make([]byte, abi.MaxValue+1)}, store.ErrTooLarge, "16777216"},
	} {
		err := p.Set(ctx, c.w)
		require.ErrorIs(t, err, c.kind)
		require.ErrorContains(t, err, c.says)
	}
	_, err := p.Get(ctx, long, 1)
	require.ErrorIs(t, err, store.ErrTooLarge)
	require.ErrorIs(t, p.Touch(ctx, nil, 1, 1), store.ErrInvalid)
	require.ErrorIs(t, p.Delete(ctx, nil, 1), store.ErrInvalid)
	require.Zero(t, p.Stats().Calls, "the guest was not called")

	require.NoError(t, p.Set(ctx, store.Write{Key: long[:128], Value: make([]byte, 8000), Now: 1}))
	got, err := p.Get(ctx, long[:128], 1)
	require.NoError(t, err)
	require.Equal(t, make([]byte, 8000), got, "the exchange buffer has grown")
}

func TestExchangeBufferThatCannotGrow(t *testing.T) {
	p := open(t, guest(t, "alloc_once"), quiet())
	small := store.Write{Key: []byte("k"), Value: make([]byte, 4096)}
	large := store.Write{Key: []byte("k"), Value: make([]byte, 20_000)}
	require.NoError(t, p.Set(ctx, small))
	err := p.Set(ctx, large)
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.ErrorContains(t, err, "buffer of 20001 bytes")
	require.NoError(t, p.Set(ctx, small), "a smaller one still fits")
	require.Zero(t, p.Stats().Restarts)
}

func TestGuestThatIsFull(t *testing.T) {
	config := quiet()
	config.Shards = 1
	p := open(t, guest(t, "tiny"), config)
	var err error
	n := 0
	for ; err == nil; n++ {
		require.Less(t, n, 1000)
		err = p.Set(ctx, store.Write{Key: fmt.Append(nil, n), Value: value(1, ""), Now: 1})
	}
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.Equal(t, 129, n)
	_, err = p.Get(ctx, []byte("0"), 1)
	require.NoError(t, err)
}

func TestClientThatHangsUp(t *testing.T) {
	for name, deadline := range map[string]int64{"trusted": 0, "with a deadline": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			config := quiet()
			config.Trusted, config.Deadline = deadline == 0, durationOf(deadline)
			p := open(t, guest(t, "store"), config)
			require.NoError(t, p.Set(ctx, store.Write{Key: []byte("k"), Value: value(1, ""), Now: 1}))
			cancelled, cancel := context.WithCancel(ctx)
			cancel()
			_, err := p.Get(cancelled, []byte("k"), 1)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, p.Set(cancelled, store.Write{Key: []byte("k"), Now: 1}), context.Canceled)
			require.ErrorIs(t, p.Clear(cancelled, 1), context.Canceled)

			// Clients that hang up at any moment, also within a call.
			var wait sync.WaitGroup
			for i := range 8 {
				wait.Go(func() {
					for range 200 {
						c, cancel := context.WithCancel(ctx)
						go cancel()
						_, err := p.Get(c, fmt.Append(nil, "k", i), 1)
						if !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrNotFound) {
							t.Errorf("an unexpected error: %v", err)
						}
						cancel()
					}
				})
			}
			wait.Wait()
			got, err := p.Get(ctx, []byte("k"), 1)
			require.NoError(t, err, "the record is still there, and so is the instance")
			require.Equal(t, value(1, ""), got)
			require.Zero(t, p.Stats().Restarts)
		})
	}
}

func TestAllocations(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	k, absent := []byte("0123456789abcdef0123456789abcdef"), []byte("absent")
	w := store.Write{Key: k, Value: make([]byte, 300), Now: 1}
	require.NoError(t, p.Set(ctx, w))
	for _, c := range []struct {
		name string
		most float64
		f    func() error
	}{
		{"get", 1, func() error { _, err := p.Get(ctx, k, 1); return err }},
		{"get of nothing", 0, func() error { _, err := p.Get(ctx, absent, 1); return err }},
		{"set", 0, func() error { return p.Set(ctx, w) }},
		{"set with a conflict", 0, func() error { w := w; w.Expect = store.Absent; return p.Set(ctx, w) }},
		{"touch", 0, func() error { return p.Touch(ctx, k, 0, 1) }},
		{"delete", 0, func() error { return p.Delete(ctx, absent, 1) }},
	} {
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = c.f() }), c.most, c.name)
	}
}
