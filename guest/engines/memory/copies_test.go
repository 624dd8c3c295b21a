package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

// The secret of the hash is drawn when a copy is opened: nobody who knows that of one
// copy knows that of another.
func TestCopiesHaveSecretsOfTheirOwn(t *testing.T) {
	m := wasmtest.Compile(t, 64<<20)
	a, b := m.Copies(t)
	require.Equal(t, abi.Unsupported, a.Copied(), "it need not be told")
	require.Equal(t, abi.Unsupported, b.Copied())
	require.Zero(t, a.Open())
	require.Zero(t, b.Open())
	one, other := a.All(), b.All()
	require.Equal(t, len(one), len(other))
	differ := 0
	for i := range one {
		if one[i] != other[i] {
			differ++
		}
	}
	const secret = 8 * (1024/8 + 4) // bytes, of which one in 256 may be the same
	require.Greater(t, differ, secret*9/10)
	require.Less(t, differ, 3*secret, "and little else")

	value := []byte("\x01\x00\x00\x00\x00\x00\x00\x00value")
	require.Zero(t, a.Set([]byte("k"), value, 0, 1, 0))
	_, code := b.Get([]byte("k"), 1)
	require.Equal(t, abi.NotFound, code)
	got, code := a.Get([]byte("k"), 1)
	require.Zero(t, code)
	require.Equal(t, value, got)
}
