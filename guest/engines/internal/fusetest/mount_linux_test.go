package fusetest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// The tests of the server rely on this: the mount is the disk. Operations on a file
// or directory reach it, errors come back unchanged, and after a power cut exactly
// what was synced is there.
func TestMountIsTheDisk(t *testing.T) {
	m := newMachine(t, rand.New(rand.NewPCG(1, 1)))
	m.boot()
	at := func(name string) string { return filepath.Join(m.dir, name) }
	sync := func(name string) error {
		f, err := os.Open(at(name))
		require.NoError(t, err)
		defer f.Close()
		return f.Sync()
	}
	number := func(name string) uint64 {
		info, err := os.Stat(at(name))
		require.NoError(t, err)
		return info.Sys().(*syscall.Stat_t).Ino
	}
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(at(name), []byte(text), 0o600))
	}

	require.NoError(t, os.Mkdir(at("made"), 0o700))
	require.NoError(t, os.Mkdir(at("lost"), 0o700))
	require.NoError(t, os.Remove(at("lost")))
	require.NoError(t, sync(""))
	require.NoError(t, os.Mkdir(at("lost"), 0o700))
	write("made/new", "12345678")
	inode := number("made/new")
	require.NoError(t, os.Rename(at("made/new"), at("made/file")))
	require.Equal(t, inode, number("made/file"))
	require.NoError(t, os.Truncate(at("made/file"), 5))
	require.NoError(t, sync("made/file"))
	write("made/other", "never synced")
	require.NoError(t, sync("made"))
	write("made/late", "without a name that was synced")
	require.NoError(t, sync("made/late"))

	f, err := os.OpenFile(at("made/file"), os.O_RDWR, 0)
	require.NoError(t, err)
	m.suffer(&fault{ops: []crash.Kind{crash.Write}, oneIn: 1, short: true})
	n, err := syscall.Pwrite(int(f.Fd()), []byte("abcdefgh"), 0)
	require.NoError(t, err)
	require.Positive(t, n)
	require.Less(t, n, 8, "the write ends early")
	require.Equal(t, 1, m.suffer(&fault{ops: syncing, errs: []syscall.Errno{syscall.EDQUOT}, oneIn: 1}))
	require.ErrorIs(t, f.Sync(), syscall.EDQUOT)
	require.ErrorIs(t, sync("made"), syscall.EDQUOT)
	require.Equal(t, 2, m.suffer(&fault{ops: []crash.Kind{crash.Close}, errs: []syscall.Errno{syscall.EIO}, oneIn: 1}))
	require.ErrorIs(t, f.Close(), syscall.EIO)
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.ESTALE} {
		m.suffer(&fault{ops: anything, errs: []syscall.Errno{errno}, oneIn: 1})
		_, err := os.ReadFile(at("made/file"))
		require.ErrorIs(t, err, errno)
		require.ErrorIs(t, os.Mkdir(at("made/none"), 0o700), errno)
		require.ErrorIs(t, os.Rename(at("made/file"), at("made/none")), errno)
		require.ErrorIs(t, os.Remove(at("made/file")), errno)
	}
	m.suffer(nil)

	m.halt()
	m.disk.Restart(crash.Nothing)
	m.boot()
	text, err := os.ReadFile(at("made/file"))
	require.NoError(t, err)
	require.Equal(t, "12345", string(text), "what was written later was not synced")
	text, err = os.ReadFile(at("made/other"))
	require.NoError(t, err)
	require.Empty(t, text, "its name was synced, but the file was not")
	require.NoFileExists(t, at("made/late"))
	require.NoDirExists(t, at("lost"))
	entries, err := os.ReadDir(at("made"))
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
