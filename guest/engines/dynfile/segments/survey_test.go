package segments_test

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
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

// surveyed looks at the shard of a story.
func surveyed(t testing.TB, dir string) (records map[string]guest.Write, found []survey.Finding) {
	t.Helper()
	records = make(map[string]guest.Write)
	_, err := segments.Survey(dir, survey.Options{Shard: 1, Shards: 2, Pause: time.Nanosecond}, survey.Visitor{
		Record: func(r survey.Record) error {
			require.NotContains(t, records, string(r.Key), "it comes twice")
			records[string(r.Key)] = write(string(r.Key), string(r.Value), r.Expires)
			return nil
		},
		Find: func(f survey.Finding) { found = append(found, f) },
	})
	require.NoError(t, err)
	return records, found
}

func TestSurvey(t *testing.T) {
	dir := t.TempDir()
	held := story(t, dir)
	before := filesIn(t, dir)
	records, found := surveyed(t, dir)
	require.Equal(t, held, records)
	require.Empty(t, found)
	require.Equal(t, before, filesIn(t, dir), "it has changed something")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "shard-1", "notes.txt"), []byte("?"), 0o600))
	_, found = surveyed(t, dir)
	require.Len(t, found, 1)
	require.Equal(t, survey.Note, found[0].Severity)
	require.Equal(t, "shard-1/notes.txt", found[0].File)
}

// TestSurveyAgreesWithTheEngine: whatever byte is changed, the survey finds what the engine
// then answers with, and tells of everything that the engine does not have.
func TestSurveyAgreesWithTheEngine(t *testing.T) {
	made := t.TempDir()
	held := story(t, made)
	whole := filesIn(t, made)
	for name, b := range whole {
		if name == "format" || strings.HasSuffix(name, "reserve") {
			continue
		}
		step := 1 + len(b)/12
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 0; at < len(b); at += step {
				for _, change := range []func([]byte) []byte{
					func(b []byte) []byte { b[at] ^= 0xff; return b },
					func(b []byte) []byte { b[at] ^= 1; return b },
					func(b []byte) []byte { return b[:at] },
				} {
					damaged := maps.Clone(whole)
					damaged[name] = change(slices.Clone(b))
					agree(t, held, damaged, fmt.Sprintf("%s, byte %d", name, at))
				}
			}
		})
	}
}

func agree(t *testing.T, held map[string]guest.Write, files map[string][]byte, where string) {
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	for name, b := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	records, found := surveyed(t, dir)
	s, err := tryOpen(noSync{vfs.OS(dir)}, storyOptions)
	require.NoError(t, err, where)
	defer s.Close()
	for key, w := range held {
		value, err := s.Get(w.Key, 0)
		got, ok := records[key]
		require.Equal(t, err == nil, ok, "%s: the engine says %v for %q, found %v", where, err, key, found)
		if ok {
			require.True(t, bytes.Equal(value, got.Value), "%s: another state of %q", where, key)
		}
	}
	if !maps.EqualFunc(held, records, same) {
		require.NotEmpty(t, found, "%s: nothing is told of a difference", where)
	}
	worst := survey.Note
	for _, f := range found {
		worst = max(worst, f.Severity)
		require.NotEmpty(t, f.Text, where)
	}
	for key := range held {
		if _, ok := records[key]; !ok && worst < survey.Loss {
			// Nobody was told that what followed the last save is safe.
			require.Contains(t, []string{"key 7", "key 201", "key 200"}, key, "%s: %v", where, found)
		}
	}
}

func same(a, b guest.Write) bool { return bytes.Equal(a.Value, b.Value) && a.Expires == b.Expires }

// noSync leaves out what takes long and matters only when the power goes.
type noSync struct{ vfs.FS }

func (noSync) SyncDir(string) error { return nil }

func (n noSync) OpenFile(name string, flag vfs.Flag) (vfs.File, error) {
	f, err := n.FS.OpenFile(name, flag)
	return noSyncFile{f}, err
}

type noSyncFile struct{ vfs.File }

func (noSyncFile) Sync() error { return nil }

func filesIn(t testing.TB, dir string) map[string][]byte {
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

// TestSurveyWhileItIsServed: a survey finds the sessions of one moment, while segments are
// filled, compacted and removed.
func TestSurveyWhileItIsServed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, noSync{vfs.OS(dir)}, storyOptions)
	put := func(key string, round int) error {
		return s.Set(write(key, fmt.Sprintf("%08d%s", round, strings.Repeat("v", 3000)), 0))
	}
	begin, ended, stop := make(chan chan struct{}), make(chan error, 1), make(chan struct{})
	go func() {
		ended <- func() error {
			turn := 0
			for round := 0; ; round++ {
				// These do not change during a survey.
				for n := range 20 {
					if n%3 == round%3 {
						if err := s.Delete(fmt.Append(nil, "still ", n), 1); err != nil {
							return err
						}
					} else if err := put(fmt.Sprint("still ", n), round); err != nil {
						return err
					}
				}
				var over chan struct{}
				select {
				case <-stop:
					return nil
				case over = <-begin:
				}
				for ; ; turn++ {
					select {
					case <-over:
					default:
						for n := range 20 { // one after the other
							if err := put(fmt.Sprint("busy ", n), turn); err != nil {
								return err
							}
						}
						if _, err := s.Sweep(1000, 1); err != nil {
							return err
						}
						continue
					}
					break
				}
			}
		}()
	}()
	for round := range 30 {
		over := make(chan struct{})
		begin <- over
		time.Sleep(time.Millisecond)
		records, found := surveyed(t, dir)
		close(over)
		for _, f := range found {
			require.Equal(t, survey.Note, f.Severity, "%+v", f)
		}
		if round == 0 {
			continue // perhaps not all were written once
		}
		for n := range 20 {
			_, ok := records[fmt.Sprint("still ", n)]
			require.Equal(t, n%3 != round%3, ok, "round %d, key %d", round, n)
		}
		turn := func(n int) (turn int) {
			t.Helper()
			w, ok := records[fmt.Sprint("busy ", n)]
			require.True(t, ok)
			_, err := fmt.Sscanf(string(w.Value[:8]), "%d", &turn)
			require.NoError(t, err)
			return turn
		}
		for n := 1; n < 20; n++ { // one is a turn behind those before it, and so are those after it
			require.LessOrEqual(t, turn(n), turn(n-1), "round %d", round)
			require.GreaterOrEqual(t, turn(n), turn(0)-1, "round %d", round)
		}
	}
	close(stop)
	require.NoError(t, <-ended)
	defer s.Close()
	require.Positive(t, s.Stats().Compacted)
}

// TestSurveyOfAListThatMissesSegments: a directory is not read at once. A list of it may
// miss both a segment that was removed and the one that took over its sessions.
func TestSurveyOfAListThatMissesSegments(t *testing.T) {
	dir := t.TempDir()
	held := story(t, dir)
	records := make(map[string]guest.Write)
	err := segments.SurveyOver(&missing{FS: vfs.OS(dir)}, survey.Options{Shard: 1, Shards: 2, Quick: true}, survey.Visitor{
		Record: func(r survey.Record) error {
			records[string(r.Key)] = write(string(r.Key), string(r.Value), r.Expires)
			return nil
		},
	})
	require.NoError(t, err)
	require.Equal(t, held, records)
}

// missing leaves out the newest segment when a directory is listed for the first time.
type missing struct {
	vfs.FS
	lists int
}

func (m *missing) ReadDir(name string) ([]vfs.Entry, error) {
	entries, err := m.FS.ReadDir(name)
	if m.lists++; m.lists == 1 {
		newest := ""
		for _, e := range entries {
			if strings.HasSuffix(e.Name, ".segment") {
				newest = max(newest, e.Name)
			}
		}
		entries = slices.DeleteFunc(entries, func(e vfs.Entry) bool { return e.Name == newest })
	}
	return entries, err
}
