package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

var ctx = context.Background()

func quiet() plugin.Config {
	return plugin.Config{MemoryLimit: 128 << 20, Logger: slog.New(slog.DiscardHandler)}
}

func overEngines(t *testing.T, f func(t *testing.T, name string)) {
	for name := range engines {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

func open(t *testing.T, name, dir string, config plugin.Config) *plugin.Plugin {
	t.Helper()
	p, err := engines[name](ctx, dir, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	return p
}

func key(i int) []byte { return fmt.Appendf(nil, "key-%d", i) }

func value(i int) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, 1), strings.Repeat(fmt.Sprintf("value %d ", i), 20)...)
}

func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, s.Set(ctx, store.Write{Key: key(i), Value: value(i), Now: 1}))
	}
}

// held returns how many of the records of fill are present and whole.
func held(t *testing.T, s store.Store, n int) (found int) {
	t.Helper()
	for i := range n {
		v, err := s.Get(ctx, key(i), 1)
		if err == nil {
			require.Equal(t, value(i), v)
			found++
		}
	}
	return found
}

func TestRecordsAreThereAfterwards(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		dir := filepath.Join(t.TempDir(), "deep", "sessions")
		config := quiet()
		config.Shards = 2
		p := open(t, name, dir, config)
		fill(t, p, 100)
		require.NoError(t, p.Delete(ctx, key(7), 1))
		require.NoError(t, p.Recycle(ctx))
		require.Equal(t, 99, held(t, p, 100), "a new instance finds what the last one had")
		require.NoError(t, p.Close(ctx))

		config.Shards = 0 // as many as the directory was made for
		p = open(t, name, dir, config)
		require.Equal(t, 2, p.Info().Shards)
		require.Equal(t, 99, held(t, p, 100))
		require.NoError(t, p.Clear(ctx, 1))
		require.NoError(t, p.Close(ctx))
		require.Zero(t, held(t, open(t, name, dir, config), 100))
	})
}

func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no modes")
	}
	overEngines(t, func(t *testing.T, name string) {
		dir := filepath.Join(t.TempDir(), "made")
		p := open(t, name, dir, quiet())
		fill(t, p, 20)
		require.NoError(t, p.Save(ctx, 1))
		files := 0
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			} else {
				files++
			}
			require.Equal(t, want, info.Mode().Perm(), path)
			return nil
		}))
		require.Positive(t, files)
	})
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		other := "dynfile"
		if name == other {
			other = "keyfolder"
		}
		_, thorough := crashes(t)
		for _, c := range []struct {
			name     string
			make     func(t *testing.T, dir string)
			says     string
			thorough bool // the engines' own tests cover it too
		}{
			{"of another engine", func(t *testing.T, dir string) {
				config := quiet()
				config.Shards = 1
				p := open(t, other, dir, config)
				fill(t, p, 3)
				require.NoError(t, p.Close(ctx))
			}, other, false},
			{"of a newer version", func(t *testing.T, dir string) {
				write(t, dir, "format", "waddle "+name+" 99\nshards 4\n")
			}, "99", false},
			{"of something else", func(t *testing.T, dir string) {
				write(t, dir, "holiday.jpg", "not a session")
			}, "not empty", true},
			{"with a format that is not one", func(t *testing.T, dir string) {
				write(t, dir, "format", "SQLite format 3\x00")
			}, "format", true},
		} {
			if c.thorough && !thorough {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				dir := t.TempDir()
				c.make(t, dir)
				before := contents(t, dir)
				config := quiet()
				config.Shards = 1
				_, err := engines[name](ctx, dir, config)
				require.ErrorIs(t, err, plugin.ErrOpen)
				require.ErrorContains(t, err, c.says)
				require.Equal(t, before, contents(t, dir), "nothing is changed")
			})
		}
		t.Run("for another number of shards", func(t *testing.T) {
			dir := t.TempDir()
			p := open(t, name, dir, quiet())
			require.Equal(t, 4, p.Info().Shards, "whatever the machine")
			fill(t, p, 20)
			require.NoError(t, p.Close(ctx))
			config := quiet()
			config.Shards = 2
			_, err := engines[name](ctx, dir, config)
			require.ErrorIs(t, err, plugin.ErrShards)
			require.ErrorContains(t, err, "4 shards")

			// A copy by a pattern leaves out names that begin with a dot. The
			// engine itself has the number too.
			require.NoError(t, os.Remove(filepath.Join(dir, ".waddle.shards")))
			_, err = engines[name](ctx, dir, config)
			require.ErrorIs(t, err, plugin.ErrOpen)
			require.ErrorIs(t, err, store.ErrInvalid)
			require.ErrorContains(t, err, "made for 4 shards, not for 2")
			config.Shards = 0
			p = open(t, name, dir, config)
			require.Equal(t, 4, p.Info().Shards)
			require.Equal(t, 20, held(t, p, 20))
		})
		t.Run("no directory", func(t *testing.T) {
			_, err := engines[name](ctx, "", quiet())
			require.ErrorIs(t, err, plugin.ErrDirectory)
			require.ErrorContains(t, err, "SESSION_DIR")
		})
		t.Run("a file", func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "file", "x")
			_, err := engines[name](ctx, filepath.Join(dir, "file"), quiet())
			require.ErrorIs(t, err, plugin.ErrDirectory)
		})
	})
}

// TestSecondProcess: another process cannot open the directory of a running server.
// The error names the directory and the pid of its holder. The directory is free
// when that process is killed.
func TestSecondProcess(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		h := &harness{t: t, engine: name, durability: "commit", dir: t.TempDir()}
		h.start(0)
		_, err := engines[name](ctx, h.dir, quiet())
		require.ErrorIs(t, err, plugin.ErrInUse)
		require.ErrorContains(t, err, filepath.Base(h.dir))
		require.ErrorContains(t, err, fmt.Sprint(h.process.Process.Pid))
		h.kill()
		open(t, name, h.dir, quiet())
	})
}

// waitingLog is a log that signals when somebody waits.
type waitingLog struct {
	b    bytes.Buffer
	seen chan struct{}
}

func (l *waitingLog) Write(line []byte) (int, error) {
	l.b.Write(line)
	if bytes.Contains(line, []byte("waiting for a directory")) {
		l.seen <- struct{}{}
	}
	return len(line), nil
}

// TestRollingRestart: the next process waits for the directory of the one that still
// runs, logs which one, and finds every session that it answered.
func TestRollingRestart(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		h := &harness{t: t, engine: name, durability: "commit", dir: t.TempDir()}
		h.start(0)
		defer h.kill()
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		_, err = h.ask(jar, "POST", "/bump", url.Values{"owner": {"visitor"}})
		require.NoError(t, err)

		log := &waitingLog{seen: make(chan struct{}, 8)}
		config := quiet()
		config.Logger = slog.New(slog.NewTextHandler(log, nil))
		config.LockWait = 100 * time.Millisecond
		_, err = engines[name](ctx, h.dir, config)
		require.ErrorIs(t, err, plugin.ErrInUse)
		require.ErrorContains(t, err, "waited")

		<-log.seen
		log.b.Reset()
		config.LockWait = time.Minute
		go func() {
			<-log.seen
			_ = h.process.Process.Kill()
		}()
		p := open(t, name, h.dir, config)
		records := 0
		for _, err := range p.Keys(ctx, store.At(time.Now())) {
			require.NoError(t, err)
			records++
		}
		require.Equal(t, 1, records)
		host, err := os.Hostname()
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(log.b.String(), "waiting for a directory that another process has"))
		for _, says := range []string{h.dir, fmt.Sprint("pid=", h.process.Process.Pid), "host=" + host, "since=2", "the directory is free"} {
			require.Contains(t, log.b.String(), says)
		}

		log.b.Reset()
		ended, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			<-log.seen
			cancel()
		}()
		_, err = engines[name](ended, h.dir, config)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, plugin.ErrInUse)
	})
}

// TestDamage: whatever happens to a file, opening either fails with an error that
// says so or keeps what is still whole. Every record that is present is the one
// that was stored.
func TestDamage(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		const records = 20
		made := t.TempDir()
		config := quiet()
		config.Shards = 2
		p := open(t, name, made, config)
		fill(t, p, records)
		require.NoError(t, p.Close(ctx))
		var files []string
		for file := range contents(t, made) {
			if !strings.HasPrefix(filepath.Base(file), ".waddle") && file != "format" {
				files = append(files, file)
			}
		}
		require.NotEmpty(t, files)
		slices.Sort(files)
		if len(files) > 6 { // sessions are all alike, and the other files are few
			others := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return filepath.Base(f) == "session" })
			files = append(others, slices.DeleteFunc(files, func(f string) bool { return slices.Contains(others, f) })[:4]...)
		}
		damages := []struct {
			name  string
			alter func(b []byte) []byte
		}{
			{"emptied", func([]byte) []byte { return nil }},
			{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
			{"a bit near the start", func(b []byte) []byte { b[len(b)/100] ^= 4; return b }},
			{"a bit near the end", func(b []byte) []byte { b[len(b)-1] ^= 4; return b }},
			{"zeros", func(b []byte) []byte { return make([]byte, len(b)) }},
			{"grown", func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xff}, 100)...) }},
		}
		// Files and the damage to each: all at once if each has records of its own,
		// otherwise one at a time.
		type harm struct{ file, damage int }
		var cases [][]harm
		_, thorough := crashes(t)
		for file := range files {
			for damage := range damages {
				switch one := []harm{{file, damage}}; {
				case thorough:
					cases = append(cases, one)
				case file%len(damages) != damage && damage%len(files) != file: // each of both once
				case name == keyfolder.Name && len(cases) > 0:
					cases[0] = append(cases[0], one...)
				default:
					cases = append(cases, one)
				}
			}
		}
		for _, c := range cases {
			first := c[0]
			t.Run(filepath.Base(files[first.file])+"/"+damages[first.damage].name, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, os.CopyFS(dir, os.DirFS(made)))
				for _, h := range c {
					path := filepath.Join(dir, files[h.file])
					b, err := os.ReadFile(path)
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(path, damages[h.damage].alter(b), 0o600))
				}
				p, err := engines[name](ctx, dir, config)
				if err != nil {
					require.ErrorIs(t, err, plugin.ErrOpen)
					return
				}
				defer p.Close(ctx)
				if found := held(t, p, records); name == keyfolder.Name {
					require.GreaterOrEqual(t, found, records-len(c), "no other session is harmed")
				}
				fill(t, p, records)
				require.Equal(t, records, held(t, p, records), "it can be written to")
			})
		}
	})
}

func TestReadOnlyDisk(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		dir := smallDisk(t, "16m")
		config := quiet()
		config.Shards = 1
		p := open(t, name, dir, config)
		fill(t, p, 20)
		require.NoError(t, p.Close(ctx))
		if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: the disk cannot be made read-only here: %s", out)
		}
		_, err := engines[name](ctx, dir, config)
		require.Error(t, err, "a store that cannot be written to is no store")
		require.ErrorContains(t, err, "read-only")
	})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

// contents are the files beneath a directory, but for the lock.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".waddle") {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(b)
		return err
	}))
	return all
}
