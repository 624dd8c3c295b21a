package session

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// TestSealedStoreAsAWrapper: it does everything that the store beneath does,
// under the seal. A snapshot's records stay sealed on their way and open where
// they arrive.
func TestSealedStoreAsAWrapper(t *testing.T) {
	storetest.Wrapper(t, func(s store.Store) store.Store { return sealed(t, s, rand.Reader) })
	t.Run("open-only", func(t *testing.T) {
		keyring, err := NewKeyring(lotSecret)
		require.NoError(t, err)
		storetest.Wrapper(t, func(s store.Store) store.Store {
			return newSealedStore(s, &Settings{Keyring: keyring, WriteUnsealed: true, Rand: rand.Reader, Now: time.Now})
		})
	})

	ctx, memory := t.Context(), store.NewMemory()
	s := sealed(t, memory, rand.Reader)
	require.NoError(t, s.Set(ctx, store.Write{Key: []byte("key"), Value: []byte("revision and what nobody may read"), Now: 1}))
	n := 0
	for r, err := range store.Snapshot(ctx, s, 1) {
		require.NoError(t, err)
		require.NotContains(t, string(r.Value), "nobody may read")
		require.EqualValues(t, sealedVersion, r.Value[8])
		n++
	}
	require.Equal(t, 1, n)
}
