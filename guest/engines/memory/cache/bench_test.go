package cache_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

func BenchmarkCache(b *testing.B) {
	const records = 1000
	c, err := cache.New(cache.Options{MaxBytes: 8 << 20})
	require.NoError(b, err)
	keys := make([][]byte, records)
	value := make([]byte, 300)
	for n := range keys {
		key := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
		keys[n] = key[:]
		require.NoError(b, c.Set(guest.Write{Key: key[:], Value: value, Now: 1}))
	}
	b.Run("get", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, err := c.Get(keys[n%records], 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("set", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if err := c.Set(guest.Write{Key: keys[n%records], Value: value, Now: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delete and set", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			_ = c.Delete(keys[n%records], 1)
			if err := c.Set(guest.Write{Key: keys[n%records], Value: value, Now: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
