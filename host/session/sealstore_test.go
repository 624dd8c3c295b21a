package session_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestSealedStoreByItself(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		ctx := context.Background()
		ring, err := session.NewKeyring("0123456789abcdefghijklmnopqrstuv")
		require.NoError(t, err)
		other, err := session.NewKeyring("vutsrqponmlkjihgfedcba9876543210")
		require.NoError(t, err)
		value := append(binary.LittleEndian.AppendUint64(nil, 7), "a secret"...)
		write := store.Write{Key: []byte("key"), Value: value, Now: clockStart}

		require.NoError(t, ring.Seal(s, time.Time{}).Set(ctx, write))
		got, err := ring.Seal(s, time.Time{}).Get(ctx, write.Key, clockStart)
		require.NoError(t, err)
		require.Equal(t, value, got)
		raw, err := s.Get(ctx, write.Key, clockStart)
		require.NoError(t, err)
		require.NotContains(t, string(raw), "a secret")
		require.Len(t, raw, len(value)+49)
		_, err = other.Seal(s, time.Time{}).Get(ctx, write.Key, clockStart)
		require.ErrorIs(t, err, session.ErrDecode)

		require.NoError(t, s.Set(ctx, write))
		_, err = ring.Seal(s, time.Time{}).Get(ctx, write.Key, clockStart)
		require.ErrorIs(t, err, session.ErrDecode)
		got, err = ring.Seal(s, time.Now().Add(time.Hour)).Get(ctx, write.Key, clockStart)
		require.NoError(t, err)
		require.Equal(t, value, got)
	})
}
