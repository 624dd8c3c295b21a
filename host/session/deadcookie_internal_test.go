package session

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestDeadCookiesAreBounded: endless made-up ids make this forget, and do
// nothing more.
func TestDeadCookiesAreBounded(t *testing.T) {
	var d deadCookies
	key := func(n int) (k storageKey) {
		binary.LittleEndian.PutUint64(k[:], uint64(n))
		return k
	}
	for n := range 3 * deadCookiesKept {
		require.True(t, d.takeBack(key(n), true, store.Millis(n)))
		require.False(t, d.takeBack(key(n), true, store.Millis(n)))
		d.replaced(key(n), store.Millis(n))
	}
	require.Len(t, d.known, deadCookiesKept)
	require.Len(t, d.ring, deadCookiesKept)
	require.False(t, d.takeBack(key(3*deadCookiesKept-1), true, 0))
	require.False(t, d.takeBack(key(2*deadCookiesKept), true, 0), "the oldest that is known")
	require.True(t, d.takeBack(key(2*deadCookiesKept-1), true, 0), "one that is forgotten")
	require.Len(t, d.known, deadCookiesKept)
}
