package abi_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

// These values must never change: data would not be found again.
func TestShardOf(t *testing.T) {
	for _, c := range []struct {
		key    string
		shards int
		want   int
	}{
		{"", 1024, 0}, {"key1", 0, 0}, {"key1", 1, 0}, {"key1", 2, 0}, {"key1", 1024, 21}, {"12345678", 2, 1}, {"12345678", 1024, 654},
		{"123456789", 1024, 536}, {"a rather long key, of more than three words", 1024, 110},
	} {
		require.Equal(t, c.want, abi.ShardOf([]byte(c.key), c.shards), "%q of %d", c.key, c.shards)
	}
	counts := make([]int, 16)
	for i := range 16_000 {
		counts[abi.ShardOf(fmt.Append(nil, "session ", i), 16)]++
	}
	for _, n := range counts {
		require.InDelta(t, 1000, n, 200)
	}
}

func ExampleShardOf() {
	fmt.Println(abi.ShardOf([]byte("key1"), 1024))
	// Output: 21
}

func BenchmarkShardOf(b *testing.B) {
	key, n := []byte("0123456789abcdef0123456789abcdef"), 0
	for b.Loop() {
		n += abi.ShardOf(key, 64)
	}
	_ = n
}
