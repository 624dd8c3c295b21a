package sessiondir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/sessiondir"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

var names = []string{"dynfile", "keyfolder", "memory"}

func key(n int) []byte {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return sum[:]
}

func value(n, revision int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(revision))
	return append(b, strings.Repeat(fmt.Sprint("value ", n, " "), 10+n%50)...)
}

func openEngine(t testing.TB, engine, dir string) *plugin.Plugin {
	t.Helper()
	p, err := engines.Settings{Storage: engine, Dir: dir,
		Config: plugin.Config{Shards: 2, Durability: plugin.DurabilityClose, Logger: slog.New(slog.DiscardHandler)}}.Open(t.Context())
	require.NoError(t, err)
	return p
}

const records = 200

// made is a directory with records 0 to 199, of which every tenth has been deleted, and some
// have an expiry.
func made(t testing.TB, engine string) (dir string, held map[string]store.Record) {
	t.Helper()
	dir, held = t.TempDir(), make(map[string]store.Record)
	p := openEngine(t, engine, dir)
	now := store.At(time.Now())
	for n := range records {
		r := store.Record{Key: key(n), Value: value(n, 2)}
		if n%7 == 0 {
			r.Expires = now + store.Millis(time.Hour/time.Millisecond)
		}
		w := store.Write{Key: r.Key, Value: value(n, 1), Now: now, Expect: store.Any}
		require.NoError(t, p.Set(t.Context(), w))
		w.Value, w.Expires = r.Value, r.Expires
		require.NoError(t, p.Set(t.Context(), w))
		held[string(r.Key)] = r
		if n%10 == 0 {
			require.NoError(t, p.Delete(t.Context(), r.Key, now))
			delete(held, string(r.Key))
		}
	}
	require.NoError(t, p.Close(context.WithoutCancel(t.Context())))
	return dir, held
}

// requireRecords opens a directory and compares what the engine has.
func requireRecords(t testing.TB, engine, dir string, held map[string]store.Record) {
	t.Helper()
	p := openEngine(t, engine, dir)
	defer func() { require.NoError(t, p.Close(context.WithoutCancel(t.Context()))) }()
	n := 0
	for r, err := range p.Snapshot(t.Context(), store.At(time.Now())) {
		require.NoError(t, err)
		want, ok := held[string(r.Key)]
		require.True(t, ok, "a record that was never stored, or deleted")
		require.True(t, bytes.Equal(want.Value, r.Value) && want.Expires == r.Expires, "another record")
		n++
	}
	require.Equal(t, len(held), n)
}

func recognised(t testing.TB, dir string) sessiondir.Layout {
	t.Helper()
	l, err := sessiondir.Recognise(dir)
	require.NoError(t, err)
	return l
}

func now() sessiondir.Options { return sessiondir.Options{Now: time.Now()} }

func TestBackupAndRestore(t *testing.T) {
	for _, engine := range names {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir, held := made(t, engine)
			before := tree(t, dir)
			file := filepath.Join(t.TempDir(), "backup")
			m, end, err := sessiondir.BackupFile(t.Context(), recognised(t, dir), file, false, "test", now())
			require.NoError(t, err)
			require.Equal(t, before, tree(t, dir), "the backup has changed something")
			require.Equal(t, engine, m.Engine)
			require.EqualValues(t, len(held), end.Records)
			require.Equal(t, engine == "memory", m.AsOf != nil)
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

			_, _, err = sessiondir.BackupFile(t.Context(), recognised(t, dir), file, false, "test", now())
			require.ErrorIs(t, err, os.ErrExist)
			_, _, err = sessiondir.BackupFile(t.Context(), recognised(t, dir), file, true, "test", now())
			require.NoError(t, err)
			left, err := os.ReadDir(filepath.Dir(file))
			require.NoError(t, err)
			require.Len(t, left, 1, "something unfinished is left")

			f, err := os.Open(file)
			require.NoError(t, err)
			defer f.Close()
			verified, again, err := sessiondir.Verify(f, sessiondir.Options{})
			require.NoError(t, err)
			require.Equal(t, m.Shards, verified.Shards)
			require.Equal(t, end.Records, again.Records)

			whole, err := os.ReadFile(file)
			require.NoError(t, err)
			to := filepath.Join(t.TempDir(), "new", "sessions")
			done, err := sessiondir.Restore(t.Context(), bytes.NewReader(whole), to, now())
			require.NoError(t, err)
			require.Equal(t, len(held), done.Records)
			found, err := sessiondir.Check(t.Context(), recognised(t, to), now())
			require.NoError(t, err)
			require.True(t, found.Well, "%+v", found.Findings)
			require.Empty(t, found.Findings)
			require.EqualValues(t, len(held), found.Records)
			requireRecords(t, engine, to, held)

			// Not over anything.
			_, err = sessiondir.Restore(t.Context(), bytes.NewReader(whole), to, now())
			require.ErrorIs(t, err, sessiondir.ErrNotEmpty)
			requireRecords(t, engine, to, held)

			// Sessions that have expired since stay away.
			later := sessiondir.Options{Now: time.Now().Add(2 * time.Hour)}
			to = t.TempDir() // one that is there and empty
			done, err = sessiondir.Restore(t.Context(), bytes.NewReader(whole), to, later)
			require.NoError(t, err)
			require.Positive(t, done.Expired)
			require.Equal(t, len(held), done.Records+done.Expired)

			// A backup that was cut short leaves nothing.
			to = filepath.Join(t.TempDir(), "none")
			_, err = sessiondir.Restore(t.Context(), bytes.NewReader(whole[:len(whole)-30]), to, now())
			require.ErrorIs(t, err, archive.ErrDamaged)
			require.NoDirExists(t, to)
		})
	}
}

// TestPartsOfTheWork: whoever watches hears how much is done, from the beginning on, and never
// that it became less.
func TestPartsOfTheWork(t *testing.T) {
	for _, engine := range names {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir, held := made(t, engine)
			watched := func() (o sessiondir.Options, seen *[]float64) {
				o, seen = now(), new([]float64)
				o.Part = func(done, parts int64) { *seen = append(*seen, float64(done)/float64(parts)) }
				return o, seen
			}
			requireParts := func(seen []float64) {
				t.Helper()
				require.Greater(t, len(seen), 1)
				require.Less(t, seen[0], 0.1)
				require.True(t, slices.IsSorted(seen), "%v", seen)
				require.LessOrEqual(t, seen[len(seen)-1], 1.0)
				require.GreaterOrEqual(t, seen[len(seen)-1], 0.5)
			}
			o, seen := watched()
			_, err := sessiondir.Check(t.Context(), recognised(t, dir), o)
			require.NoError(t, err)
			requireParts(*seen)
			o, seen = watched()
			var backup bytes.Buffer
			_, _, err = sessiondir.Backup(t.Context(), recognised(t, dir), &backup, "test", o)
			require.NoError(t, err)
			requireParts(*seen)

			o, seen = watched()
			read, compared := 0, 0
			o.Read = func(n int64) { read += int(n) }
			o.Compare = func() {
				require.Equal(t, len(held), read)
				require.Empty(t, *seen)
				compared++
			}
			_, err = sessiondir.Restore(t.Context(), &backup, filepath.Join(t.TempDir(), "to"), o)
			require.NoError(t, err)
			require.Equal(t, 1, compared)
			require.Equal(t, 2*len(held), read)
			requireParts(*seen)
		})
	}
}

// TestCheckAndRepair: damage is found, a repair keeps all that can be read, and what it takes
// away.
func TestCheckAndRepair(t *testing.T) {
	for _, c := range []struct {
		engine, name string
		damage       func(t *testing.T, dir string)
		lost         int // sessions at most
		remedy       string
	}{
		{"dynfile", "a value", func(t *testing.T, dir string) { flip(t, dir, "shard-0/*.segment", []byte("value 11 ")) }, 1, "backup"},
		{"dynfile", "the format is gone", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "format"))) }, 0, "repair"},
		{"dynfile", "a copy of the header", func(t *testing.T, dir string) { flip(t, dir, "shard-1/*.segment", []byte("waddyseg")) }, 0, "repair"},
		{"dynfile", "a shard is gone", func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "shard-1"))) }, records, "backup"},
		{"dynfile", "a hint", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "shard-0", "00000000.hint"), []byte("waddyhnt and nothing that fits"), 0o600))
		}, 0, "engine"},
		{"keyfolder", "a value", func(t *testing.T, dir string) { flip(t, dir, "sessions-*/*/*/*/session", []byte("value 11 ")) }, 1, "repair"},
		{"keyfolder", "another key", func(t *testing.T, dir string) { swap(t, dir) }, 1, "repair"},
		{"keyfolder", "the format is damaged", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "format"), []byte("wad"), 0o600))
		}, 0, "repair"},
		{"memory", "cut short", func(t *testing.T, dir string) {
			info, err := os.Stat(filepath.Join(dir, "sessions.snapshot"))
			require.NoError(t, err)
			require.NoError(t, os.Truncate(filepath.Join(dir, "sessions.snapshot"), info.Size()-5))
		}, 0, "repair"},
	} {
		t.Run(c.engine+", "+c.name, func(t *testing.T) {
			t.Parallel()
			dir, held := made(t, c.engine)
			c.damage(t, dir)
			damaged := tree(t, dir)
			found, err := sessiondir.Check(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			require.False(t, found.Well)
			require.True(t, slices.ContainsFunc(found.Findings, func(f sessiondir.Finding) bool { return f.Remedy == c.remedy }), "%+v", found.Findings)
			require.Equal(t, damaged, tree(t, dir), "the check has changed something")
			require.GreaterOrEqual(t, int(found.Records), len(held)-c.lost)

			steps, err := sessiondir.Repair(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			if c.name != "a shard is gone" {
				require.NotEmpty(t, steps)
			} else {
				p := openEngine(t, c.engine, dir) // it makes the shard
				require.NoError(t, p.Close(context.WithoutCancel(t.Context())))
			}
			after, err := sessiondir.Check(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			require.True(t, after.Well, "%+v", after.Findings)
			require.Equal(t, found.Records, after.Records, "the repair has lost something")
			kept := tree(t, filepath.Join(dir, ".waddle.lost"))
			if len(steps) > 0 && c.name != "the format is gone" {
				require.NotEmpty(t, kept)
			}
			for name, b := range kept {
				_, name, _ = strings.Cut(name, "/") // behind the time
				require.True(t, bytes.Equal(damaged[name], b), "%s was not kept as it was", name)
			}
			again, err := sessiondir.Repair(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			require.Empty(t, again)

			p := openEngine(t, c.engine, dir)
			defer p.Close(context.WithoutCancel(t.Context()))
			n := 0
			for k, r := range held {
				v, err := p.Get(t.Context(), []byte(k), store.At(time.Now()))
				if err == nil {
					require.True(t, bytes.Equal(r.Value, v))
					n++
				} else {
					require.ErrorIs(t, err, store.ErrNotFound, "what is lost is gone, and not an error for ever")
				}
			}
			require.EqualValues(t, after.Records, n)

			_, err = sessiondir.Repair(t.Context(), recognised(t, dir), now())
			require.ErrorContains(t, err, "in use")
		})
	}
}

// flip changes a byte in the first file that has the text.
func flip(t *testing.T, dir, pattern string, text []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		if at := bytes.LastIndex(b, text); at >= 0 {
			b[at+3] ^= 0x20
			require.NoError(t, os.WriteFile(file, b, 0o600))
			return
		}
	}
	t.Fatalf("no file of %s has %q", pattern, text)
}

// swap puts the session of one key into the folder of another.
func swap(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "sessions-0/*/*/*/session"))
	require.NoError(t, err)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files[1], b, 0o600))
}

func tree(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".waddle.lock" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return files
}

func TestRecogniseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"empty":            {nil, "it is empty"},
		"something else":   {map[string]string{"notes.txt": "?"}, "neither a file format"},
		"another engine":   {map[string]string{"format": "waddle other 1\nshards 1\n"}, `the engine "other"`},
		"a newer form":     {map[string]string{"format": "waddle dynfile 2\nshards 1\n"}, "version 2: must be 1"},
		"another program":  {map[string]string{"format": "hello\n"}, `begins "hello"`},
		"no power of two":  {map[string]string{"format": "waddle dynfile 1\nshards 3\n"}, "3 shards"},
		"shards, unmarked": {map[string]string{"shard-0/x": "", "shard-1/x": "", "shard-2/x": ""}, "3 shards of dynfile"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
			}
			_, err := sessiondir.Recognise(dir)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestInterruptedRepair: while a repair of dynfile puts a shard in its place, the engine refuses the
// directory, a restore does too, and another repair goes on.
func TestInterruptedRepair(t *testing.T) {
	for _, moved := range []bool{false, true} {
		t.Run(fmt.Sprint("moved ", moved), func(t *testing.T) {
			t.Parallel()
			dir, held := made(t, "dynfile")
			backup := new(bytes.Buffer)
			_, _, err := sessiondir.Backup(t.Context(), recognised(t, dir), backup, "test", now())
			require.NoError(t, err)
			at := func(name string) string { return filepath.Join(dir, name) }
			require.NoError(t, os.CopyFS(at("shard-0-new"), os.DirFS(at("shard-0"))))
			require.NoError(t, os.Rename(at("format"), at(".waddle.format")))
			if moved {
				require.NoError(t, os.RemoveAll(at("shard-0")))
			}
			_, err = engines.Settings{Storage: "dynfile", Dir: dir}.Open(t.Context())
			require.ErrorIs(t, err, plugin.ErrOpen)
			_, err = sessiondir.Restore(t.Context(), backup, dir, now())
			require.ErrorIs(t, err, sessiondir.ErrNotEmpty)
			found, err := sessiondir.Check(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			require.False(t, found.Well)

			_, err = sessiondir.Repair(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			found, err = sessiondir.Check(t.Context(), recognised(t, dir), now())
			require.NoError(t, err)
			require.True(t, found.Well, "%+v", found.Findings)
			requireRecords(t, "dynfile", dir, held)
		})
	}
}

// TestInterruptedRepairOfTheOnlyShard: a directory whose only shard was moved away is not a new
// store to the engine, and a restore does not take it for an empty one.
func TestInterruptedRepairOfTheOnlyShard(t *testing.T) {
	dir, p := t.TempDir(), (*plugin.Plugin)(nil)
	open := func() (err error) {
		p, err = engines.Settings{Storage: "dynfile", Dir: dir,
			Config: plugin.Config{Shards: 1, Durability: plugin.DurabilityClose, Logger: slog.New(slog.DiscardHandler)}}.Open(t.Context())
		return err
	}
	require.NoError(t, open())
	for n := range records {
		require.NoError(t, p.Set(t.Context(), store.Write{Key: key(n), Value: value(n, 1), Now: store.At(time.Now()), Expect: store.Any}))
	}
	require.NoError(t, p.Close(context.WithoutCancel(t.Context())))
	var backup bytes.Buffer
	_, _, err := sessiondir.Backup(t.Context(), recognised(t, dir), &backup, "test", now())
	require.NoError(t, err)
	flip(t, dir, "shard-0/*.segment", []byte("value 42 "))
	damaged, err := sessiondir.Check(t.Context(), recognised(t, dir), now())
	require.NoError(t, err)
	require.False(t, damaged.Well)

	killed := errors.New("killed")
	_, err = sessiondir.Repair(t.Context(), recognised(t, dir), sessiondir.EndedBetween(now(), killed))
	require.ErrorIs(t, err, killed)
	require.ErrorIs(t, open(), plugin.ErrOpen)
	_, err = sessiondir.Restore(t.Context(), &backup, dir, now())
	require.ErrorIs(t, err, sessiondir.ErrNotEmpty)

	_, err = sessiondir.Repair(t.Context(), recognised(t, dir), now())
	require.NoError(t, err)
	found, err := sessiondir.Check(t.Context(), recognised(t, dir), now())
	require.NoError(t, err)
	require.True(t, found.Well, "%+v", found.Findings)
	require.Equal(t, damaged.Records, found.Records)
	require.NoDirExists(t, filepath.Join(dir, "shard-0-new"))
	require.NoError(t, open())
	v, err := p.Get(t.Context(), key(7), store.At(time.Now()))
	require.NoError(t, err)
	require.Equal(t, value(7, 1), v)
	require.NoError(t, p.Close(context.WithoutCancel(t.Context())))
}

// TestInterruptedRestore: what a restore has left that was killed while it moved things to their
// place is no obstacle to another, unless there is something else.
func TestInterruptedRestore(t *testing.T) {
	dir, held := made(t, "dynfile")
	var backup bytes.Buffer
	_, _, err := sessiondir.Backup(t.Context(), recognised(t, dir), &backup, "test", now())
	require.NoError(t, err)
	to := t.TempDir()
	for _, name := range []string{".waddle.restore/shard-1/x", "shard-0/x", "notes"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(to, name), nil, 0o600))
	}
	_, err = sessiondir.Restore(t.Context(), bytes.NewReader(backup.Bytes()), to, now())
	require.ErrorIs(t, err, sessiondir.ErrNotEmpty)
	require.FileExists(t, filepath.Join(to, "notes"))
	require.NoError(t, os.Remove(filepath.Join(to, "notes")))
	_, err = sessiondir.Restore(t.Context(), &backup, to, now())
	require.NoError(t, err)
	requireRecords(t, "dynfile", to, held)
}
