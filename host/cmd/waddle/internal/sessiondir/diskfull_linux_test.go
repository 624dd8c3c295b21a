package sessiondir_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/sessiondir"
)

// TestDiskIsFull: a backup and a restore that find no room leave nothing.
func TestDiskIsFull(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=16k"); err != nil {
		t.Skipf("SKIPPED: a small file system, which takes privileges to mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(small, syscall.MNT_DETACH)) })
	dir, _ := made(t, "dynfile")
	l := recognised(t, dir)

	require.NoError(t, os.WriteFile(filepath.Join(small, "other"), make([]byte, 12<<10), 0o600))
	_, _, err := sessiondir.BackupFile(t.Context(), l, filepath.Join(small, "backup"), false, "test", now())
	require.ErrorIs(t, err, syscall.ENOSPC)
	left, err := os.ReadDir(small)
	require.NoError(t, err)
	require.Len(t, left, 1, "something unfinished is left")

	var b bytes.Buffer
	_, _, err = sessiondir.Backup(t.Context(), l, &b, "test", now())
	require.NoError(t, err)
	to := filepath.Join(small, "sessions")
	_, err = sessiondir.Restore(t.Context(), &b, to, now())
	require.Error(t, err)
	require.NoDirExists(t, to)
}

// TestDiskIsFullDuringARepair: a repair that finds no room leaves things as they were.
func TestDiskIsFullDuringARepair(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=800k"); err != nil {
		t.Skipf("SKIPPED: a small file system, which takes privileges to mount: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(small, syscall.MNT_DETACH)) })
	dir, _ := made(t, "dynfile")
	flip(t, dir, "shard-0/*.segment", []byte("value 11 "))
	to := filepath.Join(small, "sessions")
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	before := tree(t, to)
	_, err := sessiondir.Repair(t.Context(), recognised(t, to), now())
	require.Error(t, err)
	require.Equal(t, before, tree(t, to))
	require.NoError(t, os.WriteFile(filepath.Join(small, "more"), nil, 0o600), "there is room again")
}
