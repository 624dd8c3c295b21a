package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// Values that must never change: data would not be found again.
func TestShardOf(t *testing.T) {
	for _, c := range []struct {
		key    string
		shards int
		want   int
	}{
		{"key1", 0, 0}, {"key1", 1, 0}, {"key1", 2, 0}, {"key1", 1024, 21}, {"12345678", 2, 1}, {"12345678", 1024, 654},
		{"a rather long key, of more than three words", 1024, 110},
	} {
		require.Equal(t, c.want, store.ShardOf([]byte(c.key), c.shards), "%q of %d", c.key, c.shards)
	}
}

func ExampleShardOf() {
	fmt.Println(store.ShardOf([]byte("key1"), 1024))
	// Output: 21
}
