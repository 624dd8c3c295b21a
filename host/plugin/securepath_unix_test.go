//go:build unix

package plugin_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// asNobody runs a command as another user.
func asNobody(t *testing.T, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// If others could point a cache directory elsewhere at any time after it was checked,
// it is not used, and nothing is written to its target.
func TestCacheBehindSomebodyElse(t *testing.T) {
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	mkdir := func(t *testing.T, path string, mode fs.FileMode) string {
		require.NoError(t, os.MkdirAll(path, 0o700))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	const sticky = fs.ModeSticky | 0o777
	for _, c := range []struct {
		name string
		root bool // only root can act as another user
		// make makes a directory within base, or none, and returns the path to it.
		make func(t *testing.T, base string) string
		says string // "" if it is used
	}{
		{"one's own", false, func(t *testing.T, base string) string { return mkdir(t, base+"/own", 0o700) }, ""},
		{"not there yet", false, func(_ *testing.T, base string) string { return base + "/a/b/c" }, ""},
		{"in a sticky one", false, func(t *testing.T, base string) string {
			return mkdir(t, mkdir(t, base+"/tmp", sticky)+"/own", 0o700)
		}, ""},
		{"not there yet, in a sticky one", false, func(t *testing.T, base string) string {
			return mkdir(t, base+"/tmp", sticky) + "/own"
		}, ""},
		{"behind one's own link", false, func(t *testing.T, base string) string {
			mkdir(t, base+"/own/code", 0o700)
			require.NoError(t, os.Symlink("own", base+"/link"))
			return base + "/link/code"
		}, ""},
		{"behind one's own link in a sticky one, and another one", false, func(t *testing.T, base string) string {
			tmp := mkdir(t, base+"/tmp", sticky)
			mkdir(t, base+"/own", 0o700)
			require.NoError(t, os.Symlink("../up", tmp+"/link"))
			require.NoError(t, os.Symlink(base+"/own", base+"/up"))
			return tmp + "/link"
		}, ""},
		{"beneath one that all may write to", false, func(t *testing.T, base string) string {
			return mkdir(t, mkdir(t, base+"/open", 0o777)+"/own", 0o700)
		}, "/open, above"},
		{"beneath one that a group may write to", false, func(t *testing.T, base string) string {
			return mkdir(t, mkdir(t, base+"/group", 0o770)+"/between/own", 0o700)
		}, "chmod go-w"},
		{"behind a link to beneath one that all may write to", false, func(t *testing.T, base string) string {
			mkdir(t, mkdir(t, base+"/open", 0o777)+"/own", 0o700)
			require.NoError(t, os.Symlink("open/own", base+"/link"))
			return base + "/link"
		}, "/open, above"},
		{"links that go round", false, func(t *testing.T, base string) string {
			require.NoError(t, os.Symlink("b", base+"/a"))
			require.NoError(t, os.Symlink("a", base+"/b"))
			return base + "/a"
		}, "more than 40 symbolic links"},
		{"behind somebody's link in a sticky one", true, func(t *testing.T, base string) string {
			mkdir(t, base+"/own", 0o700)
			tmp := mkdir(t, base+"/tmp", sticky)
			asNobody(t, "ln", "-s", base+"/own", tmp+"/link")
			return tmp + "/link"
		}, "is a symbolic link of user 12345"},
		{"behind somebody's link, further up", true, func(t *testing.T, base string) string {
			mkdir(t, base+"/own/code", 0o700)
			tmp := mkdir(t, base+"/tmp", sticky)
			asNobody(t, "ln", "-s", base+"/own", tmp+"/link")
			return tmp + "/link/code"
		}, "is a symbolic link of user 12345"},
		{"beneath somebody's directory", true, func(t *testing.T, base string) string {
			tmp := mkdir(t, base+"/tmp", sticky)
			asNobody(t, "mkdir", "-m", "755", tmp+"/theirs")
			return mkdir(t, tmp+"/theirs/own", 0o700)
		}, "belongs to user 12345"},
		{"beneath somebody's sticky directory", true, func(t *testing.T, base string) string {
			tmp := mkdir(t, base+"/tmp", sticky)
			asNobody(t, "mkdir", "-m", "1777", tmp+"/theirs")
			return mkdir(t, tmp+"/theirs/own", 0o700)
		}, "belongs to user 12345"},
		{"somebody's, where one's own is to be made", true, func(t *testing.T, base string) string {
			tmp := mkdir(t, base+"/tmp", sticky)
			asNobody(t, "mkdir", "-m", "777", tmp+"/waddle")
			return tmp + "/waddle"
		}, "belongs to user 12345"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("only root can be somebody else")
			}
			base := t.TempDir()
			require.NoError(t, os.Chmod(filepath.Dir(base), 0o755)) // lets the user nobody get there
			dir := c.make(t, base)
			var log logBuffer
			config := cached(dir)
			config.Logger = log.logger()
			require.Equal(t, "compiled", use(t, config))
			if c.says == "" {
				require.Empty(t, log.String())
				require.Equal(t, "directory", use(t, config))
				return
			}
			require.Equal(t, "compiled", use(t, config))
			require.Contains(t, log.String(), "kept in memory only")
			require.Contains(t, log.String(), plugin.ErrCache.Error())
			require.Contains(t, log.String(), c.says)
			for _, path := range files(t, base) {
				info, err := os.Lstat(path)
				require.NoError(t, err)
				require.Equal(t, fs.ModeSymlink, info.Mode().Type(), "%s was written", path)
			}
		})
	}
}

// A directory or file within it that others may write to is not used, nor is a link.
func TestCacheWithSomethingElseInIt(t *testing.T) {
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	one := func(t *testing.T, pattern string) string {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.Len(t, found, 1)
		return found[0]
	}
	elsewhere := func(t *testing.T, path string) {
		target := t.TempDir() + "/moved"
		require.NoError(t, os.Rename(path, target))
		require.NoError(t, os.Symlink(target, path))
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		source string // after the change, and then once more
		then   string
		says   string
	}{
		{"nothing", func(*testing.T, string) {}, "directory", "directory", ""},
		{"a module's directory that all may write to", func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(one(t, dir+"/*-plain-*"), 0o777))
		}, "compiled", "compiled", "0777"},
		{"a directory in it that all may write to", func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(one(t, dir+"/*-plain-*/wazero-*"), 0o777))
		}, "compiled", "compiled", "0777"},
		{"a module's directory that is a link", func(t *testing.T, dir string) { elsewhere(t, one(t, dir+"/*-plain-*")) },
			"compiled", "compiled", "is not a directory"},
		{"a directory in it that is a link", func(t *testing.T, dir string) { elsewhere(t, one(t, dir+"/*-plain-*/wazero-*")) },
			"compiled", "directory", ""},
		{"a file that all may write to", func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(one(t, dir+"/*-plain-*/wazero-*/*"), 0o666))
		}, "compiled", "directory", ""},
		{"a file that is a link", func(t *testing.T, dir string) { elsewhere(t, one(t, dir+"/*-plain-*/wazero-*/*")) },
			"compiled", "directory", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o700))
			require.Equal(t, "compiled", use(t, cached(dir)))
			c.change(t, dir)
			var log logBuffer
			config := cached(dir)
			config.Logger = log.logger()
			require.Equal(t, c.source, use(t, config))
			require.Equal(t, c.then, use(t, config))
			require.Contains(t, log.String(), c.says)
			if c.says == "" {
				require.Empty(t, log.String())
			}
		})
	}
}
