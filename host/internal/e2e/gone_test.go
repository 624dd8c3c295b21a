package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// A directory that disappears while in use takes its sessions with it. No later
// write to it is acknowledged.
func TestDirectoryGoesAwayWhileRunning(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows does not let it")
	}
	overEngines(t, func(t *testing.T, name string) {
		for what, takeAway := range map[string]func(t *testing.T, dir string) (back func()){
			"removed": func(t *testing.T, dir string) func() {
				require.NoError(t, os.RemoveAll(dir))
				return nil
			},
			"moved": func(t *testing.T, dir string) func() {
				require.NoError(t, os.Rename(dir, dir+"-moved"))
				return func() { require.NoError(t, os.Rename(dir+"-moved", dir)) }
			},
			"replaced": func(t *testing.T, dir string) func() {
				require.NoError(t, os.Rename(dir, dir+"-moved"))
				require.NoError(t, os.CopyFS(dir, os.DirFS(dir+"-moved")))
				return func() {
					require.NoError(t, os.RemoveAll(dir))
					require.NoError(t, os.Rename(dir+"-moved", dir))
				}
			},
			"moved with what is above it": func(t *testing.T, dir string) func() {
				above := filepath.Dir(dir)
				require.NoError(t, os.Rename(above, above+"-moved"))
				return func() { require.NoError(t, os.Rename(above+"-moved", above)) }
			},
		} {
			for _, durability := range []plugin.Durability{plugin.DurabilityCommit, plugin.DurabilityInterval} {
				t.Run(fmt.Sprint(what, ", ", durability), func(t *testing.T) {
					config := quiet()
					config.Durability, config.Shards = durability, 1
					dir := filepath.Join(t.TempDir(), "above", "sessions")
					p := open(t, name, dir, config)
					fill(t, p, 5)
					back := takeAway(t, dir)
					for i := range 20 {
						err := p.Set(ctx, store.Write{Key: key(i), Value: value(i), Now: 1})
						require.ErrorIs(t, err, store.ErrUnavailable)
						require.ErrorContains(t, err, "removed or moved")
					}
					require.ErrorIs(t, p.Touch(ctx, key(1), 1<<50, 1), store.ErrUnavailable)
					require.ErrorIs(t, p.Delete(ctx, key(1), 1), store.ErrUnavailable, "it would come back with the directory")
					require.ErrorIs(t, p.Clear(ctx, 1), store.ErrUnavailable)
					if back == nil {
						return
					}
					back()
					require.Equal(t, 5, held(t, p, 5))
					require.NoError(t, p.Delete(ctx, key(1), 1))
					fill(t, p, 20)
					require.NoError(t, p.Close(ctx))
					require.Equal(t, 20, held(t, open(t, name, dir, config), 20))
				})
			}
		}
	})
}

// Somebody changes the contents of the directory while it is in use. Everything
// acknowledged from then on is there for the next process that opens it; usually
// nothing is acknowledged.
func TestFilesGoAwayWhileRunning(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows does not let it")
	}
	entries := func(t *testing.T, dir, pattern string) []string {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, found)
		return found
	}
	shard := map[string]string{"dynfile": "shard-1*", "keyfolder": "*-1"}
	files := map[string]string{"dynfile": "shard-1/*.segment", "keyfolder": "sessions-1/*/*/*/session"}
	overEngines(t, func(t *testing.T, name string) {
		for what, c := range map[string]struct {
			refused  func(engine string) bool
			takeAway func(t *testing.T, dir string)
		}{
			"contents removed": {func(string) bool { return true }, func(t *testing.T, dir string) {
				for _, path := range entries(t, dir, "*") {
					require.NoError(t, os.RemoveAll(path))
				}
			}},
			"a shard's files removed": {func(string) bool { return true }, func(t *testing.T, dir string) {
				for _, path := range entries(t, dir, shard[name]) {
					require.NoError(t, os.RemoveAll(path))
				}
			}},
			"a shard's files moved": {func(string) bool { return true }, func(t *testing.T, dir string) {
				for _, path := range entries(t, dir, shard[name]) {
					require.NoError(t, os.Rename(path, path+"-moved"))
				}
			}},
			"files removed": {func(engine string) bool { return engine == "dynfile" }, func(t *testing.T, dir string) {
				for _, path := range entries(t, dir, files[name]) {
					require.NoError(t, os.Remove(path))
				}
			}},
			"files replaced by copies": {func(engine string) bool { return engine == "dynfile" }, func(t *testing.T, dir string) {
				for _, path := range entries(t, dir, files[name]) {
					b, err := os.ReadFile(path)
					require.NoError(t, err)
					require.NoError(t, os.Rename(path, path+".moved"))
					require.NoError(t, os.WriteFile(path, b, 0o600))
				}
			}},
		} {
			for _, durability := range []plugin.Durability{plugin.DurabilityCommit, plugin.DurabilityInterval} {
				t.Run(fmt.Sprint(what, ", ", durability), func(t *testing.T) {
					const records = 40
					config := quiet()
					config.Durability, config.Shards = durability, 2
					dir := t.TempDir()
					p := open(t, name, dir, config)
					fill(t, p, records)
					require.NoError(t, p.Save(ctx, 1))
					fill(t, p, records/2)
					c.takeAway(t, dir)
					acknowledged := make(map[int]bool)
					for i := range 2 * records {
						err := p.Set(ctx, store.Write{Key: key(i), Value: value(i + 1000), Now: store.Millis(2 + i)})
						if acknowledged[i] = err == nil; err != nil {
							require.ErrorIs(t, err, store.ErrUnavailable)
						}
					}
					refused := 0
					for _, ok := range acknowledged {
						if !ok {
							refused++
						}
					}
					switch {
					case !c.refused(name):
						require.Zero(t, refused)
					case what == "contents removed":
						require.Equal(t, 2*records, refused)
						return // nothing to open
					default: // the other shard goes on
						require.InDelta(t, records, refused, records/2)
					}
					// A new process would find this if the current one were killed now.
					left := t.TempDir()
					require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
					for _, path := range entries(t, left, ".waddle*") {
						require.NoError(t, os.RemoveAll(path))
					}
					q := open(t, name, left, config)
					for i, ok := range acknowledged {
						if !ok {
							continue
						}
						got, err := q.Get(ctx, key(i), 1000)
						require.NoError(t, err, i)
						require.Equal(t, value(i+1000), got, i)
					}
				})
			}
		}
	})
}
