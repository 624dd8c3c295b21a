//go:build unix

package dirlock

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that opened the file before somebody removed it must not lock a
// file that is no longer in the directory.
func TestFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	stale, err := open(root)
	require.NoError(t, err)
	defer stale.Close()
	require.True(t, current(root, stale))
	require.NoError(t, root.Remove(FileName))
	require.False(t, current(root, stale), "gone")
	l, err := Acquire(dir)
	require.NoError(t, err)
	defer l.Close()
	held, err := lock(stale)
	require.NoError(t, err)
	require.False(t, held)
	require.False(t, current(root, stale), "replaced")
	info, err := l.f.Stat()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}
