package folder

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is remembered is what would be computed: for more keys than there is room for, for
// keys of other lengths, and when the caller's memory has changed.
func TestIDsAreThoseOfTheirKeys(t *testing.T) {
	r := ids{slots: make([]idSlot, 1000)}
	key := make([]byte, idKeySize+1)
	for range 3 {
		for n := range uint64(2 * len(r.slots)) {
			binary.LittleEndian.PutUint64(key[n%24:], n)
			for length := idKeySize - 1; length <= len(key); length++ {
				require.Equal(t, idOf(key[:length]), r.of(key[:length]))
				require.Equal(t, idOf(key[:length]), r.of(key[:length]), "the second time")
			}
		}
	}
	require.Zero(t, testing.AllocsPerRun(10, func() { r.of(key[:idKeySize]) }))
}
