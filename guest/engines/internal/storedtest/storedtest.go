// Package storedtest is for tests that hold the form of a directory fixed: those that
// earlier versions wrote are kept as testdata/stored/VERSION.zip, and never changed.
package storedtest

import (
	"archive/zip"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var version = flag.String("stored", "", "keep a directory as this code writes it: make testdata/stored/VERSION.zip")

// Directories calls f with a copy of each directory that is kept, the newest last. With
// the flag -stored, it first keeps the one that was just written. The newest must have
// the same bytes as that one.
func Directories(t *testing.T, written string, f func(t *testing.T, dir string)) {
	t.Helper()
	if *version != "" {
		keep(t, written, filepath.Join("testdata", "stored", *version+".zip"))
	}
	files, err := filepath.Glob(filepath.Join("testdata", "stored", "*.zip"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	want := contents(t, written)
	for i, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".zip"), func(t *testing.T) {
			dir := unpack(t, file)
			if i == len(files)-1 {
				kept := contents(t, dir)
				for name := range want {
					require.Equal(t, kept[name], want[name], "%s has another form: older versions cannot read it, and it must still be read as it was", name)
				}
				require.Len(t, kept, len(want))
			}
			f(t, dir)
		})
	}
}

func keep(t *testing.T, dir, file string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	require.NoError(t, err, "what is kept stays as it is")
	w := zip.NewWriter(f)
	require.NoError(t, w.AddFS(os.DirFS(dir)))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
}

func unpack(t *testing.T, file string) (dir string) {
	r, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer r.Close()
	dir = t.TempDir()
	require.NoError(t, os.CopyFS(dir, r))
	return dir
}

// contents returns the bytes of each file, by its path.
func contents(t *testing.T, dir string) map[string]string {
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[filepath.ToSlash(strings.TrimPrefix(path, dir))] = string(b)
		return err
	}))
	return all
}
