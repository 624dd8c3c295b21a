package mount

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
)

// Whatever path a guest gives, its one form names something in the mount, and
// operations on it happen there.
func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"", ".", "/", "f", "d/f", "d/", "./d//f/.", "..", "d/../../outside", "/outside", "link", "link/outside", "up/outside",
		".waddle.lock", "d/.WADDLE", ".wad\u200cdle", "a\x00b", "\xff", `d\..\..\outside`, "c:f", "f:stream", "NUL", "d/f~1", "f. ",
		strings.Repeat("n", 256), strings.Repeat("d/", 33), strings.Repeat("/", 5000),
	} {
		f.Add(p)
	}
	base := f.TempDir()
	dir, outside := filepath.Join(base, "dir"), filepath.Join(base, "outside")
	require.NoError(f, os.Mkdir(dir, 0o700))
	require.NoError(f, os.WriteFile(outside, []byte("outside"), 0o600))
	before, err := os.Stat(outside)
	require.NoError(f, err)
	m, err := Open(dir, Options{MaxBytes: 1 << 20, MaxFiles: 1000})
	require.NoError(f, err)
	f.Cleanup(func() { m.Close() })

	f.Fuzz(func(t *testing.T, p string) {
		n, errno := parse(p)
		if errno == 0 {
			require.False(t, path.IsAbs(n.path))
			require.Equal(t, path.Clean(n.path), n.path)
			require.Equal(t, n.depth == 0, n.path == ".")
			for part := range strings.SplitSeq(n.path, "/") {
				require.NotEqual(t, "..", part)
				if !n.hidden {
					require.False(t, strings.HasPrefix(strings.ToLower(part), HiddenPrefix))
				}
			}
			again, errno := parse(n.path)
			require.Zero(t, errno)
			n.isDir, again.isDir = false, false
			require.Equal(t, n, again)
		}

		// A tree to get lost in.
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "d"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".waddle.lock"), []byte("outside"), 0o600))
		_ = os.Symlink("../outside", filepath.Join(dir, "link"))
		_ = os.Symlink("..", filepath.Join(dir, "up"))
		if file, errno := m.OpenFile(p, sys.O_RDWR|sys.O_CREAT|sys.O_TRUNC, 0o777); errno == 0 {
			_, errno := file.Write([]byte("guest"))
			require.Zero(t, errno)
			require.Zero(t, file.Close())
			require.Zero(t, m.Rename(p, "d/f"))
			require.Zero(t, m.Rename("d/f", p))
			require.Zero(t, m.Unlink(p))
		}
		if m.Mkdir(p, 0) == 0 {
			require.Zero(t, m.Rmdir(p))
		}
		for _, file := range []string{outside, filepath.Join(dir, ".waddle.lock")} {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, "outside", string(text))
		}
		after, err := os.Stat(outside)
		require.NoError(t, err)
		require.Equal(t, before.ModTime(), after.ModTime())
		entries, err := os.ReadDir(base)
		require.NoError(t, err)
		require.Len(t, entries, 2)
		require.Zero(t, m.Usage())
	})
}
