package cache

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

// Keys of sessions have a way of their own through the index. It must find what the
// general one finds, among keys of other lengths and with values of all shapes.
func TestSessionKeysAreFoundAsAnyOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	c, err := New(Options{MaxBytes: 8 << 20})
	require.NoError(t, err)
	// Keys that differ in one word each, or only in their length.
	key := func(n int) []byte {
		b := make([]byte, 32+8*(n/4096))
		binary.LittleEndian.PutUint64(b[n%4*8:], uint64(n%4096/4))
		return b
	}
	same := func(n int) bool {
		k := key(n)
		hash, id, s := c.find(k)
		wantHash, wantID, want := c.findAny(k)
		require.Equal(t, wantHash, hash)
		require.Equal(t, c.hash.sum(k)>>1, hash)
		require.Equal(t, wantID, id)
		require.True(t, s == want, "another slot for key %d", n)
		return s != nil
	}
	found := 0
	for n := range 20_000 {
		k := random.IntN(2 * 4096)
		if random.IntN(3) == 0 {
			require.NoError(t, c.Delete(key(k), 1))
			require.False(t, same(k))
			continue
		}
		size := random.IntN(400)
		if n%100 == 0 {
			size = blockSize + random.IntN(blockSize) // lies in pieces
		}
		require.NoError(t, c.Set(guest.Write{Key: key(k), Value: make([]byte, size), Now: 1}))
		require.True(t, same(k))
		if same(random.IntN(2 * 4096)) {
			found++
		}
	}
	require.Greater(t, found, 5000, "the test looks for too little")
	require.NoError(t, c.Verify())
}
