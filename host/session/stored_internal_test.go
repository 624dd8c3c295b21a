package session

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestStoredBytes: today's code writes what it reads from the kept records of the newest
// version as the same bytes, the seal included, given the same random numbers. An older
// program beside it, during a deployment, reads them.
func TestStoredBytes(t *testing.T) {
	files, err := filepath.Glob("testdata/stored/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	newest, _, _ := bytes.Cut([]byte(filepath.Base(files[len(files)-1])), []byte("-"))
	for _, file := range files {
		if !bytes.HasPrefix([]byte(filepath.Base(file)), append(newest, '-')) {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			var kept struct {
				Codec, Secret string
				Records       []struct {
					Key, Value []byte
					Expires    store.Millis
				}
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &kept))
			states, lists, timeouts := map[RecordState]int{}, 0, 0
			for _, k := range kept.Records {
				plain := k.Value
				if kept.Secret != "" {
					plain = sealedAsBefore(t, kept.Secret, k.Key, k.Value)
				}
				r, err := decodeRecord(bytes.Clone(plain))
				require.NoError(t, err)
				require.Equal(t, k.Expires, r.Expires)
				require.Equal(t, map[string]uint8{"cbor": 1, "json": 2}[kept.Codec], r.Codec)
				states[r.State]++
				if r.hasTimeouts() {
					timeouts++
				}
				if block, err := indexBlockOf(&r); err == nil {
					lists++
					entries, err := block.entries()
					require.NoError(t, err)
					require.Equal(t, hex.EncodeToString(block), hex.EncodeToString(makeIndexBlock(entries)))
				}
				values := makeValues(r.Values.All())
				require.Equal(t, hex.EncodeToString(r.Values.Bytes()), hex.EncodeToString(values.Bytes()))
				r.Values = values
				require.Equal(t, hex.EncodeToString(plain), hex.EncodeToString(r.encode()))
			}
			require.Equal(t, 2, states[RecordEnded], "a log-out and a renewal")
			require.Equal(t, 1, states[RecordMoved])
			require.Positive(t, lists)
			require.Positive(t, timeouts)
		})
	}
}

// sealedAsBefore opens a sealed record, and requires that sealing it again with the same
// salt and nonce gives the same bytes.
func sealedAsBefore(t *testing.T, secret string, key, value []byte) (plain []byte) {
	t.Helper()
	keyring, err := NewKeyring(secret)
	require.NoError(t, err)
	s := store.NewMemory()
	salt, nonce := value[saltStart:nonceStart], value[nonceStart:sealedHeader]
	settings := Settings{Keyring: keyring, Rand: io.MultiReader(bytes.NewReader(salt), bytes.NewReader(nonce[4:]))}
	sealed := newSealedStore(s, &settings)
	require.NoError(t, s.Set(context.Background(), store.Write{Key: key, Value: value, Now: 1}))
	plain, err = sealed.Get(context.Background(), key, 1)
	require.NoError(t, err)
	plain = bytes.Clone(plain)
	require.Equal(t, abi.Revision(value), abi.Revision(plain))

	require.NoError(t, sealed.newLot(nil))
	number := uint32(nonce[0]) | uint32(nonce[1])<<8 | uint32(nonce[2])<<16 | uint32(nonce[3])<<24
	sealed.current.Load().used.Store(number - 1)
	require.NoError(t, sealed.Set(context.Background(), store.Write{Key: key, Value: plain, Now: 1}))
	again, err := s.Get(context.Background(), key, 1)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(value), hex.EncodeToString(again))
	return plain
}
