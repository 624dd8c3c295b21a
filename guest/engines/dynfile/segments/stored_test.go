package segments_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/storedtest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

func storyOptions(o *segments.Options) { o.Shard, o.Shards = 1, 2 }

// story writes to shard 1 of 2 in a directory, until its process is killed. There are
// segments that are full and have a hint, one that is not, and what was saved of it;
// sessions that were replaced, touched, deleted and cleared, before and after the last
// save.
func story(t *testing.T, dir string) (held map[string]guest.Write) {
	s := open(t, vfs.OS(dir), storyOptions)
	defer s.Close()
	held = make(map[string]guest.Write)
	put := func(n, revision, size int, expires int64) {
		w := write(fmt.Sprint("key ", n), fmt.Sprintf("%08d%s", revision, strings.Repeat("v", size)), expires)
		require.NoError(t, s.Set(w))
		held[string(w.Key)] = w
	}
	remove := func(n int) {
		require.NoError(t, s.Delete(fmt.Append(nil, "key ", n), 1))
		delete(held, fmt.Sprint("key ", n))
	}
	for n := range 10 {
		put(1000+n, 1, 100, 0)
	}
	require.NoError(t, s.Clear(1))
	clear(held)
	for n := range 100 {
		put(n, 1, 1000, int64(n%2)*5000)
	}
	remove(3)
	remove(4)
	put(5, 2, 40, 900)
	require.NoError(t, s.Touch([]byte("key 6"), 9000, 1))
	w := held["key 6"]
	w.Expires = 9000
	held["key 6"] = w
	for range 4 {
		require.NoError(t, s.Save(1))
		_, err := s.Sweep(1000, 1)
		require.NoError(t, err)
	}
	put(200, 1, 0, 0)
	require.NoError(t, s.Save(1))
	put(7, 2, 50, 7000)
	put(201, 1, 60, 0)
	remove(8)
	return held
}

// TestStoredForm: directories that earlier versions wrote are read, and today's code
// writes the same bytes as the newest of them, given the same random numbers. To keep
// one of a new version: go test -run TestStoredForm -stored v0.2.0.
func TestStoredForm(t *testing.T) {
	written := t.TempDir()
	held := story(t, written)
	// The room for deletions is noise.
	require.NoError(t, os.Remove(filepath.Join(written, "shard-1", "reserve")))
	storedtest.Directories(t, written, func(t *testing.T, dir string) {
		for _, name := range []string{"format", "shard-1/*.segment", "shard-1/*.hint", "shard-1/saved"} {
			found, err := filepath.Glob(filepath.Join(dir, name))
			require.NoError(t, err)
			require.NotEmpty(t, found, name)
		}
		// As it is, without what spares reading, and once more after that.
		for _, drop := range []string{"", ".hint", ""} {
			if drop != "" {
				hints, err := filepath.Glob(filepath.Join(dir, "shard-1", "*"+drop))
				require.NoError(t, err)
				for _, hint := range hints {
					require.NoError(t, os.Remove(hint))
				}
			}
			s := open(t, vfs.OS(dir), storyOptions)
			require.Equal(t, int64(len(held)), s.Stats().Sessions)
			for _, n := range []int{0, 99, 50, 2, 3, 4, 5, 6, 7, 8, 9, 200, 201, 1000, 1009} {
				key := fmt.Sprint("key ", n)
				w, ok := held[key]
				if !ok {
					requireNone(t, s, key)
					continue
				}
				requireValue(t, s, key, string(w.Value))
				if w.Expires != 0 {
					_, err := s.Get(w.Key, w.Expires-1)
					require.NoError(t, err)
					_, err = s.Get(w.Key, w.Expires)
					require.ErrorIs(t, err, guest.ErrNotFound)
				}
			}
			s.Close()
		}
		_, err := tryOpen(vfs.OS(dir), func(o *segments.Options) { o.Shards = 4 })
		require.ErrorIs(t, err, guest.ErrInvalid, "the number of shards is read")
	})
}
