package mount_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// The disk is full before the quota is: the guest is told the same, and the
// counts stay right.
func TestDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,nr_inodes=6"); err != nil {
		t.Skipf("SKIPPED: a small file system, which takes privileges to mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	m, err := mount.Open(dir, mount.Options{MaxBytes: 1 << 20, MaxFiles: 100})
	require.NoError(t, err)
	defer m.Close()
	g := newGuest(t, m)

	fd, errno := g.open("f", oCreat, rightRead|rightWrite, fdAppend)
	require.EqualValues(t, success, errno)
	chunk := string(make([]byte, 10_000))
	for range 10 {
		if errno = g.write(fd, chunk); errno != success {
			break
		}
	}
	require.EqualValues(t, nospc, errno)
	info, err := os.Stat(dir + "/f")
	require.NoError(t, err)
	require.Equal(t, info.Size(), m.Usage().Bytes, "after a write that was cut short")

	// No more names either.
	for i := range 10 {
		if errno = g.mkdir("d" + string(rune('0'+i))); errno != success {
			break
		}
	}
	require.EqualValues(t, nospc, errno)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.EqualValues(t, len(entries), m.Usage().Files)

	// Removing makes room.
	require.EqualValues(t, success, g.call("fd_filestat_set_size", fd, 0))
	require.EqualValues(t, success, g.write(fd, chunk))
	require.EqualValues(t, 10_000, m.Usage().Bytes)
}

// A disk that is mounted read-only says so.
func TestDiskIsReadOnly(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/f", []byte("text"), 0o600))
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("SKIPPED: a read-only file system, which takes privileges to mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	m, err := mount.Open(dir, mount.Options{MaxBytes: 1 << 20})
	require.NoError(t, err)
	defer m.Close()
	g := newGuest(t, m)
	_, errno := g.open("new", oCreat, rightWrite, 0)
	require.EqualValues(t, rofs, errno)
	_, errno = g.open("f", 0, rightWrite, 0)
	require.EqualValues(t, rofs, errno)
	require.EqualValues(t, rofs, g.mkdir("d"))
	require.EqualValues(t, rofs, g.unlink("f"))
	require.Equal(t, mount.Usage{Bytes: 4, Files: 1}, m.Usage())
}
