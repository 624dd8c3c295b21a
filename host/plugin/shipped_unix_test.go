//go:build unix

package plugin_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

const (
	shippedVariable = "WADDLE_TEST_SHIPPED"
	nobody          = 12345
)

// Compiled code from an image belongs to root, and a process of another user reads it.
// Each case changes it, and says where the process then gets its code.
func TestCacheThatWasShipped(t *testing.T) {
	if dir := os.Getenv(shippedVariable); dir != "" {
		wasm, err := os.ReadFile(filepath.Join(dir, "store.wasm"))
		require.NoError(t, err)
		var log logBuffer
		config := cached(filepath.Join(dir, "cache"))
		config.Logger = log.logger()
		p, err := plugin.Open(ctx, wasm, config)
		require.NoError(t, err)
		require.NoError(t, p.Close(ctx))
		fmt.Printf("source %s\n%s", p.Stats().CodeSource, log.String())
		return
	}
	p := open(t, guest(t, "tiny"), quiet())
	compilerOnly(t, p.Stats().Runtime)
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	each := func(t *testing.T, dir string, change func(string, os.FileInfo) error) {
		require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return change(path, info)
		}))
	}
	readable := func(path string, info os.FileInfo) error {
		if info.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, image, cache string)
		source string
		says   string
	}{
		{"of root", func(t *testing.T, _, cache string) { each(t, cache, readable) }, "directory", ""},
		{"of whoever the program belongs to", func(t *testing.T, image, cache string) {
			each(t, cache, readable)
			each(t, cache, func(path string, _ os.FileInfo) error { return os.Chown(path, 777, 777) })
			require.NoError(t, os.Chown(filepath.Join(image, "program"), 777, 777))
		}, "directory", ""},
		{"its own, which it may not write to", func(t *testing.T, _, cache string) {
			each(t, cache, func(path string, _ os.FileInfo) error { return os.Chown(path, nobody, nobody) })
			require.NoError(t, os.Chmod(cache, 0o500))
		}, "directory", ""},
		{"not readable", func(*testing.T, string, string) {}, "compiled", "kept in memory only"},
		{"the list not readable", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			sums, err := filepath.Glob(filepath.Join(cache, "*", "sums"))
			require.NoError(t, err)
			require.NoError(t, os.Chmod(sums[0], 0o600))
		}, "compiled", "chmod -R a+rX,go-w"},
		{"of a stranger", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			each(t, cache, func(path string, _ os.FileInfo) error { return os.Chown(path, 777, 777) })
		}, "compiled", "belongs to user 777"},
		{"a file of a stranger", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			require.NoError(t, os.Chown(files(t, cache)[0], 777, 777))
		}, "compiled", "belongs to user 777"},
		{"a directory that others may write to", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			require.NoError(t, os.Chmod(filepath.Dir(files(t, cache)[0]), 0o777))
		}, "compiled", "writable by others"},
		{"a file that others may write to", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			require.NoError(t, os.Chmod(files(t, cache)[0], 0o666))
		}, "compiled", "writable by others"},
		{"damaged", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			require.NoError(t, os.WriteFile(files(t, cache)[0], []byte("nonsense"), 0o644))
		}, "compiled", "is not what was sealed"},
		{"with more than was sealed", func(t *testing.T, _, cache string) {
			each(t, cache, readable)
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(files(t, cache)[0]), "more"), nil, 0o644))
		}, "compiled", "is not what was sealed"},
		{"of another module", func(t *testing.T, _, cache string) {
			entries, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.NoError(t, os.Rename(filepath.Join(cache, entries[0].Name()), filepath.Join(cache, strings.Repeat("ab", 32)+"-plain")))
			each(t, cache, readable)
		}, "compiled", "no compiled code of this module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			image, err := os.MkdirTemp("", "shipped-")
			require.NoError(t, err)
			defer os.RemoveAll(image)
			require.NoError(t, os.Chmod(image, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(image, "program"), program, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(image, "store.wasm"), guest(t, "store"), 0o644))
			cache := filepath.Join(image, "cache")
			require.Equal(t, "compiled", use(t, cached(cache)))
			c.change(t, image, cache)
			before := files(t, image)

			command := exec.Command(filepath.Join(image, "program"), "-test.run=^TestCacheThatWasShipped$")
			command.Dir = image
			command.Env = []string{shippedVariable + "=" + image}
			command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "source "+c.source+"\n")
			require.Contains(t, string(out), c.says)
			require.Equal(t, before, files(t, image), "nothing was written or removed")
		})
	}
}
