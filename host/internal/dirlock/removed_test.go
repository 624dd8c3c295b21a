package dirlock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/dirlock"
)

// Somebody removes the lock file, or replaces it, while a process holds the lock.
// The directory still belongs to that process, whoever else comes, and is free when
// it has ended.
func TestTheFileGoesWhileItIsHeld(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows does not let it")
	}
	file := func(dir string) string { return filepath.Join(dir, dirlock.FileName) }
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"removed": func(t *testing.T, dir string) { require.NoError(t, os.Remove(file(dir))) },
		"moved":   func(t *testing.T, dir string) { require.NoError(t, os.Rename(file(dir), file(dir)+".old")) },
		"replaced": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(file(dir)))
			require.NoError(t, os.WriteFile(file(dir), nil, 0o600))
		},
		"replaced by another's": func(t *testing.T, dir string) {
			text, err := os.ReadFile(file(dir))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file(dir)+".new", text, 0o600))
			require.NoError(t, os.Rename(file(dir)+".new", file(dir)))
		},
		"replaced by what is no file": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(file(dir)))
			require.NoError(t, os.Mkdir(file(dir), 0o700))
			t.Cleanup(func() { _ = os.Remove(file(dir)) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := holder(t, dir)
			spoil(t, dir)
			for range 2 {
				_, err := dirlock.Acquire(dir)
				require.ErrorIs(t, err, dirlock.ErrInUse, "by this process")
				second := exec.Command(os.Args[0])
				second.Env = append(os.Environ(), helperVariable+"="+dir)
				out, err := second.Output()
				require.Error(t, err, "by a process that is not its child")
				require.Contains(t, string(out), "is in use by ")
			}
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			if info, err := os.Lstat(file(dir)); err == nil && info.IsDir() {
				require.NoError(t, os.Remove(file(dir)))
			}
			lock, err := dirlock.Acquire(dir)
			require.NoError(t, err)
			require.NoError(t, lock.Close())
			lock, err = dirlock.Acquire(dir)
			require.NoError(t, err, "and again")
			require.NoError(t, lock.Close())
		})
	}
}
