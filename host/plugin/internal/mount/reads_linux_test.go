package mount_test

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// A file that is read whole, into memory with room for more, takes one call of the system.
func TestReadToTheEndIsOneCall(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := os.Stat("/proc/thread-self/io"); err != nil {
		t.Skip("SKIPPED: this kernel does not count calls:", err)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/f", make([]byte, 12289), 0o600))
	m, err := mount.Open(dir, mount.Options{})
	require.NoError(t, err)
	defer m.Close()
	buf := make([]byte, 12290)
	read := func(offsets ...int64) int {
		f, errno := m.OpenFile("f", sys.O_RDONLY, 0)
		require.Zero(t, errno)
		defer f.Close()
		before := reads(t)
		for _, off := range offsets {
			_, errno := f.Pread(buf, off)
			require.Zero(t, errno)
		}
		return reads(t) - before
	}
	asking := read()
	require.Equal(t, 1, read(0)-asking)
	require.Equal(t, 2, read(4096)-asking, "elsewhere the system is asked whether that was the end")
}

// reads returns how many calls of read and the like this thread has made.
func reads(t *testing.T) int {
	b, err := os.ReadFile("/proc/thread-self/io")
	require.NoError(t, err)
	n, err := strconv.Atoi(string(regexp.MustCompile(`syscr: (\d+)`).FindSubmatch(b)[1]))
	require.NoError(t, err)
	return n
}
