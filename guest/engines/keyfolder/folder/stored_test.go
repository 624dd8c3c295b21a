package folder_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/storedtest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// story writes to shard 1 of 2 in a directory, until its process is killed: records that
// are saved, with slots of two sizes, replaced, touched, deleted and expired; and, after
// the last save, one that is replaced, one that is new and one that is deleted.
func story(t *testing.T, dir string) (held map[string]guest.Write) {
	s, err := folder.Open(vfs.OS(dir), folder.Options{Shard: 1, Shards: 2})
	require.NoError(t, err)
	held = make(map[string]guest.Write)
	put := func(n, revision, size int, expires int64) {
		w := guest.Write{Key: key(n), Value: value(revision, size), Expires: expires, Now: 1}
		require.NoError(t, s.Set(w))
		held[string(w.Key)] = w
	}
	remove := func(n int) {
		require.NoError(t, s.Delete(key(n), 1))
		delete(held, string(key(n)))
	}
	put(1, 1, 100, 0)
	put(2, 1, 300, 5000)
	put(3, 1, 20_000, 0)
	put(4, 1, 50, 0)
	put(5, 1, 8, 0)
	put(5, 2, 400, 7000)
	put(6, 1, 50, 900)
	remove(4)
	require.NoError(t, s.Save(1))
	require.NoError(t, s.Touch(key(2), 9000, 1))
	w := held[string(key(2))]
	w.Expires = 9000
	held[string(key(2))] = w
	require.NoError(t, s.Save(1))
	put(1, 2, 120, 0)
	put(7, 1, 60, 0)
	remove(5)
	return held
}

// TestStoredForm: directories that earlier versions wrote are read, and today's code
// writes the same bytes as the newest of them. To keep one of a new version:
// go test -run TestStoredForm -stored v0.2.0.
func TestStoredForm(t *testing.T) {
	written := t.TempDir()
	held := story(t, written)
	storedtest.Directories(t, written, func(t *testing.T, dir string) {
		// Twice, since opening changes files.
		for range 2 {
			s, err := folder.Open(vfs.OS(dir), folder.Options{Shard: 1, Shards: 2})
			require.NoError(t, err)
			for n := range 10 {
				w, ok := held[string(key(n))]
				if !ok {
					has(t, s, key(n), nil, 1)
					continue
				}
				has(t, s, w.Key, w.Value, 1)
				if w.Expires != 0 {
					has(t, s, w.Key, w.Value, w.Expires-1)
				}
			}
		}
		s, err := folder.Open(vfs.OS(dir), folder.Options{Shard: 1, Shards: 2})
		require.NoError(t, err)
		for _, w := range held {
			if w.Expires != 0 {
				has(t, s, w.Key, nil, w.Expires)
			}
		}
		_, err = folder.Open(vfs.OS(dir), folder.Options{Shard: 0, Shards: 4})
		require.ErrorIs(t, err, guest.ErrInvalid, "the number of shards is read")
	})
}
