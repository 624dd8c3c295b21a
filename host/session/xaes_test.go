package session

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors are those of https://c2sp.org/XAES-256-GCM.
func TestXAESVectors(t *testing.T) {
	for _, c := range []struct {
		key    byte
		data   string
		sealed string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		var key [xaesKey]byte
		for i := range key {
			key[i] = c.key
		}
		x := newXAES(&key)
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		sealed := x.seal(nil, nonce, []byte("XAES-256-GCM"), []byte(c.data))
		require.Equal(t, c.sealed, hex.EncodeToString(sealed))
		plain, err := x.open(nil, nonce, sealed, []byte(c.data))
		require.NoError(t, err)
		require.Equal(t, "XAES-256-GCM", string(plain))
		sealed[3]++
		_, err = x.open(nil, nonce, sealed, []byte(c.data))
		require.ErrorIs(t, err, ErrDecode)
	}
}
