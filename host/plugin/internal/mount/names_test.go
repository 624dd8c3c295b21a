package mount_test

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

func TestNamesOfTheHostAreHidden(t *testing.T) {
	eachWay(t, func(t *testing.T, m *mount.FS, dir string) {
		require.NoError(t, os.WriteFile(dir+"/.waddle.lock", []byte("1"), 0o600))
		require.NoError(t, os.Mkdir(dir+"/.waddle-dir", 0o700))
		require.NoError(t, os.WriteFile(dir+"/.waddle-dir/f", nil, 0o600))
		require.Zero(t, m.Mkdir("d", 0))
		require.NoError(t, os.WriteFile(dir+"/d/.waddle.lock", nil, 0o600))
		put(t, m, "f", 1)
		for _, path := range []string{
			".waddle.lock", "d/.waddle.lock", ".waddle-dir", ".waddle-dir/f", ".waddle", "./.waddle.lock", ".WADDLE.lock",
			".wad\u200cdle.lock", "\ufeff.waddle.lock",
		} {
			for name, errno := range map[string]sys.Errno{
				"open":     second(m.OpenFile(path, sys.O_RDWR, 0o600)),
				"stat":     second(m.Stat(path)),
				"lstat":    second(m.Lstat(path)),
				"readlink": second(m.Readlink(path)),
			} {
				require.Equal(t, sys.ENOENT, errno, "%s %q", name, path)
			}
			for name, errno := range map[string]sys.Errno{
				"create":      second(m.OpenFile(path, readWrite, 0o600)),
				"mkdir":       m.Mkdir(path, 0o700),
				"unlink":      m.Unlink(path),
				"rmdir":       m.Rmdir(path),
				"rename to":   m.Rename("f", path),
				"rename from": m.Rename(path, "g"),
				"times":       m.Utimens(path, 1, 1),
			} {
				require.Equal(t, sys.EPERM, errno, "%s %q", name, path)
			}
		}
		require.Equal(t, []string{"d", "f"}, names(t, m, ".", -1))
		require.Empty(t, names(t, m, "d", -1))
		require.Equal(t, sys.ENOTEMPTY, m.Rmdir("d"))
		for _, path := range []string{".waddl", "waddle", ".wäddle", "x.waddle"} {
			put(t, m, path, 1)
		}
	})
}

func names(t *testing.T, m *mount.FS, path string, n int) (all []string) {
	t.Helper()
	d := mustOpen(t, m, path, sys.O_RDONLY)
	defer d.Close()
	return readAll(t, d, n)
}

func readAll(t *testing.T, d sys.File, n int) (all []string) {
	t.Helper()
	for {
		entries, errno := d.Readdir(n)
		require.Zero(t, errno)
		for _, e := range entries {
			all = append(all, e.Name)
		}
		if n <= 0 || len(entries) < n {
			slices.Sort(all)
			return all
		}
	}
}

// To wazero, fewer entries than asked for mean the end, so hidden ones must not
// cause that.
func TestReaddir(t *testing.T) {
	eachWay(t, func(t *testing.T, m *mount.FS, dir string) {
		var want []string
		for i := range 300 {
			require.NoError(t, os.WriteFile(fmt.Sprintf("%s/.waddle%d", dir, i), nil, 0o600))
			name := fmt.Sprintf("f%03d", i)
			put(t, m, name, 0)
			want = append(want, name)
		}
		for _, n := range []int{-1, 0, 1, 7, 299, 300, 301, 1000} {
			require.Equal(t, want, names(t, m, ".", n), n)
		}
		d := mustOpen(t, m, ".", sys.O_RDONLY)
		defer d.Close()
		require.Equal(t, want, readAll(t, d, 100))
		require.Empty(t, readAll(t, d, 100), "at its end")
		put(t, m, "new", 0)
		require.Zero(t, m.Unlink("f000"))
		_, errno := d.Seek(0, io.SeekStart)
		require.Zero(t, errno)
		require.Equal(t, append(want[1:], "new"), readAll(t, d, 100))
		require.Equal(t, sys.EINVAL, second(d.Seek(1, io.SeekStart)))

		require.Zero(t, m.Mkdir("d", 0))
		_, errno = d.Seek(0, io.SeekStart)
		require.Zero(t, errno)
		entries, errno := d.Readdir(-1)
		require.Zero(t, errno)
		for _, e := range entries {
			st, errno := m.Lstat(e.Name)
			require.Zero(t, errno)
			require.Equal(t, st.Ino, e.Ino)
			require.Equal(t, st.Mode.Type(), e.Type)
		}
		require.Equal(t, sys.EISDIR, second(d.Read(make([]byte, 1))))
		require.Equal(t, sys.EISDIR, second(d.Write(make([]byte, 1))))
		require.Zero(t, d.Sync())
		require.Zero(t, d.Datasync())
	})
}

func TestChangingNames(t *testing.T) {
	eachWay(t, func(t *testing.T, m *mount.FS, dir string) {
		for _, d := range []string{"d", "d/e", "empty", "full"} {
			require.Zero(t, m.Mkdir(d, 0))
		}
		put(t, m, "f", 1)
		put(t, m, "full/f", 1)
		for _, tc := range []struct {
			name string
			got  sys.Errno
			want sys.Errno
		}{
			{"mkdir there", m.Mkdir("d", 0), sys.EEXIST},
			{"mkdir over a file", m.Mkdir("f", 0), sys.EEXIST},
			{"mkdir below a file", m.Mkdir("f/x", 0), sys.ENOTDIR},
			{"mkdir below nothing", m.Mkdir("none/x", 0), sys.ENOENT},
			{"mkdir root", m.Mkdir(".", 0), sys.EEXIST},
			{"mkdir with a slash", m.Mkdir("slash/", 0), 0},
			{"rmdir full", m.Rmdir("full"), sys.ENOTEMPTY},
			{"rmdir file", m.Rmdir("f"), sys.ENOTDIR},
			{"rmdir nothing", m.Rmdir("none"), sys.ENOENT},
			{"rmdir root", m.Rmdir("."), sys.EINVAL},
			{"rmdir with a slash", m.Rmdir("slash/"), 0},
			{"unlink directory", m.Unlink("d"), sys.EISDIR},
			{"unlink with a slash", m.Unlink("f/"), sys.ENOTDIR},
			{"unlink nothing", m.Unlink("none"), sys.ENOENT},
			{"unlink root", m.Unlink("/"), sys.EISDIR},
			{"rename file over directory", m.Rename("f", "d"), sys.EISDIR},
			{"rename directory over file", m.Rename("d", "f"), sys.ENOTDIR},
			{"rename directory over a full one", m.Rename("d", "full"), sys.ENOTEMPTY},
			{"rename into itself", m.Rename("d", "d/e/x"), sys.EINVAL},
			{"rename directory to itself", m.Rename("d", "d"), 0},
			{"rename root", m.Rename(".", "x"), mount.EBUSY},
			{"rename over root", m.Rename("d", "."), mount.EBUSY},
			{"rename file to a slash", m.Rename("f", "x/"), sys.ENOTDIR},
			{"rename nothing", m.Rename("none", "x"), sys.ENOENT},
			{"rename to nowhere", m.Rename("f", "none/x"), sys.ENOENT},
			{"rename file", m.Rename("f", "full/f"), 0},
			{"rename directory", m.Rename("full", "d/e/full"), 0},
			{"rename over an empty one", m.Rename("d/e", "empty"), 0},
			{"stat file with a slash", second(m.Stat("empty/full/f/")), sys.ENOTDIR},
			{"readlink of a file", second(m.Readlink("empty/full/f")), sys.EINVAL},
			{"chmod nothing below nothing", m.Chmod("none/x", 0), sys.EPERM},
		} {
			require.Equal(t, tc.want, tc.got, tc.name)
		}
		require.Equal(t, []string{"d", "empty"}, names(t, m, ".", -1))
		require.Equal(t, []string{"f"}, names(t, m, "empty/full", -1))
	})
}
