package store_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestAtMost: GetAtMost returns what Get returns, but no value larger than allowed.
func TestAtMost(t *testing.T) {
	ctx, memory := context.Background(), store.NewMemory()
	put(t, memory, "k", "0123456789", 0)
	for name, s := range map[string]store.Store{"of its own": memory, "without": struct{ store.Store }{memory}} {
		bounded := store.AtMost(s)
		for _, most := range []int{18, 19, 1 << 30} {
			got, err := bounded.GetAtMost(ctx, []byte("k"), now, most)
			require.NoError(t, err, name)
			require.Equal(t, value(1, "0123456789"), got, name)
		}
		for _, most := range []int{0, 17} {
			got, err := bounded.GetAtMost(ctx, []byte("k"), now, most)
			require.ErrorIs(t, err, store.ErrOversized, name)
			require.ErrorContains(t, err, "18 bytes", name)
			require.Nil(t, got, name)
		}
		_, err := bounded.GetAtMost(ctx, []byte("other"), now, 0)
		require.ErrorIs(t, err, store.ErrNotFound, name)
	}
	_, own := store.AtMost(memory).(*store.Memory)
	require.True(t, own, "the store's own is used")
}
