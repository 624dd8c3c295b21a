package segments_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// Somebody changes the files of a store that is in use. The next write, whatever it
// is, is not acknowledged, and is not there when the files are put back.
func TestFilesGoAwayWhileInUse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows does not let it")
	}
	move := func(t *testing.T, from, to string) { require.NoError(t, os.Rename(from, to)) }
	for what, takeAway := range map[string]func(t *testing.T, dir, segment string) (back func()){
		"directory removed": func(t *testing.T, dir, _ string) func() {
			require.NoError(t, os.RemoveAll(dir))
			return nil
		},
		"directory moved": func(t *testing.T, dir, _ string) func() {
			move(t, dir, dir+"-moved")
			return func() { move(t, dir+"-moved", dir) }
		},
		"directory replaced by a copy": func(t *testing.T, dir, _ string) func() {
			move(t, dir, dir+"-moved")
			require.NoError(t, os.CopyFS(dir, os.DirFS(dir+"-moved")))
			return func() {
				require.NoError(t, os.RemoveAll(dir))
				move(t, dir+"-moved", dir)
			}
		},
		"contents removed": func(t *testing.T, dir, _ string) func() {
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, e := range entries {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
			return nil
		},
		"shard removed": func(t *testing.T, dir, _ string) func() {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "shard-0")))
			return nil
		},
		"shard moved": func(t *testing.T, dir, _ string) func() {
			move(t, filepath.Join(dir, "shard-0"), filepath.Join(dir, "moved"))
			return func() { move(t, filepath.Join(dir, "moved"), filepath.Join(dir, "shard-0")) }
		},
		"segment removed": func(t *testing.T, _, segment string) func() {
			require.NoError(t, os.Remove(segment))
			return nil
		},
		"segment moved": func(t *testing.T, _, segment string) func() {
			move(t, segment, segment+".moved")
			return func() { move(t, segment+".moved", segment) }
		},
		"segment replaced by a copy": func(t *testing.T, _, segment string) func() {
			b, err := os.ReadFile(segment)
			require.NoError(t, err)
			move(t, segment, segment+".moved")
			require.NoError(t, os.WriteFile(segment, b, 0o600))
			return func() { move(t, segment+".moved", segment) }
		},
	} {
		for first, op := range map[string]func(s *segments.Store, now int64) error{
			"set": func(s *segments.Store, now int64) error {
				w := write("b", "2", 0)
				w.Now = now
				return s.Set(w)
			},
			"touch":  func(s *segments.Store, now int64) error { return s.Touch([]byte("a"), 1<<50, now) },
			"delete": func(s *segments.Store, now int64) error { return s.Delete([]byte("a"), now) },
			"save":   func(s *segments.Store, now int64) error { return s.Save(now) },
		} {
			t.Run(what+"/"+first, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "sessions")
				require.NoError(t, os.Mkdir(dir, 0o700))
				s := openOn(t, vfs.OS(dir))
				require.NoError(t, s.Set(write("a", "1", 0)))
				require.NoError(t, s.Save(1))
				require.NoError(t, s.Set(write("c", "1", 0)))
				found, err := filepath.Glob(filepath.Join(dir, "shard-0", "*.segment"))
				require.NoError(t, err)
				require.Len(t, found, 1)
				back := takeAway(t, dir, found[0])
				if err := op(s, 2); first != "save" || !strings.HasSuffix(what, "copy") {
					require.ErrorIs(t, err, guest.ErrUnavailable)
				} // a copy has everything that is to be saved
				w := write("b", "3", 0)
				for now := range int64(5) {
					w.Now = 3 + now
					require.ErrorIs(t, s.Set(w), guest.ErrUnavailable)
				}
				require.ErrorIs(t, s.Save(9), guest.ErrUnavailable)
				s.Close()
				if back == nil {
					return
				}
				back()
				s = openOn(t, vfs.OS(dir))
				requireValue(t, s, "a", "1")
				requireValue(t, s, "c", "1")
				requireNone(t, s, "b")
				require.NoError(t, s.Set(write("b", "4", 0)))
			})
		}
	}
}

func openOn(t *testing.T, fs vfs.FS) *segments.Store {
	t.Helper()
	s, err := segments.Open(fs, segments.Options{Shards: 1, Random: func() uint64 { return 4 }})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// The store checks once a millisecond where writes go, and occasionally if the
// clock stands still.
func TestLooksWhereWritesGo(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	looks := 0
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Stat {
			looks++
		}
		return 0, nil
	})
	w := write("a", "1", 0)
	for range 1000 {
		w.Now++
		require.NoError(t, s.Set(w))
	}
	require.Equal(t, 1000, looks)
	looks = 0
	for range 6400 {
		require.NoError(t, s.Set(w))
	}
	require.Equal(t, 100, looks)
}

// What compaction copies is not where it will be found, either, until the file is.
func TestCopiesThatNobodyWillFindReplaceNothing(t *testing.T) {
	disk := crash.New()
	s := open(t, disk, func(o *segments.Options) { o.SegmentBytes = segments.MinSegment })
	fill(t, s, 600, "kept")
	removed := make(map[string]bool)
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Remove {
			removed[op.Name] = true
		}
		return 0, nil
	})
	// Each file of copies disappears as soon as it is made.
	before := map[string]bool{}
	for _, name := range list(t, disk) {
		before[name] = true
	}
	gone := false
	for n := 0; n < 4000 && !gone; n++ {
		w := write("kept-"+decimal(n%500), "again"+decimal(n)+string(make([]byte, 250)), 0)
		w.Now = int64(n)
		if s.Set(w) != nil {
			gone = true
		}
		if n%100 == 99 {
			_, err := s.Sweep(1000, int64(n))
			gone = gone || err != nil
		}
		if s.Stats().Copied > 0 && len(before) > 0 {
			for _, name := range list(t, disk) {
				if !before[name] {
					require.NoError(t, disk.Rename("shard-0/"+name, "shard-0/away-"+name))
				}
			}
			before = nil
		}
	}
	require.True(t, gone, "it is noticed")
	for name := range removed {
		require.NotContains(t, name, ".segment", "no space is freed for copies that have disappeared")
	}
}
