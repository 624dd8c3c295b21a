package store_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestAtMost: GetInto returns what Get returns, but no value larger than allowed.
func TestAtMost(t *testing.T) {
	ctx, memory := context.Background(), store.NewMemory()
	put(t, memory, "k", "0123456789", 0)
	for name, s := range map[string]store.Store{"of its own": memory, "without": struct{ store.Store }{memory}} {
		bounded := store.AtMost(s)
		for _, most := range []int{18, 19, 1 << 30} {
			got, err := bounded.GetInto(ctx, []byte("k"), now, nil, most)
			require.NoError(t, err, name)
			require.Equal(t, value(1, "0123456789"), got, name)
		}
		for _, most := range []int{0, 17} {
			got, err := bounded.GetInto(ctx, []byte("k"), now, nil, most)
			require.ErrorIs(t, err, store.ErrOversized, name)
			require.ErrorContains(t, err, "18 bytes", name)
			require.Nil(t, got, name)
		}
		_, err := bounded.GetInto(ctx, []byte("other"), now, nil, 0)
		require.ErrorIs(t, err, store.ErrNotFound, name)
	}
	_, own := store.AtMost(memory).(*store.Memory)
	require.True(t, own, "the store's own is used")
}

// TestGetInto: a value lies in the caller's memory if it fits, and is the caller's own
// either way.
func TestGetInto(t *testing.T) {
	ctx, memory := context.Background(), store.NewMemory()
	stored := value(1, "0123456789")
	put(t, memory, "k", "0123456789", 0)
	require.NoError(t, memory.Set(ctx, store.Write{Key: []byte("empty"), Value: []byte{}, Now: now}))
	for name, s := range map[string]store.Bounded{"of its own": memory, "without": store.AtMost(struct{ store.Store }{memory})} {
		for _, room := range []int{0, 1, len(stored) - 1, len(stored), 1000} {
			into := make([]byte, room/2, room)
			got, err := s.GetInto(ctx, []byte("k"), now, into, 100)
			require.NoError(t, err, name)
			require.Equal(t, stored, got, name)
			if s == memory {
				require.Equal(t, room >= len(stored), within(got, into), "room for %d", room)
			}
			clear(got[:cap(got)])
			got, err = s.GetInto(ctx, []byte("k"), now, nil, 100)
			require.NoError(t, err, name)
			require.Equal(t, stored, got, "%s: what a caller does with its value reaches nobody", name)
			empty, err := s.GetInto(ctx, []byte("empty"), now, into, 100)
			require.NoError(t, err, name)
			require.NotNil(t, empty, name)
			require.Empty(t, empty, name)
		}
	}
	into := make([]byte, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = memory.GetInto(ctx, []byte("k"), now, into, 100) }))
}

// within reports whether a slice lies in the memory of another.
func within(s, room []byte) bool {
	return cap(room) > 0 && &s[0] == &room[:1][0]
}
