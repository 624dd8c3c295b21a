package session

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestValidID: an id is valid exactly if it is what the encoding makes of 32 bytes. Each
// place of an id gets each byte.
func TestValidID(t *testing.T) {
	made := func(id string) bool {
		bits, err := idEncoding.DecodeString(id)
		return err == nil && len(bits) == idBytes && idEncoding.EncodeToString(bits) == id
	}
	id, err := newID(rand.Reader)
	require.NoError(t, err)
	require.True(t, validID(id))
	valid := 0
	for at := range idChars {
		for b := range 256 {
			changed := id[:at] + string([]byte{byte(b)}) + id[at+1:]
			require.Equal(t, made(changed), validID(changed), "%q", changed)
			if validID(changed) {
				valid++
			}
		}
	}
	require.Equal(t, (idChars-1)*64+16, valid)
	for _, other := range []string{"", id[1:], id + "A", id + "=", id[1:] + "\n", "\r\n" + id} {
		require.Equal(t, made(other), validID(other), "%q", other)
	}
}
