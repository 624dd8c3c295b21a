//go:build unix

package mount

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both ways of looking give the same answer.
func TestLook(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: there is only one way of looking here")
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/a/b", 0o700))
	require.NoError(t, os.WriteFile(dir+"/a/b/f", []byte("text"), 0o640))
	require.NoError(t, os.Symlink("f", dir+"/a/b/link"))
	require.NoError(t, os.Symlink("b", dir+"/a/link"))
	require.NoError(t, os.Symlink("..", dir+"/up"))
	require.NoError(t, os.Symlink("/proc/self", dir+"/proc"))
	require.NoError(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	_ = syscall.Mknod(dir+"/null", syscall.S_IFCHR|0o600, 1<<8|3)
	m, err := Open(dir, Options{})
	require.NoError(t, err)
	defer m.Close()
	for _, path := range []string{
		".", "a", "a/b", "a/b/f", "a/b/link", "a/link", "a/link/f", "a/b/none", "none", "none/f", "a/b/f/f", "up", "up/x", "proc",
		"proc/root/etc", "proc/exe", "pipe", "pipe/x", "null",
	} {
		st, errno, ok := m.lookAtOnce(path)
		if !ok {
			t.Skip("SKIPPED: this kernel has no openat2")
		}
		want, wantErrno := m.lookStepwise(path)
		require.Equal(t, wantErrno, errno, path)
		require.Equal(t, want, st, path)
	}
}
