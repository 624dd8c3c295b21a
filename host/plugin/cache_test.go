package plugin_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

func cached(dir string) plugin.Config {
	config := quiet()
	config.NoCache, config.CacheDir = false, dir
	return config
}

// use opens the guest, checks that it works, and returns where its code came from.
func use(t *testing.T, config plugin.Config) string {
	t.Helper()
	p, err := plugin.Open(ctx, guest(t, "store"), config)
	require.NoError(t, err)
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1}))
	got, err := p.Get(ctx, key, 1)
	require.NoError(t, err)
	require.Equal(t, value(1, "v"), got)
	source := p.Stats().CodeSource
	require.Positive(t, p.Stats().CompileTime)
	require.NoError(t, p.Close(ctx))
	return source
}

func files(t *testing.T, dir string) (code []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "sums" {
			code = append(code, path)
		}
		return err
	}))
	return code
}

// codeIn returns the files of code in a directory, without what is kept beside it.
func codeIn(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, dir), func(path string) bool { return filepath.Base(path) == "module" })
}

func compilerOnly(t *testing.T, p string) {
	t.Helper()
	if p != "compiler" {
		t.Skip("the interpreter keeps nothing")
	}
}

func TestCacheDirectory(t *testing.T) {
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)

	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	require.Equal(t, "compiled", use(t, cached(dir)))
	require.Equal(t, "directory", use(t, cached(dir)))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	}
	limited := cached(dir)
	limited.Trusted, limited.Deadline = false, time.Minute
	require.Equal(t, "compiled", use(t, limited), "code with other limits is other code")
	require.Equal(t, "directory", use(t, limited))

	none := quiet()
	require.Equal(t, "compiled", use(t, none))
	require.Equal(t, "compiled", use(t, none))
}

// TestCacheOfAnotherVersion: sealed code of another version of wazero, which this one
// does not look for, does not keep new code from being kept.
func TestCacheOfAnotherVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	require.Equal(t, "compiled", use(t, cached(dir)))
	for _, path := range codeIn(t, dir) {
		version := filepath.Dir(path)
		module := filepath.Dir(version)
		require.NoError(t, os.Rename(version, filepath.Join(module, "wazero-other")))
		sums, err := os.ReadFile(filepath.Join(module, "sums"))
		require.NoError(t, err)
		sums = []byte(strings.ReplaceAll(string(sums), filepath.Base(version), "wazero-other"))
		require.NoError(t, os.WriteFile(filepath.Join(module, "sums"), sums, 0o600))
	}
	require.Equal(t, "compiled", use(t, cached(dir)), "which it is, again")
	require.Equal(t, "directory", use(t, cached(dir)))
	require.Len(t, codeIn(t, dir), 2, "the other program may still be there")
}

func TestCacheThatIsDamaged(t *testing.T) {
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	for name, damage := range map[string]func(b []byte) []byte{
		"cut to nothing":  func([]byte) []byte { return nil },
		"cut short":       func(b []byte) []byte { return b[:len(b)/2] },
		"one byte less":   func(b []byte) []byte { return b[:len(b)-1] },
		"function count":  func(b []byte) []byte { i := 7 + int(b[6]); copy(b[i:], "\xff\xff\xff\xff"); return b },
		"function offset": func(b []byte) []byte { i := 11 + int(b[6]); copy(b[i:], "\xff\xff\xff\x7f"); return b },
		"code":            func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
		"version":         func(b []byte) []byte { b[8] ^= 1; return b },
		"something else":  func([]byte) []byte { return []byte("not code at all, but long enough for a header") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o700))
			require.Equal(t, "compiled", use(t, cached(dir)))
			require.Len(t, codeIn(t, dir), 1)
			require.Len(t, files(t, dir), 2)
			for _, file := range files(t, dir) {
				b, err := os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, damage(b), 0o600))
				require.Equal(t, "compiled", use(t, cached(dir)), "damaged code is not run, nor that of a module of which something is damaged")
				require.Equal(t, "directory", use(t, cached(dir)), "and is written anew")
			}

			sums, err := filepath.Glob(filepath.Join(dir, "*", "sums"))
			require.NoError(t, err)
			require.Len(t, sums, 1)
			require.NoError(t, os.WriteFile(sums[0], []byte("nonsense\n\x00"), 0o600))
			require.Equal(t, "compiled", use(t, cached(dir)), "code without a checksum is not run")
		})
	}
}

// An unsafe directory is not used, and the log says so: a configured one and the default
// one alike.
func TestCacheDirectoryThatIsNotSafe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are lists here")
	}
	without := func(config plugin.Config, says ...string) {
		t.Helper()
		var log logBuffer
		config.Logger = log.logger()
		require.Equal(t, "compiled", use(t, config))
		for _, text := range append(says, "kept in memory only", plugin.ErrCache.Error()) {
			require.Contains(t, log.String(), text)
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	without(cached(dir), "0777", "chmod 700")
	require.Empty(t, files(t, dir))

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	without(cached(file))
	without(cached(filepath.Join(file, "beneath")))

	if os.Geteuid() == 0 {
		foreign := t.TempDir()
		require.NoError(t, os.Chmod(foreign, 0o700))
		require.NoError(t, os.Chown(foreign, 12345, 12345))
		without(cached(foreign), "12345")
		require.Empty(t, files(t, foreign))
	}

	base := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(base, "waddle"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(base, "waddle"), 0o777))
	t.Setenv("XDG_CACHE_HOME", base)
	if cache, err := os.UserCacheDir(); err != nil || cache != base {
		t.Log("the default directory cannot be set on this platform")
		return
	}
	without(cached(""))
	require.Empty(t, files(t, base))
}

// A guest runs although its code cannot be written, as on a full disk.
func TestCacheThatCannotBeWritten(t *testing.T) {
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	require.Equal(t, "compiled", use(t, cached(dir)))
	// A file where the module's directory should be made.
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	module := filepath.Join(dir, entries[0].Name())
	require.NoError(t, os.RemoveAll(module))
	require.NoError(t, os.WriteFile(module, nil, 0o600))
	var log logBuffer
	config := cached(dir)
	config.Logger = log.logger()
	require.Equal(t, "compiled", use(t, config))
	require.Contains(t, log.String(), "kept in memory only")
}

func TestOldCodeIsRemoved(t *testing.T) {
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	old := filepath.Join(dir, strings.Repeat("ab", 32)+"-plain")
	fresh := filepath.Join(dir, strings.Repeat("cd", 32)+"-plain")
	foreign := filepath.Join(dir, "foreign-directory")
	long := time.Now().Add(-100 * 24 * time.Hour)
	for _, d := range []string{old, fresh, foreign} {
		require.NoError(t, os.Mkdir(d, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(d, "sums"), nil, 0o600))
	}
	for _, d := range []string{old, foreign} {
		require.NoError(t, os.Chtimes(filepath.Join(d, "sums"), long, long))
	}
	require.Equal(t, "compiled", use(t, cached(dir)))
	require.NoDirExists(t, old)
	require.DirExists(t, fresh)
	require.DirExists(t, foreign, "what the cache did not make it leaves alone")
}

func TestCodeIsSharedWithinTheProcess(t *testing.T) {
	before := plugin.SharedCode()
	config := quiet()
	config.Shards = 1
	first := open(t, guest(t, "store"), config)
	var wait sync.WaitGroup
	others := make([]*plugin.Plugin, 8)
	for i := range others {
		wait.Go(func() {
			p, err := plugin.Open(ctx, guest(t, "store"), config)
			if err != nil {
				t.Error(err)
				return
			}
			others[i] = p
		})
	}
	wait.Wait()
	require.Equal(t, before+1, plugin.SharedCode())
	require.NoError(t, first.Set(ctx, store.Write{Key: key, Now: 1}))
	for _, p := range others {
		require.Equal(t, "memory", p.Stats().CodeSource)
		_, err := p.Get(ctx, key, 1)
		require.ErrorIs(t, err, store.ErrNotFound, "code is shared, and nothing else")
	}
	require.NoError(t, first.Close(ctx))
	for _, p := range others {
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: 1}), "the others live on")
		require.NoError(t, p.Close(ctx))
	}
	require.Equal(t, before, plugin.SharedCode())
}

// Several processes start at the same time on one empty directory.
func TestCacheOfSeveralProcesses(t *testing.T) {
	if dir := os.Getenv("WADDLE_TEST_CACHE"); dir != "" {
		for range 5 {
			use(t, cached(dir))
		}
		return
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	limit, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			command := exec.CommandContext(limit, self, "-test.run=^TestCacheOfSeveralProcesses$")
			command.Env = append(os.Environ(), "WADDLE_TEST_CACHE="+dir)
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wait.Wait()
	if len(files(t, dir)) > 0 {
		require.Equal(t, "directory", use(t, cached(dir)))
	}
}
