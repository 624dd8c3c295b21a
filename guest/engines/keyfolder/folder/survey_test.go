package folder_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

func surveyed(t testing.TB, dir string) (records map[string]string, found []survey.Finding) {
	t.Helper()
	records = make(map[string]string)
	_, err := folder.Survey(dir, survey.Options{Shards: 1, Pause: time.Nanosecond}, survey.Visitor{
		Record: func(r survey.Record) error {
			require.NotContains(t, records, string(r.Key), "it comes twice")
			records[string(r.Key)] = string(r.Value)
			return nil
		},
		Find: func(f survey.Finding) { found = append(found, f) },
	})
	require.NoError(t, err)
	return records, found
}

// someRecords writes records of all kinds: saved, overwritten since, new, long.
func someRecords(t testing.TB, dir string) map[string]string {
	s := open(t, vfs.OS(dir))
	held := make(map[string]string)
	put := func(n int, v []byte) {
		set(t, s, key(n), v)
		held[string(key(n))] = string(v)
	}
	put(0, value(1, 200))
	put(1, value(2, 200))
	put(3, value(5, 9000))
	put(5, value(5, 100))
	require.NoError(t, s.Save(1))
	put(1, value(3, 200))
	put(2, value(4, 200))
	require.NoError(t, s.Delete(key(5), 1))
	delete(held, string(key(5)))
	return held
}

func TestSurvey(t *testing.T) {
	dir := t.TempDir()
	held := someRecords(t, dir)
	before := treeOf(t, dir)
	records, found := surveyed(t, dir)
	require.Equal(t, held, records)
	require.Empty(t, found)
	require.Equal(t, before, treeOf(t, dir), "it has changed something")

	for _, name := range []string{"sessions-0/notes", "sessions-0/00/notes", "sessions-0/zz/notes"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	_, found = surveyed(t, dir)
	require.Len(t, found, 3)
	for _, f := range found {
		require.Equal(t, survey.Note, f.Severity)
	}
}

// TestSurveyAgreesWithTheEngine: whatever byte is changed, the survey finds what the engine
// then answers with, and tells of everything that the engine does not have.
func TestSurveyAgreesWithTheEngine(t *testing.T) {
	made := t.TempDir()
	held := someRecords(t, made)
	whole := treeOf(t, made)
	for name, b := range whole {
		if name == "format" {
			continue
		}
		places := []int{0, 9, 13, 17, 21, 25, 33, 41, 80, 150, 4096, 4100, 4110, 4200, 8192, 12287, 12288, len(b) - 1}
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			t.Parallel()
			for _, at := range places {
				if at >= len(b) {
					continue
				}
				for what, change := range map[string]func([]byte) []byte{
					"flipped": func(b []byte) []byte { b[at] ^= 0x55; return b },
					"cut":     func(b []byte) []byte { return b[:at] },
				} {
					damaged := maps.Clone(whole)
					damaged[name] = change(slices.Clone(b))
					agree(t, held, damaged, fmt.Sprintf("%s, byte %d %s", name, at, what))
				}
			}
		})
	}
}

func agree(t *testing.T, held map[string]string, files map[string][]byte, where string) {
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	for name, b := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	records, found := surveyed(t, dir)
	s, err := folder.Open(vfs.OS(dir), folder.Options{Shards: 1})
	require.NoError(t, err, where)
	for k, v := range held {
		value, err := s.Get([]byte(k), 0)
		got, ok := records[k]
		require.Equal(t, err == nil, ok, "%s: the engine says %v, found %v", where, err, found)
		if ok {
			require.Equal(t, string(value), got, where)
		}
		if err != nil {
			require.NotEmpty(t, found, where)
		}
		if ok && got != v {
			require.Equal(t, name(1), k, "%s: an older state of a session that had been saved", where)
		}
		if err != nil && !isNotFound(err) {
			require.True(t, slices.ContainsFunc(found, func(f survey.Finding) bool { return f.Severity == survey.Loss }), where)
		}
	}
}

func isNotFound(err error) bool { return strings.Contains(err.Error(), guest.ErrNotFound.Error()) }

func treeOf(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	}))
	return files
}

// TestSurveyWhileItIsServed: a session that was there before a survey and stays is found,
// however often it is written, and one that had been deleted is not. If a session
// is made before another one is removed, at least one of the two is found.
func TestSurveyWhileItIsServed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, vfs.OS(dir))
	for n := range 40 {
		set(t, s, key(n), value(1, 200))
	}
	for n := 30; n < 40; n++ {
		require.NoError(t, s.Delete(key(n), 1))
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	renew, renewed := make(chan int), make(chan struct{}, 1)
	first := 1000
	set(t, s, key(first), value(1, 200))
	go func() {
		ended <- func() error {
			for round := 2; ; round++ {
				for n := range 30 {
					size := 200
					if round%5 == n%5 {
						size = 6000 // it goes to another file and back
					}
					if err := s.Set(guest.Write{Key: key(n), Value: value(round, size), Now: 1}); err != nil {
						return err
					}
				}
				if round%20 == 0 {
					if _, err := s.Sweep(1000, 1); err != nil {
						return err
					}
				}
				select {
				case <-stop:
					return nil
				case n := <-renew:
					if err := s.Set(guest.Write{Key: key(first + n + 1), Value: value(1, 10), Now: 1}); err != nil {
						return err
					}
					if err := s.Delete(key(first+n), 1); err != nil {
						return err
					}
					renewed <- struct{}{}
				default:
				}
			}
		}()
	}()
	for round := range 20 {
		go func() {
			time.Sleep(time.Duration(round) * 300 * time.Microsecond) // earlier or later in the survey
			renew <- round
		}()
		records, found := surveyed(t, dir)
		for _, f := range found {
			require.Equal(t, survey.Note, f.Severity, "%+v", f)
		}
		<-renewed
		others := 0
		for k, v := range records {
			n := -1
			for i := range 40 {
				if k == string(key(i)) {
					n = i
				}
			}
			if n < 0 {
				others++
				continue
			}
			require.Less(t, n, 30, "it had been deleted")
			require.True(t, bytes.HasSuffix(value(int(v[0])|int(v[1])<<8|int(v[2])<<16, len(v)), []byte(v)), "a torn value")
		}
		require.GreaterOrEqual(t, len(records)-others, 30)
		require.Positive(t, others, "neither of two")
	}
	close(stop)
	require.NoError(t, <-ended)
}
