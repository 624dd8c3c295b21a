package folder_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// Somebody changes the files of a store that is in use. Its answers then agree with
// what the next process will find, or are errors.
func TestFilesGoAwayWhileInUse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows does not let it")
	}
	move := func(t *testing.T, from, to string) { require.NoError(t, os.Rename(from, to)) }
	for what, c := range map[string]struct {
		refused  bool
		takeAway func(t *testing.T, dir string) (back func())
	}{
		"directory removed": {true, func(t *testing.T, dir string) func() {
			require.NoError(t, os.RemoveAll(dir))
			return nil
		}},
		"directory moved": {true, func(t *testing.T, dir string) func() {
			move(t, dir, dir+"-moved")
			return func() { move(t, dir+"-moved", dir) }
		}},
		"contents removed": {true, func(t *testing.T, dir string) func() {
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, e := range entries {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
			return nil
		}},
		"contents removed, except what was written meanwhile": {true, func(t *testing.T, dir string) func() {
			require.NoError(t, os.Remove(filepath.Join(dir, "format")))
			require.NoError(t, os.Remove(filepath.Join(dir, "pending-0")))
			return nil
		}},
		"shard removed": {true, func(t *testing.T, dir string) func() {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "sessions-0")))
			require.NoError(t, os.Remove(filepath.Join(dir, "pending-0")))
			return nil
		}},
		"shard moved": {true, func(t *testing.T, dir string) func() {
			move(t, filepath.Join(dir, "sessions-0"), filepath.Join(dir, "moved"))
			return func() { move(t, filepath.Join(dir, "moved"), filepath.Join(dir, "sessions-0")) }
		}},
		"shard replaced by a copy": {false, func(t *testing.T, dir string) func() {
			live := filepath.Join(dir, "sessions-0")
			move(t, live, live+"-moved")
			require.NoError(t, os.CopyFS(live, os.DirFS(live+"-moved")))
			return nil
		}},
		"sessions replaced by copies": {false, func(t *testing.T, dir string) func() {
			for _, file := range sessionFiles(t, dir) {
				b, err := os.ReadFile(file)
				require.NoError(t, err)
				move(t, file, file+".moved")
				require.NoError(t, os.WriteFile(file, b, 0o600))
			}
			return nil
		}},
		"sessions removed": {false, func(t *testing.T, dir string) func() {
			for _, file := range sessionFiles(t, dir) {
				require.NoError(t, os.Remove(file))
			}
			return nil
		}},
		"list removed": {false, func(t *testing.T, dir string) func() {
			require.NoError(t, os.Remove(filepath.Join(dir, "pending-0")))
			return nil
		}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "sessions")
			require.NoError(t, os.Mkdir(dir, 0o700))
			s := open(t, vfs.OS(dir))
			for n := range 6 {
				set(t, s, key(n), value(1, 300))
			}
			require.NoError(t, s.Save(1))
			has(t, s, key(1), value(1, 300), 1)
			back := c.takeAway(t, dir)
			put := func(n int) error { return s.Set(guest.Write{Key: key(n), Value: value(2, 300), Now: 2}) }
			if !c.refused {
				for _, n := range []int{0, 1, 9} { // unread, read, new
					require.NoError(t, put(n))
				}
				require.NoError(t, s.Delete(key(2), 2))
				require.NoError(t, s.Save(2))
				require.NoError(t, put(3))
				s = open(t, vfs.OS(dir))
				for _, n := range []int{0, 1, 9, 3} {
					has(t, s, key(n), value(2, 300), 2)
				}
				has(t, s, key(2), nil, 2)
				return
			}
			for _, n := range []int{0, 1, 9, 0, 1, 9} {
				require.ErrorIs(t, put(n), guest.ErrUnavailable)
			}
			require.ErrorIs(t, s.Delete(key(2), 2), guest.ErrUnavailable)
			if strings.HasSuffix(what, "moved") {
				require.ErrorIs(t, s.Clear(2), guest.ErrUnavailable, "it would come back with the directory")
			}
			if back == nil {
				return
			}
			back()
			for n := range 6 {
				has(t, s, key(n), value(1, 300), 1)
			}
			require.NoError(t, put(9))
			require.NoError(t, s.Delete(key(2), 2))
			require.NoError(t, s.Clear(2))
			require.NoError(t, put(1), "what Clear removed is no loss")
			require.NoError(t, s.Save(2))
		})
	}
}

func sessionFiles(t *testing.T, dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, "sessions-0", "*", "*", "*", "session"))
	require.NoError(t, err)
	require.Len(t, files, 6)
	return files
}

// A list that was removed is made anew, with everything that is not saved: the
// instance after a kill relies on it.
func TestListRemoved(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(1), value(1, 300))
	require.NoError(t, disk.Remove("pending-0"))
	set(t, s, key(2), value(1, 300))
	disk.Kill(crash.Nothing)
	s = open(t, disk)
	require.NoError(t, s.Save(1))
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	has(t, s, key(1), value(1, 300), 1)
	has(t, s, key(2), value(1, 300), 1)
}

// After Clear there is no directory of sessions, and on a full disk there is none
// when the store is opened. Neither is a loss.
func TestNoDirectoryOfSessions(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(1), value(1, 300))
	for range 2 {
		require.NoError(t, s.Clear(1))
	}
	require.NoError(t, s.Delete(key(1), 1))
	set(t, s, key(1), value(1, 300))
	require.NoError(t, s.Clear(1))
	s, err := folder.Open(disk, folder.Options{Shards: 1})
	require.NoError(t, err)
	set(t, s, key(1), value(1, 300))
	require.NoError(t, disk.Rename("sessions-0", "elsewhere"))
	require.ErrorIs(t, s.Set(guest.Write{Key: key(1), Value: value(2, 300), Now: 1}), guest.ErrUnavailable)
}
