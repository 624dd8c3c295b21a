package mount_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// Errors for which wazero has no number arrive at the guest unchanged.
func TestErrorsReachTheGuest(t *testing.T) {
	m, dir := open(t, mount.Options{MaxBytes: 100, MaxFiles: 3, MaxOpen: 2})
	g := newGuest(t, m)
	fd, errno := g.open("f", oCreat, rightRead|rightWrite, 0)
	require.EqualValues(t, success, errno)
	require.EqualValues(t, success, g.write(fd, fmt.Sprintf("%100d", 1)))

	require.EqualValues(t, nospc, g.write(fd, "x"))
	g.path(bufferAt, "x")
	require.EqualValues(t, nospc, g.call("fd_pwrite", fd, g.vector(1), 1, 100, 8))
	require.EqualValues(t, nospc, g.call("fd_filestat_set_size", fd, 101))
	require.EqualValues(t, nospc, g.call("fd_allocate", fd, 0, 101))
	require.EqualValues(t, 22, g.call("fd_pwrite", fd, g.vector(1), 1, 1<<63-1, 8), "EFBIG")
	require.EqualValues(t, success, g.mkdir("d"))
	require.EqualValues(t, success, g.mkdir("e"))
	require.EqualValues(t, nospc, g.mkdir("g"))
	_, errno = g.open("g", oCreat, rightWrite, 0)
	require.EqualValues(t, nospc, errno)
	require.EqualValues(t, 10, g.rename(".", "x"), "EBUSY")

	other, errno := g.open("f", 0, rightRead, 0)
	require.EqualValues(t, success, errno)
	_, errno = g.open("f", 0, rightRead, 0)
	require.EqualValues(t, mfile, errno)
	require.EqualValues(t, mfile, g.touch("f", false), "which opens the file")

	// None of this harmed the guest, and other errors are as before.
	require.EqualValues(t, badf, g.write(other, "x"))
	require.EqualValues(t, success, g.call("fd_close", other))
	require.EqualValues(t, badf, g.call("fd_close", other))
	require.EqualValues(t, exist, g.mkdir("d"))
	require.EqualValues(t, success, g.call("fd_close", fd))
	fd, errno = g.open("f", 0, rightRead, 0)
	require.EqualValues(t, success, errno)
	text, errno := g.read(fd, 200)
	require.EqualValues(t, success, errno)
	require.Len(t, text, 100)
	_ = dir
}

// A guest that opens files for ever gets EMFILE; when it ends, everything is freed.
func TestGuestOpensForEver(t *testing.T) {
	m, _ := open(t, mount.Options{})
	put(t, m, "f", 1)
	g := newGuest(t, m)
	n := 0
	for ; n < 10*mount.DefaultMaxOpen; n++ {
		path := []string{"f", "."}[n%2]
		if _, errno := g.open(path, 0, rightRead, 0); errno != success {
			require.EqualValues(t, mfile, errno)
			break
		}
	}
	require.Equal(t, mount.DefaultMaxOpen, n)
	require.NoError(t, g.mod.Close(context.Background()))
	require.Zero(t, m.Usage().Open)
}

func TestGuestListsDirectories(t *testing.T) {
	m, dir := open(t, mount.Options{})
	require.NoError(t, os.WriteFile(dir+"/.waddle.lock", nil, 0o600))
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("file-%d", i))
		put(t, m, want[i], 0)
	}
	g := newGuest(t, m)
	for _, size := range []uint32{40, 100, 4096, 128 << 10} {
		names, errno := g.list(preopen, size)
		require.EqualValues(t, success, errno)
		require.ElementsMatch(t, append([]string{".", ".."}, want...), names, size)
	}
}

// A guest may let the list of vectors be overwritten while it is read: what comes into
// it is not followed.
func TestVectorsInTheWayOfARead(t *testing.T) {
	m, dir := open(t, mount.Options{})
	vector := func(at, length uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, at), length)
	}
	require.NoError(t, os.WriteFile(dir+"/f", append(vector(0x3000, 1000), make([]byte, 2000)...), 0o600))
	g := newGuest(t, m)
	fd, errno := g.open("f", 0, rightRead, 0)
	require.EqualValues(t, success, errno)
	const list = 0x800
	for name, args := range map[string][]uint64{"fd_read": {fd, list, 2, 8}, "fd_pread": {fd, list, 2, 0, 8}} {
		require.True(t, g.mod.Memory().Write(list, append(vector(list+8, 8), vector(0x3000, 1)...)))
		require.EqualValues(t, success, g.call(name, args...))
		require.EqualValues(t, 8, g.word(8), name)
	}
}

// What a listing keeps in the host is bounded for all directories together, and is
// freed when the directory is closed or listed again.
func TestListingsAreBounded(t *testing.T) {
	m, dir := open(t, mount.Options{MaxOpen: 200})
	for i := range 4000 {
		require.NoError(t, os.WriteFile(fmt.Sprintf("%s/%0250d", dir, i), nil, 0o600))
	}
	g := newGuest(t, m)
	const buffer = 128 << 10
	list := func(fd, cookie uint64) uint64 { return g.call("fd_readdir", fd, bufferAt, buffer, cookie, 8) }
	var fds []uint64
	for range 100 {
		fd, errno := g.open(".", oDirectory, rightRead, 0)
		require.EqualValues(t, success, errno)
		fds = append(fds, fd)
	}
	listed := 0
	for _, fd := range fds {
		errno := list(fd, 0)
		if errno != success {
			require.EqualValues(t, nomem, errno)
			break
		}
		listed++
	}
	require.Greater(t, listed, 8)
	require.Less(t, listed, 64)
	for range 3 {
		require.EqualValues(t, success, list(fds[0], 0), "the previous one is gone then")
		require.EqualValues(t, nomem, list(fds[99], 0))
	}
	require.EqualValues(t, success, g.call("fd_close", fds[0]))
	require.EqualValues(t, success, list(fds[99], 0))
	for _, fd := range fds[1:] {
		require.EqualValues(t, success, g.call("fd_close", fd))
	}
	fd, errno := g.open(".", oDirectory, rightRead, 0)
	require.EqualValues(t, success, errno)
	names, errno := g.list(fd, 4096)
	require.EqualValues(t, success, errno)
	require.Len(t, names, 4002)
}
