package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

const now = 1767225600000

// value makes a value of a revision.
func value(revision uint64, body string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), body...)
}

// TestContract covers everything a Store does.
func TestContract(t *testing.T) {
	storetest.Run(t, func(context.Context, storetest.Setup) (store.Store, error) { return store.NewMemory(), nil },
		storetest.Options{Soak: 20_000})
}

// TestKeysTooLong: every operation refuses keys that are too long.
func TestKeysTooLong(t *testing.T) {
	ctx, s, key := context.Background(), store.NewMemory(), make([]byte, abi.MaxKey+1)
	_, err := s.Get(ctx, key, now)
	require.ErrorIs(t, err, store.ErrTooLarge)
	require.ErrorIs(t, s.Set(ctx, store.Write{Key: key, Now: now}), store.ErrTooLarge)
	require.ErrorIs(t, s.Touch(ctx, key, 0, now), store.ErrTooLarge)
	require.ErrorIs(t, s.Delete(ctx, key, now), store.ErrTooLarge)
	_, err = s.Get(ctx, key[1:], now)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func put(t *testing.T, s store.Store, key, body string, expires int64) {
	t.Helper()
	require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(key), Value: value(1, body), Expires: store.Millis(expires), Now: now}))
}

// TestSweepGoesOnWhereItEnded: small steps find everything.
func TestSweepGoesOnWhereItEnded(t *testing.T) {
	s := store.NewMemory()
	for i := range 1000 {
		put(t, s, fmt.Sprint(i), "x", now+10)
	}
	most, total := 0, 0
	for range 200 {
		removed, err := s.Sweep(context.Background(), 10, now+10)
		require.NoError(t, err)
		most, total = max(most, removed), total+removed
	}
	require.Equal(t, 1000, total)
	require.Less(t, most, 200, "a step is bounded")
	require.Zero(t, s.Len())
	removed, err := s.Sweep(context.Background(), 0, now)
	require.NoError(t, err)
	require.Zero(t, removed)
}

func TestSaveDropsTheExpired(t *testing.T) {
	s := store.NewMemory()
	put(t, s, "a", "x", now+1)
	put(t, s, "b", "x", 0)
	require.NoError(t, s.Save(context.Background(), now))
	require.Equal(t, 2, s.Len())
	require.NoError(t, s.Save(context.Background(), now+1))
	require.Equal(t, 1, s.Len())
}

func TestZeroMemoryIsReady(t *testing.T) {
	var s store.Memory
	_, err := s.Get(context.Background(), []byte("k"), now)
	require.ErrorIs(t, err, store.ErrNotFound)
	put(t, &s, "k", "x", 0)
	require.Equal(t, 1, s.Len())
	require.NoError(t, new(store.Memory).Close(context.Background()))
}

func TestFromCode(t *testing.T) {
	seen := map[error]bool{}
	for code, want := range map[abi.Code]error{
		abi.NotFound: store.ErrNotFound, abi.Invalid: store.ErrInvalid, abi.TooLarge: store.ErrTooLarge,
		abi.NoSpace: store.ErrNoSpace, abi.Unavailable: store.ErrUnavailable, abi.Conflict: store.ErrConflict,
		abi.Corrupt: store.ErrCorrupt, abi.Denied: store.ErrDenied, abi.Unsupported: store.ErrUnsupported,
		abi.Internal: store.ErrInternal,
	} {
		require.Equal(t, want, store.FromCode(code), code.String())
		require.False(t, seen[want])
		seen[want] = true
		for _, err := range []error{want, fmt.Errorf("%w: with detail", want), errors.Join(errors.New("first"), want)} {
			back, ok := store.CodeOf(err)
			require.True(t, ok)
			require.Equal(t, code, back)
		}
	}
	for _, err := range []error{nil, store.ErrClosed, context.Canceled, errors.New("something else")} {
		_, ok := store.CodeOf(err)
		require.False(t, ok, "%v", err)
	}
	for _, unknown := range []abi.Code{-11, -1 << 63} {
		require.Equal(t, store.ErrInternal, store.FromCode(unknown))
	}
}

func TestChecksSayWhatIsWrong(t *testing.T) {
	require.NoError(t, store.CheckKey([]byte("k")))
	require.ErrorContains(t, store.CheckKey(nil), "empty")
	err := store.CheckKey(bytes.Repeat([]byte("secret"), 200))
	require.ErrorContains(t, err, "1200 bytes")
	require.ErrorContains(t, err, "1024")
	require.NotContains(t, err.Error(), "secret", "a key does not belong in an error")
	err = store.CheckWrite(store.Write{Key: []byte("k"), Value: make([]byte, abi.MaxValue+1)})
	require.ErrorContains(t, err, "16777217 bytes")
}

// TestMemoryWritesInPlace: a value that replaces one of its size takes no new memory, one of
// another size does not hold on to too much, and what was read before stays as it was.
func TestMemoryWritesInPlace(t *testing.T) {
	ctx, m := context.Background(), store.NewMemory()
	w := store.Write{Key: []byte("k"), Now: now}
	var read [][]byte
	snapshot := func() []byte {
		for r, err := range m.Snapshot(ctx, now) {
			require.NoError(t, err)
			return r.Value
		}
		return nil
	}
	sizes := []int{100, 100, 97, 112, 60, 10, 0, 1, 5000, 4000, 5, 100}
	for i, size := range sizes {
		w.Value = bytes.Repeat([]byte{byte(i)}, size)
		require.NoError(t, m.Set(ctx, w))
		got, err := m.Get(ctx, w.Key, now)
		require.NoError(t, err)
		read = append(read, got, snapshot())
	}
	for i, value := range read {
		require.Equal(t, bytes.Repeat([]byte{byte(i / 2)}, sizes[i/2]), append([]byte{}, value...))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = m.Set(ctx, w) }))

	w.Value = make([]byte, 1<<20)
	require.NoError(t, m.Set(ctx, w))
	w.Value = make([]byte, 10)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	require.NoError(t, m.Set(ctx, w))
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, after.HeapAlloc+1<<19, before.HeapAlloc, "a small value does not keep a large one's memory")
	runtime.KeepAlive(m)
}
