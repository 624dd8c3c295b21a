package mount_test

import (
	"io"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// The standard library's test of a read-only file system.
func TestFS(t *testing.T) {
	m, dir := open(t, mount.Options{MaxBytes: 1 << 20})
	require.NoError(t, os.WriteFile(dir+"/.waddle.lock", []byte("1"), 0o600))
	require.Zero(t, m.Mkdir("a", 0))
	require.Zero(t, m.Mkdir("a/b", 0))
	require.Zero(t, m.Mkdir("empty", 0))
	want := []string{"one", "a/two", "a/b/three", "a/b/four"}
	for i, path := range want {
		put(t, m, path, i*1000)
	}
	require.NoError(t, fstest.TestFS(adapter{m}, want...))
}

// adapter makes an fs.FS of a mount.
type adapter struct{ m *mount.FS }

func pathError(op, path string, errno sys.Errno) error {
	if errno == 0 {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: errno}
}

func (a adapter) Open(path string) (fs.File, error) {
	if !fs.ValidPath(path) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	f, errno := a.m.OpenFile(path, sys.O_RDONLY, 0o600)
	if errno != 0 {
		return nil, pathError("open", path, errno)
	}
	return openFile{f, a.m, path}, nil
}

type openFile struct {
	f    sys.File
	m    *mount.FS
	path string
}

func (f openFile) Close() error { return pathError("close", f.path, f.f.Close()) }

func (f openFile) Stat() (fs.FileInfo, error) {
	st, errno := f.f.Stat()
	return fileInfo{base(f.path), st}, pathError("stat", f.path, errno)
}

func (f openFile) Read(b []byte) (int, error) {
	n, errno := f.f.Read(b)
	if n == 0 && errno == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, pathError("read", f.path, errno)
}

func (f openFile) Seek(offset int64, whence int) (int64, error) {
	to, errno := f.f.Seek(offset, whence)
	return to, pathError("seek", f.path, errno)
}

func (f openFile) ReadAt(b []byte, off int64) (int, error) {
	n, errno := f.f.Pread(b, off)
	if n < len(b) && errno == 0 {
		return n, io.EOF
	}
	return n, pathError("read", f.path, errno)
}

func (f openFile) ReadDir(n int) (entries []fs.DirEntry, err error) {
	found, errno := f.f.Readdir(n)
	for _, e := range found {
		st, errno := f.m.Lstat(f.path + "/" + e.Name)
		if errno != 0 {
			return nil, pathError("lstat", e.Name, errno)
		}
		entries = append(entries, fs.FileInfoToDirEntry(fileInfo{e.Name, st}))
	}
	if n > 0 && len(entries) == 0 && errno == 0 {
		return nil, io.EOF
	}
	return entries, pathError("readdir", f.path, errno)
}

func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

type fileInfo struct {
	name string
	st   wasys.Stat_t
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.st.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.st.Mode }
func (i fileInfo) ModTime() time.Time { return time.Unix(0, i.st.Mtim) }
func (i fileInfo) IsDir() bool        { return i.st.Mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }
