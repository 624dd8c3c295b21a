//go:build unix

package mount_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// house is a mounted directory, inside a directory with things that must not be
// reached.
func house(t testing.TB) (inside, outside string) {
	base := t.TempDir()
	inside, outside = filepath.Join(base, "inside"), filepath.Join(base, "outside")
	for _, dir := range []string{inside, outside, inside + "/dir", outside + "/dir", outside + "/empty"} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	for _, file := range []string{inside + "/file", inside + "/dir/file"} {
		require.NoError(t, os.WriteFile(file, []byte("inside"), 0o600))
	}
	for _, file := range []string{outside + "/secret", outside + "/target", outside + "/gone", outside + "/dir/file"} {
		require.NoError(t, os.WriteFile(file, []byte("outside"), 0o600))
	}
	return inside, outside
}

// untouched checks that everything outside is as house made it.
func untouched(t testing.TB, outside string) {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(outside, func(path string, d os.DirEntry, err error) error {
		found = append(found, strings.TrimPrefix(path, outside))
		if err == nil && d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "outside", string(text), path)
			info, err := d.Info()
			require.NoError(t, err)
			require.Greater(t, info.ModTime().Unix(), int64(1), "the time of %s was set", path)
		}
		return err
	}))
	require.Equal(t, []string{"", "/dir", "/dir/file", "/empty", "/gone", "/secret", "/target"}, found)
}

func TestGuestsDoNotEscape(t *testing.T) {
	for _, tc := range []struct {
		name  string
		place func(t *testing.T, inside, outside string) // by somebody else
		try   func(g *guest, path string) uint64         // nil for all calls that take a path
		path  string
		want  []uint64
	}{
		{name: "parent", path: "../outside/secret", want: []uint64{perm}},
		{name: "parent of a directory", path: "dir/../../outside/secret", want: []uint64{perm}},
		{name: "only parents", path: "../../../../../../etc/passwd", want: []uint64{perm}},
		{name: "parent behind a file", path: "file/../../outside/secret", want: []uint64{perm}},
		{name: "absolute", path: "/etc/passwd", want: []uint64{perm}},
		{name: "process file system", path: "/proc/self/root/etc/passwd", want: []uint64{perm}},
		{name: "process file system, relative", path: "proc/self/root/etc/passwd", want: []uint64{noent}},
		{name: "NUL", path: "file\x00/../../outside/secret", want: []uint64{perm, inval}},
		{name: "invalid UTF-8", path: "\xff\xfe", want: []uint64{perm}},
		{name: "name too long", path: strings.Repeat("n", 256), want: []uint64{nametoolong}},
		{name: "path too long", path: strings.Repeat("d/", 2050), want: []uint64{nametoolong}},
		{name: "path too deep", path: strings.Repeat("d/", 40) + "f", want: []uint64{nametoolong}},
		{name: "a file as directory", path: "file/file", want: []uint64{notdir}},
		{
			name: "symbolic link to a file outside", path: "link", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink("../outside/secret", inside+"/link"))
			},
		},
		{
			name: "absolute symbolic link", path: "link", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink(outside+"/secret", inside+"/link"))
			},
		},
		{
			name: "symbolic link to nothing outside", path: "link", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink("../outside/new", inside+"/link"))
			},
		},
		{
			name: "symbolic link as directory", path: "link/dir/file", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink("../outside", inside+"/link"))
			},
		},
		{
			name: "new file through a link", path: "link/new", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink("../outside", inside+"/link"))
			},
		},
		{
			name: "chain of links", path: "a/b/dir/file", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink(".", inside+"/a"))
				require.NoError(t, os.Symlink("c", inside+"/b"))
				require.NoError(t, os.Symlink("../outside", inside+"/c"))
			},
		},
		{
			name: "link that stays inside", path: "link/file", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) { require.NoError(t, os.Symlink("dir", inside+"/link")) },
		},
		{
			name: "link to itself", path: "link", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) { require.NoError(t, os.Symlink("link", inside+"/link")) },
		},
		{
			name: "link with a slash", path: "link/", want: []uint64{loop, notdir, isdir},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink("../outside", inside+"/link"))
			},
		},
		{
			name: "link to the process file system", path: "link/root/etc/passwd", want: []uint64{loop},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Symlink("/proc/self", inside+"/link"))
			},
		},
		{
			name: "hard link", path: "link", want: []uint64{perm},
			place: func(t *testing.T, inside, outside string) {
				require.NoError(t, os.Link(outside+"/secret", inside+"/link"))
			},
			try: func(g *guest, path string) uint64 {
				_, read := g.open(path, 0, rightRead, 0)
				_, write := g.open(path, oTrunc, rightWrite, 0)
				require.Equal(g.t, read, write)
				require.EqualValues(g.t, perm, g.touch(path, false))
				return read
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inside, outside := house(t)
			if tc.place != nil {
				tc.place(t, inside, outside)
			}
			m, err := mount.Open(inside, mount.Options{MaxBytes: 1 << 20, MaxFiles: 100})
			require.NoError(t, err)
			defer m.Close()
			g := newGuest(t, m)
			if tc.try != nil {
				require.Contains(t, tc.want, tc.try(g, tc.path))
				untouched(t, outside)
				return
			}
			for name, try := range tries {
				want := tc.want
				if linked := strings.HasSuffix(tc.path, "link"); linked && (name == "unlink" || name == "lstat") {
					continue // of the link itself, which is allowed
				}
				if name == "create directory" || name == "rename to" || name == "create" || name == "rmdir" || name == "unlink" || name == "readlink" {
					// That something exists counts before what it is.
					want = append([]uint64{exist, notdir, isdir}, want...)
				}
				switch name {
				case "symlink", "link", "readlink", "rename to":
					want = append([]uint64{perm}, want...)
				}
				require.Contains(t, want, try(g, tc.path), name)
				untouched(t, outside)
			}
			if strings.HasSuffix(tc.path, "link") {
				// The link is gone, not what it pointed to.
				require.EqualValues(t, success, g.unlink(tc.path))
				require.NoFileExists(t, filepath.Join(inside, tc.path))
				untouched(t, outside)
			}
		})
	}
}

// tries are all calls that take a path.
var tries = map[string]func(g *guest, path string) uint64{
	"read":  func(g *guest, path string) uint64 { _, errno := g.open(path, 0, rightRead, 0); return errno },
	"write": func(g *guest, path string) uint64 { _, errno := g.open(path, 0, rightWrite, 0); return errno },
	"append": func(g *guest, path string) uint64 {
		_, errno := g.open(path, 0, rightRead|rightWrite, fdAppend)
		return errno
	},
	"truncate": func(g *guest, path string) uint64 {
		_, errno := g.open(path, oTrunc, rightWrite, 0)
		return errno
	},
	"list": func(g *guest, path string) uint64 { _, errno := g.open(path, oDirectory, rightRead, 0); return errno },
	"create": func(g *guest, path string) uint64 {
		if g.stat(path, false) == noent {
			return noent // it would be made inside, which is right
		}
		_, errno := g.open(path, oCreat|oExcl, rightWrite, 0)
		return errno
	},
	"create directory": func(g *guest, path string) uint64 {
		if g.stat(path, false) == noent {
			return noent
		}
		return g.mkdir(path)
	},
	"stat":        func(g *guest, path string) uint64 { return g.stat(path, true) },
	"lstat":       func(g *guest, path string) uint64 { return g.stat(path, false) },
	"times":       func(g *guest, path string) uint64 { return g.touch(path, true) },
	"lstat times": func(g *guest, path string) uint64 { return g.touch(path, false) },
	"readlink":    func(g *guest, path string) uint64 { return g.readlink(path) },
	"rmdir":       func(g *guest, path string) uint64 { return g.rmdir(path) },
	"unlink":      func(g *guest, path string) uint64 { return g.unlink(path) },
	"rename from": func(g *guest, path string) uint64 { return g.rename(path, "taken") },
	"rename to": func(g *guest, path string) uint64 {
		errno := g.stat(path, false)
		if errno == noent || errno == success {
			return perm // it would be replaced inside, which is right
		}
		return g.rename("file", path)
	},
	"link":    func(g *guest, path string) uint64 { return g.link(path, "taken") },
	"symlink": func(g *guest, path string) uint64 { return g.symlink(path, "taken") },
}

func TestGuestsCannotMakeLinks(t *testing.T) {
	inside, outside := house(t)
	m, err := mount.Open(inside, mount.Options{})
	require.NoError(t, err)
	defer m.Close()
	g := newGuest(t, m)
	for _, target := range []string{"file", "../outside/secret", outside + "/secret", "dir"} {
		require.EqualValues(t, perm, g.symlink(target, "new"), target)
	}
	require.EqualValues(t, perm, g.link("file", "new"))
	require.NoFileExists(t, inside+"/new")
}

// A directory handle that was opened before stays where it is, and wazero
// resolves names below it from the mount: neither leads outside.
func TestOpenDirectoryIsNoWayOut(t *testing.T) {
	inside, outside := house(t)
	m, err := mount.Open(inside, mount.Options{})
	require.NoError(t, err)
	defer m.Close()
	g := newGuest(t, m)
	fd, errno := g.open("dir", oDirectory, rightRead, 0)
	require.EqualValues(t, success, errno)

	at := func(name string, path string) uint64 {
		p, n := g.path(0, path)
		return g.call(name, fd, p, n)
	}
	for path, want := range map[string]uint64{"..": perm, "../..": perm, "../../outside/secret": perm, "../file": perm} {
		require.EqualValues(t, want, at("path_unlink_file", path), path)
		require.EqualValues(t, want, at("path_create_directory", path), path)
	}

	// Somebody else moves it out and puts a link to outside in its place.
	require.NoError(t, os.Rename(inside+"/dir", filepath.Dir(inside)+"/moved"))
	require.NoError(t, os.Symlink("../outside", inside+"/dir"))
	require.EqualValues(t, loop, at("path_create_directory", "new"))
	require.EqualValues(t, loop, at("path_unlink_file", "secret"))
	require.NoDirExists(t, filepath.Dir(inside)+"/moved/new")
	untouched(t, outside)
}

func TestSpecialFilesAreRefused(t *testing.T) {
	inside, _ := house(t)
	require.NoError(t, syscall.Mkfifo(inside+"/pipe", 0o600))
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer syscall.Close(socket)
	want := []string{"pipe"}
	if err := syscall.Bind(socket, &syscall.SockaddrUnix{Name: inside + "/socket"}); err == nil {
		want = append(want, "socket")
	} else {
		t.Logf("SKIPPED: a socket, since its path is too long here: %v", err)
	}
	if err := makeDevice(inside + "/null"); err == nil {
		want = append(want, "null")
	} else {
		t.Logf("SKIPPED: a device, which takes privileges to make: %v", err)
	}
	m, err := mount.Open(inside, mount.Options{MaxBytes: 1 << 20, MaxFiles: 100})
	require.NoError(t, err)
	defer m.Close()
	g := newGuest(t, m)
	for _, name := range want {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, rights := range []uint64{rightRead, rightWrite, rightRead | rightWrite} {
				for _, oflags := range []uint64{0, oCreat, oTrunc | oCreat} {
					if oflags&oTrunc != 0 && rights&rightWrite == 0 {
						continue
					}
					if _, errno := g.open(name, oflags, rights, 0); errno != perm {
						t.Errorf("%s: errno %d", name, errno)
					}
				}
			}
		}()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatalf("opening %s waits for something", name)
		}
		require.EqualValues(t, perm, g.rename(name, "taken"))
		require.EqualValues(t, perm, g.touch(name, true))
		require.EqualValues(t, success, g.stat(name, true))
		require.EqualValues(t, success, g.unlink(name))
	}
	require.EqualValues(t, mount.Usage{Bytes: 12, Files: 3}, m.Usage())
}
