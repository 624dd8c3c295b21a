package tools

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const (
	repository = "../.."
	rootModule = "github.com/waddle-sessions/waddle"
	version    = "v0.1.0" // the next version to publish
)

// published returns the modules that others require, by their folder. The other
// modules are used only in a checkout.
func published(t *testing.T) map[string]string {
	t.Helper()
	modules := map[string]string{rootModule: "."}
	for _, pattern := range []string{"host/otel", "host/adapt/*"} {
		files, err := filepath.Glob(filepath.Join(repository, pattern, "go.mod"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			folder, err := filepath.Rel(repository, filepath.Dir(file))
			require.NoError(t, err)
			modules[rootModule+"/"+filepath.ToSlash(folder)] = folder
		}
	}
	return modules
}

// publish makes a module proxy from the tree, with the files that a tag of it would
// have, packed as the go command does.
func publish(t *testing.T) (proxy string) {
	t.Helper()
	proxy = t.TempDir()
	for path, folder := range published(t) {
		dir := filepath.Join(proxy, filepath.FromSlash(path), "@v")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		write := func(name string, data []byte) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		}
		mod, err := os.ReadFile(filepath.Join(repository, folder, "go.mod"))
		require.NoError(t, err)
		write("list", []byte(version+"\n"))
		write(version+".mod", mod)
		write(version+".info", fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, version, time.Now().UTC().Format(time.RFC3339)))

		var packed bytes.Buffer
		require.NoError(t, zip.Create(&packed, module.Version{Path: path, Version: version}, tracked(t, folder)))
		write(version+".zip", packed.Bytes())
	}
	return proxy
}

// tracked returns the files under a folder that are committed, or will be with the
// next commit.
func tracked(t *testing.T, folder string) []zip.File {
	t.Helper()
	list := exec.Command("git", "ls-files", "-co", "--exclude-standard", "-z")
	list.Dir = filepath.Join(repository, folder)
	out, err := list.Output()
	require.NoError(t, err)
	var nested []string
	names := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	for _, name := range names {
		if dir, ok := strings.CutSuffix(name, "/go.mod"); ok {
			nested = append(nested, dir+"/")
		}
	}
	var files []zip.File
next:
	for _, name := range names {
		for _, dir := range nested {
			if strings.HasPrefix(name, dir) {
				continue next
			}
		}
		f := file{name, filepath.Join(list.Dir, filepath.FromSlash(name))}
		if info, err := f.Lstat(); err != nil || !info.Mode().IsRegular() {
			continue // removed and not committed yet, or a link
		}
		files = append(files, f)
	}
	return files
}

// file is one file for a module's archive.
type file struct{ name, on string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.on) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.on) }
