package filetest

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

// A directory that goes away while it is in use takes with it what was there, and
// nobody is told that anything has been written to it since.
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
