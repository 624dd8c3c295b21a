// Package sources reads the files for the archive of new projects, for the program
// that makes it and for the test that compares it.
package sources

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// File is a file of the archive.
type File struct {
	Name    string // language/path, with slashes
	Content []byte
}

// made lists files that a build leaves behind.
var made = map[string]bool{
	"node_modules": true, "target": true, "zig-cache": true, ".zig-cache": true,
	"package-lock.json": true, "Cargo.lock": true,
}

// Read returns the files of all languages under dir, in order. It leaves out build
// products and files outside a language's folder.
func Read(dir string) ([]File, error) {
	var files []File
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case made[path.Base(name)] && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir(), !strings.Contains(name, "/"), made[path.Base(name)],
			path.Ext(name) == ".wasm", path.Ext(name) == ".o":
			return nil
		}
		content, err := fs.ReadFile(root, name)
		files = append(files, File{name, content})
		return err
	})
	return files, err
}

// Compare returns an error that names a difference between an archive and files, or nil.
func Compare(packed []byte, files []File) error {
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return err
	}
	const mend = "run go run ./host/cmd/waddle/internal/project/pack and commit the result"
	for i, f := range files {
		if i >= len(r.File) || r.File[i].Name != f.Name {
			return fmt.Errorf("the archive lacks %s, or has another file before it: %s", f.Name, mend)
		}
		entry, err := r.File[i].Open()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(entry)
		if err != nil {
			return err
		}
		if !bytes.Equal(content, f.Content) {
			return fmt.Errorf("%s has changed since the archive was made: %s", f.Name, mend)
		}
	}
	if len(r.File) > len(files) {
		return fmt.Errorf("the archive has %s, which no longer exists: %s", r.File[len(files)].Name, mend)
	}
	return nil
}
