package vfs_test

import (
	"io"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// Both file systems give the same answers, so tests on the simulated one say
// something about the real one.
func TestFS(t *testing.T) {
	for name, make := range map[string]func(*testing.T) vfs.FS{
		"os":    func(t *testing.T) vfs.FS { return vfs.OS(t.TempDir()) },
		"crash": func(*testing.T) vfs.FS { return crash.New() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("files", func(t *testing.T) { testFiles(t, make(t)) })
			t.Run("directories", func(t *testing.T) { testDirectories(t, make(t)) })
			t.Run("rename", func(t *testing.T) { testRename(t, make(t)) })
			t.Run("background", func(t *testing.T) { testBackground(t, make(t)) })
			t.Run("listing", func(t *testing.T) { testListing(t, make(t)) })
		})
	}
}

func testFiles(t *testing.T, fs vfs.FS) {
	_, err := fs.OpenFile("a", vfs.ReadWrite)
	require.ErrorIs(t, err, syscall.ENOENT)
	require.True(t, vfs.NotExist(err))
	_, err = fs.OpenFile("no/a", vfs.ReadWrite|vfs.Create)
	require.True(t, vfs.NotExist(err), "%v", err)

	f, err := fs.OpenFile("a", vfs.ReadWrite|vfs.Create|vfs.Exclusive)
	require.NoError(t, err)
	n, err := f.WriteAt([]byte("hello"), 3)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	size, err := f.Size()
	require.NoError(t, err)
	require.EqualValues(t, 8, size)

	b := make([]byte, 8)
	n, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, "\x00\x00\x00hello", string(b[:n]))
	n, err = f.ReadAt(b, 4)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "ello", string(b[:n]))
	n, err = f.ReadAt(b, 100)
	require.ErrorIs(t, err, io.EOF)
	require.Zero(t, n)

	require.NoError(t, f.Truncate(4))
	require.NoError(t, f.Truncate(6))
	n, _ = f.ReadAt(b, 0)
	require.Equal(t, "\x00\x00\x00h\x00\x00", string(b[:n]))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.Error(t, f.Sync(), "a closed file")

	_, err = fs.OpenFile("a", vfs.ReadWrite|vfs.Create|vfs.Exclusive)
	require.True(t, vfs.Exist(err), "%v", err)
	f, err = fs.OpenFile("a", 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	require.Error(t, err, "a file open for reading")
	require.NoError(t, f.Close())
	f, err = fs.OpenFile("a", vfs.ReadWrite|vfs.Truncate)
	require.NoError(t, err)
	size, err = f.Size()
	require.NoError(t, err)
	require.Zero(t, size)
	require.NoError(t, f.Close())

	require.ErrorIs(t, fs.RemoveDir("a"), syscall.ENOTDIR)
	require.NoError(t, fs.Remove("a"))
	require.True(t, vfs.NotExist(fs.Remove("a")))
}

func testDirectories(t *testing.T, fs vfs.FS) {
	require.True(t, vfs.NotExist(fs.Mkdir("a/b")))
	require.NoError(t, fs.Mkdir("a"))
	require.True(t, vfs.Exist(fs.Mkdir("a")))
	require.NoError(t, fs.Mkdir("a/b"))
	f, err := fs.OpenFile("a/c", vfs.ReadWrite|vfs.Create)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("12"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	entries, err := fs.ReadDir("a")
	require.NoError(t, err)
	require.ElementsMatch(t, []vfs.Entry{{Name: "b", Kind: vfs.Dir}, {Name: "c", Kind: vfs.Regular}}, entries)
	entries, err = fs.ReadDir("")
	require.NoError(t, err)
	require.Equal(t, []vfs.Entry{{Name: "a", Kind: vfs.Dir}}, entries)
	_, err = fs.ReadDir("b")
	require.True(t, vfs.NotExist(err))

	info, err := fs.Stat("a/c")
	require.NoError(t, err)
	require.Equal(t, vfs.Info{Kind: vfs.Regular, Size: 2}, info)
	info, err = fs.Stat("a")
	require.NoError(t, err)
	require.Equal(t, vfs.Dir, info.Kind)
	_, err = fs.Stat("z")
	require.True(t, vfs.NotExist(err))

	require.NoError(t, fs.SyncDir("a"))
	require.NoError(t, fs.SyncDir(""))
	if runtime.GOOS != "windows" {
		require.True(t, vfs.NotExist(fs.SyncDir("z")))
	}

	require.ErrorIs(t, fs.Remove("a"), syscall.EISDIR)
	require.True(t, vfs.NotEmpty(fs.RemoveDir("a")))
	require.NoError(t, fs.RemoveDir("a/b"))
	require.NoError(t, fs.Remove("a/c"))
	require.NoError(t, fs.RemoveDir("a"))
	require.True(t, vfs.NotExist(fs.RemoveDir("a")))
}

func testRename(t *testing.T, fs vfs.FS) {
	write := func(name, text string) {
		f, err := fs.OpenFile(name, vfs.ReadWrite|vfs.Create|vfs.Truncate)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(text), 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	read := func(name string) string {
		f, err := fs.OpenFile(name, 0)
		require.NoError(t, err)
		b := make([]byte, 100)
		n, _ := f.ReadAt(b, 0)
		require.NoError(t, f.Close())
		return string(b[:n])
	}
	require.True(t, vfs.NotExist(fs.Rename("a", "b")))
	write("a", "A")
	write("b", "B")
	require.NoError(t, fs.Rename("a", "b"))
	require.Equal(t, "A", read("b"))
	require.NoError(t, fs.Mkdir("d"))
	require.NoError(t, fs.Rename("b", "d/c"))
	require.NoError(t, fs.Rename("d", "e"))
	require.Equal(t, "A", read("e/c"))
	entries, err := fs.ReadDir("")
	require.NoError(t, err)
	require.Equal(t, []string{"e"}, names(entries))
}

func names(entries []vfs.Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Name)
	}
	slices.Sort(list)
	return list
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err                       syscall.Errno
		notExist, noSpace, denied bool
	}{
		{syscall.ENOENT, true, false, false},
		{syscall.ENOSPC, false, true, false},
		{syscall.EDQUOT, false, true, false},
		{syscall.EROFS, false, false, true},
		{syscall.EACCES, false, false, true},
		{syscall.EPERM, false, false, true},
		{syscall.EIO, false, false, false},
	} {
		require.Equal(t, c.notExist, vfs.NotExist(c.err), c.err)
		require.Equal(t, c.noSpace, vfs.NoSpace(c.err), c.err)
		require.Equal(t, c.denied, vfs.Denied(c.err), c.err)
	}
	require.False(t, vfs.Exist(syscall.ENOTEMPTY))
}
