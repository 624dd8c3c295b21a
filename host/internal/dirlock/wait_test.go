package dirlock_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/dirlock"
)

// A process waits for another one that has the directory, and says which.
func TestWait(t *testing.T) {
	dir := t.TempDir()
	cmd := holder(t, dir)
	var told []dirlock.InUseError
	began := time.Now()
	_, err := dirlock.Wait(t.Context(), dir, 150*time.Millisecond, func(e *dirlock.InUseError) { told = append(told, *e) })
	require.ErrorIs(t, err, dirlock.ErrInUse)
	require.ErrorContains(t, err, "waited ")
	require.WithinRange(t, time.Now(), began.Add(150*time.Millisecond), began.Add(10*time.Second))
	require.Len(t, told, 1, "once, however often it tries")
	require.Equal(t, cmd.Process.Pid, told[0].PID)
	require.NotEmpty(t, told[0].Host)
	require.False(t, told[0].Since.IsZero())

	ended, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = dirlock.Wait(ended, dir, time.Hour, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, dirlock.ErrInUse)

	_, err = dirlock.Wait(t.Context(), dir, 0, func(*dirlock.InUseError) { t.Error("it does not wait") })
	require.ErrorIs(t, err, dirlock.ErrInUse)
	require.NotContains(t, err.Error(), "waited")

	time.AfterFunc(100*time.Millisecond, func() { _ = cmd.Process.Kill() })
	lock, err := dirlock.Wait(t.Context(), dir, time.Minute, nil)
	require.NoError(t, err)
	require.NoError(t, lock.Close())

	_, err = dirlock.Wait(t.Context(), dir+"/none", time.Hour, nil)
	require.ErrorIs(t, err, os.ErrNotExist, "nobody waits for what cannot be had")
}

func TestFileSystemWithoutLocks(t *testing.T) {
	for _, cause := range dirlock.WithoutLocks {
		restore := dirlock.FailLocks(cause)
		dir := t.TempDir()
		_, err := dirlock.Wait(t.Context(), dir, time.Hour, nil)
		restore()
		require.ErrorIs(t, err, dirlock.ErrNoLocks, cause)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.NotErrorIs(t, err, dirlock.ErrInUse)
		for _, says := range []string{cause.Error(), dir, "local disk", "NFS", "FUSE"} {
			require.ErrorContains(t, err, says)
		}
		lock, err := dirlock.Acquire(dir)
		require.NoError(t, err, "nothing is left open")
		require.NoError(t, lock.Close())
	}
	restore := dirlock.FailLocks(os.ErrPermission)
	defer restore()
	_, err := dirlock.Acquire(t.TempDir())
	require.NotErrorIs(t, err, dirlock.ErrNoLocks)
	require.NotContains(t, err.Error(), "NFS")
}
