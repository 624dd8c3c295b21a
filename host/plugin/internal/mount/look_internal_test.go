//go:build unix

package mount

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
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

// Both ways of opening open the same, and say the same of it. Neither waits.
func TestOpenAt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: there is only one way of opening here")
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/a/b", 0o700))
	require.NoError(t, os.WriteFile(dir+"/a/b/f", []byte("text"), 0o640))
	require.NoError(t, os.WriteFile(dir+"/two", nil, 0o600))
	require.NoError(t, os.Link(dir+"/two", dir+"/a/two"))
	require.NoError(t, syscall.Mkfifo(dir+"/pipe", 0o600))
	m, err := Open(dir, Options{})
	require.NoError(t, err)
	defer m.Close()
	if _, _, ok := m.lookAtOnce("."); !ok {
		t.Skip("SKIPPED: this kernel has no openat2")
	}
	for _, flags := range []int{os.O_RDONLY | openFile, os.O_RDWR | openFile, os.O_RDONLY | openDirectory} {
		for _, path := range []string{".", "a", "a/b", "a/b/f", "a/two", "two", "none", "a/none/f", "a/b/f/f", "pipe"} {
			want, wantErr := m.openStepwise(path, flags)
			got, err := m.openAt(path, flags)
			require.Equal(t, m.errno(wantErr), m.errno(err), "%s, flags %x", path, flags)
			if err != nil {
				continue
			}
			require.Equal(t, want.st, got.st, path)
			require.Equal(t, want.id, got.id, path)
			require.Equal(t, want.links, got.links, path)
			require.NoError(t, got.f.Close())
			require.NoError(t, want.f.Close())
		}
	}

	// os.Root follows a link that stays inside, this way none.
	require.NoError(t, os.Symlink("b", dir+"/a/link"))
	require.NoError(t, os.Symlink("../..", dir+"/a/up"))
	require.NoError(t, os.Symlink("/proc/self", dir+"/proc"))
	for _, path := range []string{"a/link", "a/link/f", "a/up", "proc", "proc/exe", "proc/root/etc"} {
		o, err := m.openAt(path, os.O_RDONLY|openFile)
		if err == nil {
			o.f.Close()
		}
		require.Equal(t, sys.ELOOP, m.errno(err), path)
	}
	m.Close()
	_, err = m.openAt("a/b/f", os.O_RDONLY|openFile)
	require.Equal(t, sys.EBADF, m.errno(err))
}
