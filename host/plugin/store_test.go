package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// value makes a value with a revision.
func value(revision uint64, rest string) []byte {
	b := make([]byte, 8, 8+len(rest))
	for i := range b {
		b[i] = byte(revision >> (8 * i))
	}
	return append(b, rest...)
}

// stores are the same guest with more and less of the optional exports, so that
// what it does itself and what the host does for it are held to the same.
func stores(t testing.TB) map[string]store.Store {
	full := guest(t, "store")
	limited := quiet()
	limited.Deadline = 1 << 40
	out := map[string]store.Store{
		"all exports":        open(t, full, quiet()),
		"required exports":   open(t, guest(t, "tiny"), quiet()),
		"no touch":           open(t, without(t, full, "session_touch"), quiet()),
		"no cas":             open(t, without(t, full, "session_describe"), quiet()),
		"no restore":         open(t, without(t, full, "session_restore"), quiet()),
		"with a deadline":    open(t, full, limited),
		"native, to compare": store.NewMemory(),
	}
	p, err := plugin.OpenInterpreted(ctx, full, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	out["interpreted"] = p
	return out
}

func TestOperations(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			key := []byte("key1")
			_, err := s.Get(ctx, key, 1)
			require.True(t, err == store.ErrNotFound, "bare, so that it costs nothing: %v", err)

			require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: value(5, "hi!"), Expires: 100, Now: 1, Expect: store.Absent}))
			got, err := s.Get(ctx, key, 99)
			require.NoError(t, err)
			require.Equal(t, value(5, "hi!"), got)
			got[0] = 'x'
			again, err := s.Get(ctx, key, 99)
			require.NoError(t, err)
			require.Equal(t, value(5, "hi!"), again, "the value is the caller's own")
			_, err = s.Get(ctx, key, 100)
			require.ErrorIs(t, err, store.ErrNotFound)

			set := func(revision uint64, now, expect int64) error {
				return s.Set(ctx, store.Write{Key: key, Value: value(revision, ""), Expires: 100, Now: now, Expect: expect})
			}
			require.True(t, set(6, 1, store.Absent) == store.ErrConflict, "bare")
			require.ErrorIs(t, set(6, 1, 4), store.ErrConflict)
			require.NoError(t, set(6, 1, 5))
			require.ErrorIs(t, set(6, 1, 5), store.ErrConflict)
			require.NoError(t, set(7, 1, store.Any))
			require.ErrorIs(t, set(8, 100, 7), store.ErrConflict, "an expired record has no revision")

			require.NoError(t, s.Touch(ctx, key, 200, 99))
			got, err = s.Get(ctx, key, 199)
			require.NoError(t, err)
			require.Equal(t, value(7, ""), got)
			require.ErrorIs(t, s.Touch(ctx, []byte("absent"), 200, 1), store.ErrNotFound)
			require.NoError(t, s.Touch(ctx, key, 10, 10))
			_, err = s.Get(ctx, key, 10)
			require.ErrorIs(t, err, store.ErrNotFound, "an expiry that has passed removes")

			empty := []byte("empty")
			require.NoError(t, s.Set(ctx, store.Write{Key: empty, Now: 1}))
			got, err = s.Get(ctx, empty, 1)
			require.NoError(t, err)
			require.NotNil(t, got)
			require.Empty(t, got)
			require.NoError(t, s.Delete(ctx, empty, 1))
			require.NoError(t, s.Delete(ctx, empty, 1))
			_, err = s.Get(ctx, empty, 1)
			require.ErrorIs(t, err, store.ErrNotFound)

			// An expiry that has passed removes under the condition of the write.
			require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}))
			require.ErrorIs(t, s.Set(ctx, store.Write{Key: key, Value: value(2, ""), Expires: 1, Now: 1, Expect: 9}), store.ErrConflict)
			require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: value(2, ""), Expires: 1, Now: 1, Expect: 1}))
			_, err = s.Get(ctx, key, 1)
			require.ErrorIs(t, err, store.ErrNotFound)

			for i := range 20 {
				require.NoError(t, s.Set(ctx, store.Write{Key: fmt.Append(nil, "k", i), Value: value(1, ""), Now: 1}))
			}
			require.NoError(t, s.Save(ctx, 1))
			require.NoError(t, s.Clear(ctx, 1))
			for i := range 20 {
				_, err = s.Get(ctx, fmt.Append(nil, "k", i), 1)
				require.ErrorIs(t, err, store.ErrNotFound)
			}

			require.NoError(t, s.Close(ctx))
			_, err = s.Get(ctx, key, 1)
			require.ErrorIs(t, err, store.ErrClosed)
			require.ErrorIs(t, s.Set(ctx, store.Write{Key: key}), store.ErrClosed)
			require.ErrorIs(t, s.Touch(ctx, key, 0, 0), store.ErrClosed)
			require.ErrorIs(t, s.Delete(ctx, key, 0), store.ErrClosed)
			require.ErrorIs(t, s.Clear(ctx, 0), store.ErrClosed)
			require.ErrorIs(t, s.Save(ctx, 0), store.ErrClosed)
			require.NoError(t, s.Close(ctx))
		})
	}
}

// Random operations, on the guest and on the native store.
func TestAgainstTheReference(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(len(name))))
			reference := store.NewMemory()
			now := int64(1000)
			for range 2000 {
				now += random.Int64N(3)
				key := fmt.Append(nil, "key", random.IntN(30))
				var expires int64
				if random.IntN(2) == 0 {
					expires = now + random.Int64N(60) - 5
				}
				both := func(f func(store.Store) error) {
					want, got := f(reference), f(s)
					if want != got { // the answers of everyday work are bare
						require.Equal(t, want, got)
					}
				}
				switch random.IntN(8) {
				case 0, 1, 2:
					w := store.Write{Key: key, Value: value(uint64(random.IntN(3)+1), "text"[:random.IntN(5)]),
						Expires: expires, Now: now, Expect: random.Int64N(5) - 1}
					both(func(s store.Store) error { return s.Set(ctx, w) })
				case 3:
					both(func(s store.Store) error { return s.Delete(ctx, key, now) })
				case 4:
					both(func(s store.Store) error { return s.Touch(ctx, key, expires, now) })
				case 5:
					if random.IntN(20) == 0 {
						both(func(s store.Store) error { return s.Save(ctx, now) })
					}
				default:
					var values [][]byte
					both(func(s store.Store) error {
						v, err := s.Get(ctx, key, now)
						values = append(values, v)
						return err
					})
					require.Equal(t, values[0], values[1])
				}
			}
		})
	}
}

func TestEnumeration(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	want := make(map[string]store.Record)
	for i := range 100 {
		r := store.Record{Key: fmt.Append(nil, "key", i), Value: value(uint64(i), "v"), Expires: int64(i%2) * 1000}
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
			config.Deadline = durationOf(deadline)
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

func TestManyGoroutinesOnOneKey(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			key := []byte("counter")
			require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: value(1, ""), Now: 1}))
			const goroutines, rounds = 100, 10
			var wait sync.WaitGroup
			for range goroutines {
				wait.Go(func() {
					for range rounds {
						for {
							old, err := s.Get(ctx, key, 1)
							if err != nil {
								t.Error(err)
								return
							}
							revision := abi.Revision(old)
							err = s.Set(ctx, store.Write{Key: key, Value: value(revision+1, ""), Now: 1, Expect: int64(revision)})
							if err == nil {
								break
							}
							if err != store.ErrConflict {
								t.Error(err)
								return
							}
						}
					}
				})
			}
			wait.Wait()
			got, err := s.Get(ctx, key, 1)
			require.NoError(t, err)
			require.Equal(t, uint64(1+goroutines*rounds), abi.Revision(got), "no update was lost")
		})
	}
}

func TestSweep(t *testing.T) {
	p := open(t, guest(t, "store"), quiet())
	for i := range 50 {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, i), Value: value(1, ""), Expires: 10 + int64(i%2)*90, Now: 1}))
	}
	n, err := p.Sweep(ctx, 1000, 9)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = p.Sweep(ctx, 1000, 10)
	require.NoError(t, err)
	require.Equal(t, 25, n)
	n, err = p.Sweep(ctx, 0, 1000)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestShardOf(t *testing.T) {
	// Values that must never change: data would not be found again.
	for _, c := range []struct {
		key    string
		shards int
		want   int
	}{
		{"", 1024, 0}, {"key1", 1, 0}, {"key1", 2, 0}, {"key1", 1024, 21}, {"12345678", 2, 1}, {"12345678", 1024, 654},
		{"123456789", 1024, 536}, {"a rather long key, of more than three words", 1024, 110},
	} {
		require.Equal(t, c.want, plugin.ShardOf([]byte(c.key), c.shards), "%q of %d", c.key, c.shards)
	}
	counts := make([]int, 16)
	for i := range 16_000 {
		counts[plugin.ShardOf(fmt.Append(nil, "session ", i), 16)]++
	}
	for _, n := range counts {
		require.InDelta(t, 1000, n, 200)
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
