package mount_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

const (
	nonblock = 4 // of fdflags
	again    = 6 // EAGAIN
)

// A guest begins the sync of a file or directory and goes on.
func TestGuestSyncsInTheBackground(t *testing.T) {
	m, dir := open(t, mount.Options{})
	g := newGuest(t, m)
	require.EqualValues(t, success, g.mkdir("d"))
	fd, errno := g.open("d/f", oCreat, rightRead|rightWrite, nonblock)
	require.EqualValues(t, success, errno)
	at, errno := g.open("d", oDirectory, rightRead, nonblock)
	require.EqualValues(t, success, errno)
	require.EqualValues(t, success, g.write(fd, "text"))
	for _, fd := range []uint64{fd, at} {
		require.EqualValues(t, again, g.call("fd_datasync", fd))
		require.Eventually(t, func() bool { return g.call("fd_datasync", fd) == success }, 10*time.Second, time.Millisecond)
		require.EqualValues(t, again, g.call("fd_datasync", fd), "another")
		require.EqualValues(t, success, g.call("fd_sync", fd), "which waits for it")
		require.EqualValues(t, again, g.call("fd_datasync", fd), "the outcome of that one was told")
	}
	// One that runs keeps nothing from being closed.
	require.EqualValues(t, success, g.call("fd_close", fd))
	require.EqualValues(t, success, g.call("fd_close", at))
	require.Zero(t, m.Usage().Open)
	text, err := os.ReadFile(dir + "/d/f")
	require.NoError(t, err)
	require.Equal(t, "text", string(text))

	// Whoever did not ask for it waits.
	fd, errno = g.open("d/f", 0, rightRead|rightWrite, 0)
	require.EqualValues(t, success, errno)
	require.EqualValues(t, success, g.call("fd_datasync", fd))
	require.EqualValues(t, success, g.call("fd_sync", fd))
}
