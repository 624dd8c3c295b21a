package mount_test

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

func open(t testing.TB, opts mount.Options) (*mount.FS, string) {
	dir := t.TempDir()
	m, err := mount.Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m, dir
}

const readWrite = sys.O_RDWR | sys.O_CREAT

func mustOpen(t testing.TB, m *mount.FS, path string, flag sys.Oflag) sys.File {
	t.Helper()
	f, errno := m.OpenFile(path, flag, 0o600)
	require.Zero(t, errno, path)
	return f
}

func put(t testing.TB, m *mount.FS, path string, size int) {
	t.Helper()
	f := mustOpen(t, m, path, readWrite|sys.O_TRUNC)
	n, errno := f.Write(make([]byte, size))
	require.Zero(t, errno)
	require.Equal(t, size, n)
	require.Zero(t, f.Close())
}

// Each case begins with "full", 60 of 100 bytes, and "spare", 30.
func TestQuotaOfBytes(t *testing.T) {
	write := func(flag sys.Oflag, off int64, size int, want sys.Errno) func(t *testing.T, m *mount.FS) {
		return func(t *testing.T, m *mount.FS) {
			f := mustOpen(t, m, "full", sys.O_RDWR|flag)
			defer f.Close()
			n, errno := 0, sys.Errno(0)
			if off >= 0 {
				n, errno = f.Pwrite(make([]byte, size), off)
			} else {
				n, errno = f.Write(make([]byte, size))
			}
			require.Equal(t, want, errno)
			if want != 0 {
				require.Zero(t, n, "written although there is no room")
			} else {
				require.Equal(t, size, n)
			}
		}
	}
	truncate := func(size int64, want sys.Errno) func(t *testing.T, m *mount.FS) {
		return func(t *testing.T, m *mount.FS) {
			f := mustOpen(t, m, "full", sys.O_RDWR)
			defer f.Close()
			require.Equal(t, want, f.Truncate(size))
		}
	}
	for _, tc := range []struct {
		name  string
		do    func(t *testing.T, m *mount.FS)
		bytes int64
		files int64
	}{
		{"over what is there", write(0, 0, 60, 0), 90, 2},
		{"up to the limit", write(0, 60, 10, 0), 100, 2},
		{"one more", write(0, 60, 11, mount.ENOSPC), 90, 2},
		{"partly over what is there", write(0, 50, 20, 0), 100, 2},
		{"partly over, and one more", write(0, 50, 21, mount.ENOSPC), 90, 2},
		{"behind a hole", write(0, 69, 1, 0), 100, 2},
		{"behind a hole too large", write(0, 70, 1, mount.ENOSPC), 90, 2},
		{"where no file ends", write(0, math.MaxInt64-5, 10, mount.EFBIG), 90, 2},
		{"almost there", write(0, math.MaxInt64-10, 10, mount.ENOSPC), 90, 2},
		{"append", write(sys.O_APPEND, -1, 10, 0), 100, 2},
		{"append too much", write(sys.O_APPEND, -1, 11, mount.ENOSPC), 90, 2},
		{"nothing", write(sys.O_APPEND, -1, 0, 0), 90, 2},
		{"sequentially", write(0, -1, 70, 0), 100, 2},
		{"truncated on opening", write(sys.O_TRUNC, -1, 10, 0), 40, 2},
		{"shorter", truncate(10, 0), 40, 2},
		{"longer", truncate(70, 0), 100, 2},
		{"too long", truncate(71, mount.ENOSPC), 90, 2},
		{"longest", truncate(math.MaxInt64, mount.ENOSPC), 90, 2},
		{"negative", truncate(-1, sys.EINVAL), 90, 2},
		{"removed", func(t *testing.T, m *mount.FS) { require.Zero(t, m.Unlink("full")) }, 30, 1},
		{"replaced", func(t *testing.T, m *mount.FS) { require.Zero(t, m.Rename("spare", "full")) }, 30, 1},
		{"renamed", func(t *testing.T, m *mount.FS) { require.Zero(t, m.Rename("spare", "other")) }, 90, 2},
		{"renamed to itself", func(t *testing.T, m *mount.FS) { require.Zero(t, m.Rename("full", "full")) }, 90, 2},
		{"not removed", func(t *testing.T, m *mount.FS) {
			require.Equal(t, sys.ENOENT, m.Unlink("none"))
			require.Equal(t, sys.ENOTDIR, m.Rmdir("full"))
			require.Equal(t, sys.ENOENT, m.Rename("none", "full"))
		}, 90, 2},
		{"removed while open", func(t *testing.T, m *mount.FS) {
			f, g := mustOpen(t, m, "full", sys.O_RDWR), mustOpen(t, m, "full", sys.O_RDONLY)
			require.Zero(t, m.Unlink("full"))
			require.EqualValues(t, mount.Usage{Bytes: 90, Files: 1, Open: 2}, m.Usage())
			_, errno := f.Pwrite(make([]byte, 10), 60)
			require.Zero(t, errno)
			require.Zero(t, f.Close())
			require.EqualValues(t, mount.Usage{Bytes: 100, Files: 1, Open: 1}, m.Usage())
			require.Zero(t, g.Close())
			require.Zero(t, g.Close(), "closing twice")
		}, 30, 1},
		{"replaced while open for reading", func(t *testing.T, m *mount.FS) {
			f := mustOpen(t, m, "full", sys.O_RDONLY)
			require.Zero(t, m.Rename("spare", "full"))
			require.EqualValues(t, mount.Usage{Bytes: 90, Files: 1, Open: 1}, m.Usage())
			require.Zero(t, f.Close())
		}, 30, 1},
		{"moved while open", func(t *testing.T, m *mount.FS) {
			f := mustOpen(t, m, "full", sys.O_RDWR)
			require.Zero(t, m.Rename("full", "moved"))
			g := mustOpen(t, m, "moved", sys.O_RDWR|sys.O_TRUNC)
			_, errno := f.Pwrite(make([]byte, 70), 0)
			require.Zero(t, errno)
			require.Zero(t, f.Close())
			require.Zero(t, g.Close())
		}, 100, 2},
		{"two handles", func(t *testing.T, m *mount.FS) {
			f, g := mustOpen(t, m, "full", sys.O_RDWR), mustOpen(t, m, "full", sys.O_RDWR|sys.O_APPEND)
			for range 5 {
				_, errno := g.Write(make([]byte, 2))
				require.Zero(t, errno)
			}
			_, errno := f.Pwrite(make([]byte, 70), 0)
			require.Zero(t, errno)
			_, errno = f.Pwrite(make([]byte, 71), 0)
			require.Equal(t, mount.ENOSPC, errno)
			require.Zero(t, f.Truncate(0))
			_, errno = g.Write(make([]byte, 5))
			require.Zero(t, errno)
			require.Zero(t, f.Close())
			require.Zero(t, g.Close())
		}, 35, 2},
		{"a new name after removal", func(t *testing.T, m *mount.FS) {
			f := mustOpen(t, m, "full", sys.O_RDWR)
			require.Zero(t, m.Unlink("full"))
			_, errno := m.OpenFile("full", sys.O_RDWR, 0o600)
			require.Equal(t, sys.ENOENT, errno)
			put(t, m, "full", 10)
			require.EqualValues(t, mount.Usage{Bytes: 100, Files: 2, Open: 1}, m.Usage())
			require.Zero(t, f.Close())
		}, 40, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, dir := open(t, mount.Options{MaxBytes: 100})
			put(t, m, "full", 60)
			put(t, m, "spare", 30)
			tc.do(t, m)
			require.Equal(t, mount.Usage{Bytes: tc.bytes, Files: tc.files}, m.Usage())
			again, err := mount.Open(dir, mount.Options{MaxBytes: 100})
			require.NoError(t, err)
			defer again.Close()
			require.Equal(t, again.Usage(), m.Usage(), "the counts differ from what is there")
		})
	}
}

func TestQuotaOfFiles(t *testing.T) {
	m, dir := open(t, mount.Options{MaxFiles: 4})
	require.Zero(t, m.Mkdir("a", 0))
	require.Zero(t, m.Mkdir("a/b", 0))
	put(t, m, "a/b/f", 1)
	put(t, m, "g", 1)
	_, errno := m.OpenFile("h", readWrite, 0o600)
	require.Equal(t, mount.ENOSPC, errno)
	require.Equal(t, mount.ENOSPC, m.Mkdir("c", 0))
	require.Equal(t, sys.EEXIST, m.Mkdir("a", 0), "an existing file is reported before the lack of room")
	require.NoFileExists(t, dir+"/h")
	put(t, m, "g", 2) // exists
	require.EqualValues(t, 4, m.Usage().Files)

	require.Equal(t, sys.ENOTEMPTY, m.Rmdir("a/b"))
	require.Zero(t, m.Rename("g", "a/b/f"))
	require.Zero(t, m.Rename("a/b", "d"))
	require.EqualValues(t, 3, m.Usage().Files)
	require.Zero(t, m.Rename("d", "a"), "in place of an empty directory")
	require.EqualValues(t, 2, m.Usage().Files)
	require.Zero(t, m.Mkdir("e", 0))
	require.Equal(t, sys.ENOTEMPTY, m.Rename("e", "a"))
	_, errno = m.OpenFile("a/f", readWrite|sys.O_EXCL, 0o600)
	require.Equal(t, sys.EEXIST, errno)
	_, errno = m.OpenFile("none/f", readWrite, 0o600)
	require.Equal(t, sys.ENOENT, errno)
	require.EqualValues(t, mount.Usage{Bytes: 2, Files: 3}, m.Usage())
	require.Zero(t, m.Unlink("a/f"))
	require.Zero(t, m.Rmdir("a"))
	require.Zero(t, m.Rmdir("e"))
	require.Zero(t, m.Usage())
}

func TestQuotaOfOpenFiles(t *testing.T) {
	m, _ := open(t, mount.Options{MaxOpen: 3})
	put(t, m, "f", 1)
	require.Zero(t, m.Mkdir("d", 0))
	var files []sys.File
	for _, path := range []string{"f", "d", "."} {
		files = append(files, mustOpen(t, m, path, sys.O_RDONLY))
	}
	for _, path := range []string{"f", "d", "."} {
		_, errno := m.OpenFile(path, sys.O_RDONLY, 0o600)
		require.Equal(t, mount.EMFILE, errno, path)
	}
	_, errno := m.OpenFile("new", readWrite, 0o600)
	require.Equal(t, mount.EMFILE, errno)
	// wazero itself must get in for each instance, or it panics.
	preopen, errno := m.OpenFile(".", sys.O_RDONLY, 0)
	require.Zero(t, errno)
	for _, f := range append(files, preopen) {
		require.Zero(t, f.Close())
	}
	require.Zero(t, m.Usage().Open)
	_, errno = m.OpenFile("none", sys.O_RDONLY, 0o600)
	require.Equal(t, sys.ENOENT, errno)
	require.Zero(t, m.Usage().Open, "a failed open counts")
}

func TestUsageIsCountedAtOpen(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/a/b", 0o700))
	require.NoError(t, os.MkdirAll(dir+"/.waddle-dir/b", 0o700))
	for path, size := range map[string]int{"a/b/f": 10, "g": 5, ".waddle.lock": 100, ".waddle-dir/b/f": 100} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, path), make([]byte, size), 0o600))
	}
	m, err := mount.Open(dir, mount.Options{MaxBytes: 12})
	require.NoError(t, err)
	defer m.Close()
	require.Equal(t, mount.Usage{Bytes: 15, Files: 4}, m.Usage())

	// Over its quota, a mount takes nothing more, but lets things be removed.
	f := mustOpen(t, m, "g", sys.O_RDWR)
	_, errno := f.Pwrite([]byte("x"), 5)
	require.Equal(t, mount.ENOSPC, errno)
	_, errno = f.Pwrite([]byte("x"), 4)
	require.Zero(t, errno)
	require.Zero(t, f.Close())
	require.Zero(t, m.Unlink("a/b/f"))
	require.Equal(t, mount.Usage{Bytes: 5, Files: 3}, m.Usage())

	_, err = mount.Open(dir, mount.Options{MaxBytes: -1})
	require.ErrorContains(t, err, "-1 bytes")
	_, err = mount.Open(dir+"/g", mount.Options{})
	require.ErrorContains(t, err, "not a directory")
	_, err = mount.Open(dir+"/none", mount.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A tree of any depth, as other processes make it, is counted, and the guest can reach
// its contents by moving them up.
func TestDeepTreesAreCounted(t *testing.T) {
	const deep = 1500
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	require.NoError(t, root.MkdirAll(strings.Repeat("d/", deep), 0o700))
	for _, at := range []int{0, 126, 127, 128, 129, 600, deep} {
		require.NoError(t, root.WriteFile(strings.Repeat("d/", at)+"f", []byte("12345"), 0o600))
		require.NoError(t, root.MkdirAll(strings.Repeat("d/", at)+"side/s", 0o700))
	}
	m, err := mount.Open(dir, mount.Options{MaxFiles: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, mount.Usage{Bytes: 7 * 5, Files: deep + 7*3}, m.Usage())
	defer m.Close()

	require.Equal(t, sys.ENAMETOOLONG, m.Rename("d", "side/d"))
	require.Zero(t, m.Rename(strings.Repeat("d/", 31)+"d", "e"))
	for i := range 20 {
		require.Zero(t, m.Rename("e/"+strings.Repeat("d/", 30)+"d", "next"))
		require.Zero(t, m.Rename("e", fmt.Sprint("above", i)))
		require.Zero(t, m.Rename("next", "e"))
	}
}

// A directory can be moved to where everything in it can be named, and no deeper.
func TestDirectoriesMoveWithinTheDepthOfPaths(t *testing.T) {
	m, _ := open(t, mount.Options{})
	mkdirs := func(path string) {
		for i, c := range path + "/" {
			if c == '/' {
				if errno := m.Mkdir(path[:i], 0); errno != 0 {
					require.Equal(t, sys.EEXIST, errno)
				}
			}
		}
	}
	mkdirs("a" + strings.Repeat("/a", 15)) // 16 levels
	mkdirs("b" + strings.Repeat("/b", 16)) // 17 levels
	require.Equal(t, sys.ENAMETOOLONG, m.Rename("a", "b"+strings.Repeat("/b", 16)+"/a"))
	require.Zero(t, m.Rename("a", "b"+strings.Repeat("/b", 15)+"/a"), "32 in all")
	_, errno := m.Lstat("b" + strings.Repeat("/b", 15) + strings.Repeat("/a", 16))
	require.Zero(t, errno)
	_, errno = m.OpenFile("b"+strings.Repeat("/b", 15)+strings.Repeat("/a", 16)+"/f", readWrite, 0)
	require.Equal(t, sys.ENAMETOOLONG, errno)
	require.Zero(t, m.Rename("b"+strings.Repeat("/b", 15)+"/a", "c"), "up again")
	mkdirs("x/y/z")
	require.Zero(t, m.Rename("c", "x/y/z"), "in the place of an empty one")
	require.Zero(t, m.Rename("x/y/z", "x/y/c"), "on one level")

	// A file at the end is a level too.
	mkdirs("l" + strings.Repeat("/l", 15))
	put(t, m, "l"+strings.Repeat("/l", 15)+"/f", 1)
	require.Equal(t, sys.ENAMETOOLONG, m.Rename("l", "b"+strings.Repeat("/b", 15)+"/l"))
	require.Zero(t, m.Rename("l", "b"+strings.Repeat("/b", 14)+"/l"))
}

// What others do without the mount makes counts wrong, but never negative.
func TestUsageDoesNotUnderflow(t *testing.T) {
	m, dir := open(t, mount.Options{MaxBytes: 100, MaxFiles: 10})
	put(t, m, "f", 10)
	require.NoError(t, os.WriteFile(dir+"/f", make([]byte, 50), 0o600))
	require.NoError(t, os.WriteFile(dir+"/g", make([]byte, 50), 0o600))
	require.Zero(t, m.Unlink("f"))
	require.Zero(t, m.Unlink("g"))
	require.Zero(t, m.Usage())

	// An append sees what others wrote, and corrects the count.
	f := mustOpen(t, m, "h", readWrite|sys.O_APPEND)
	_, errno := f.Write([]byte("one"))
	require.Zero(t, errno)
	require.NoError(t, os.WriteFile(dir+"/h", []byte("one, two"), 0o600))
	_, errno = f.Write([]byte(", three"))
	require.Zero(t, errno)
	require.EqualValues(t, 15, m.Usage().Bytes)
	require.NoError(t, os.Truncate(dir+"/h", 3))
	_, errno = f.Write([]byte("."))
	require.Zero(t, errno)
	require.EqualValues(t, 4, m.Usage().Bytes)
	require.Zero(t, f.Close())
	text, err := os.ReadFile(dir + "/h")
	require.NoError(t, err)
	require.Equal(t, "one.", string(text))
}

// Many goroutines do everything possible with few names. In the end the counts match
// what is there, and they never exceeded the quota.
func TestUsageIsExactUnderConcurrency(t *testing.T) {
	const maxBytes, maxFiles = 3000, 12
	m, dir := open(t, mount.Options{MaxBytes: maxBytes, MaxFiles: maxFiles})
	for i := range 3 {
		require.Zero(t, m.Mkdir(fmt.Sprint("d", i), 0))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			path := func() string {
				if r.IntN(2) == 0 {
					return fmt.Sprint("f", r.IntN(3))
				}
				return fmt.Sprint("d", r.IntN(3), "/f", r.IntN(3))
			}
			for range 1500 {
				switch r.IntN(8) {
				case 0:
					m.Unlink(path())
				case 1:
					m.Rename(path(), path())
				case 2:
					m.Rename(fmt.Sprint("d", r.IntN(3)), fmt.Sprint("d", r.IntN(3)))
				case 3:
					m.Mkdir(fmt.Sprint("d", r.IntN(3)), 0)
				case 4:
					m.Rmdir(fmt.Sprint("d", r.IntN(3)))
				default:
					flag := readWrite
					if r.IntN(3) == 0 {
						flag |= sys.O_TRUNC
					}
					if r.IntN(3) == 0 {
						flag |= sys.O_APPEND
					}
					f, errno := m.OpenFile(path(), flag, 0o600)
					if errno != 0 {
						continue
					}
					for range r.IntN(5) {
						switch r.IntN(4) {
						case 0:
							f.Truncate(r.Int64N(400))
						case 1:
							f.Pwrite(make([]byte, r.IntN(300)), r.Int64N(300))
						case 2:
							f.Seek(0, io.SeekEnd)
						default:
							f.Write(make([]byte, r.IntN(100)))
						}
						if u := m.Usage(); u.Bytes > maxBytes || u.Files > maxFiles {
							t.Errorf("%+v is more than the quota", u)
						}
					}
					f.Close()
				}
			}
		})
	}
	wg.Wait()
	again, err := mount.Open(dir, mount.Options{MaxBytes: maxBytes})
	require.NoError(t, err)
	defer again.Close()
	require.Equal(t, again.Usage(), m.Usage())
	require.NotZero(t, m.Usage().Files)
}
