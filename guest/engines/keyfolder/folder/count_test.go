package folder_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// A new store counts what it holds. A store that is opened again knows its count
// when a sweep has completed a round.
func TestStats(t *testing.T) {
	disk := crash.New()
	open := func() *folder.Store {
		s, err := folder.Open(disk, folder.Options{Shards: 1})
		require.NoError(t, err)
		return s
	}
	s := open()
	require.Equal(t, folder.Stats{}, s.Stats())
	key := func(i int) []byte { return fmt.Append(nil, "key ", i) }
	set := func(i, size int) {
		require.NoError(t, s.Set(guest.Write{Key: key(i), Value: make([]byte, size), Expires: 100 + int64(i%2), Now: 1}))
	}
	for i := range 40 {
		set(i, 100)
	}
	one := s.Stats().Bytes / 40
	require.EqualValues(t, 3*4096+1, one, "three slots each")
	require.EqualValues(t, 40, s.Stats().Records)
	for i := range 40 {
		set(i, 200)
	}
	require.Equal(t, folder.Stats{Records: 40, Bytes: 40 * one}, s.Stats(), "written again")
	set(0, 5000)
	require.Greater(t, s.Stats().Bytes, 40*one)
	require.NoError(t, s.Touch(key(1), 101, 1))
	for i := range 10 {
		require.NoError(t, s.Delete(key(i), 1))
		require.NoError(t, s.Delete(key(i), 1))
	}
	require.EqualValues(t, 30, s.Stats().Records)
	require.NoError(t, s.Save(1))

	s = open()
	require.Equal(t, folder.Stats{Records: -1, Bytes: -1}, s.Stats(), "nobody has looked")
	set(100, 100)
	sweep := func(now int64) { // a round and more
		for range 10 {
			_, err := s.Sweep(100_000, now)
			require.NoError(t, err)
		}
	}
	sweep(1)
	require.Equal(t, folder.Stats{Records: 31, Bytes: 31 * one}, s.Stats())
	sweep(100)
	require.EqualValues(t, 15, s.Stats().Records)
	require.EqualValues(t, 16, s.Stats().Expired)
	require.NoError(t, s.Clear(1))
	require.Equal(t, folder.Stats{Expired: 16}, s.Stats())
}
