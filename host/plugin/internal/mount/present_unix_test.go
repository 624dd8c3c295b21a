//go:build unix

package mount_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

func TestPresent(t *testing.T) {
	above := t.TempDir()
	t.Chdir(above)
	dir := filepath.Join(above, "dir")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Symlink("dir", filepath.Join(above, "link")))
	for _, name := range []string{dir, "dir", "link", "./dir/../link/"} {
		m, err := mount.Open(name, mount.Options{})
		require.NoError(t, err)
		require.NoError(t, m.Present())
		t.Chdir(t.TempDir())
		require.NoError(t, m.Present(), "the process may change its directory")

		require.NoError(t, os.Rename(dir, dir+"2"))
		require.ErrorIs(t, m.Present(), mount.ErrMoved)
		require.NoError(t, os.WriteFile(dir, nil, 0o600))
		require.ErrorIs(t, m.Present(), mount.ErrMoved, "a file")
		require.NoError(t, os.Remove(dir))
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.ErrorIs(t, m.Present(), mount.ErrMoved, "another directory")
		require.NoError(t, os.Remove(dir))
		require.NoError(t, os.Rename(dir+"2", dir))
		require.NoError(t, m.Present(), "back again")
		require.NoError(t, m.Close())
		require.NoError(t, m.Present(), "nobody writes to a closed directory")
		t.Chdir(above)
	}
}

func BenchmarkPresent(b *testing.B) {
	m, err := mount.Open(b.TempDir(), mount.Options{})
	require.NoError(b, err)
	defer m.Close()
	for b.Loop() {
		_ = m.Present()
	}
}
