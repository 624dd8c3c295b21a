package project

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed projects.zip
var archive []byte

// placeholder is the examples' name, wherever they name themselves.
const placeholder = "example-store"

// Options describe a new project. The zero value is ready to use.
type Options struct {
	// Name is the plugin's name: up to 60 lower-case letters, digits and hyphens,
	// beginning with a letter. "" means a name made from the directory's.
	Name string

	// Module is the path of a Go project's module. "" means the name, followed by
	// -store if the name means something to Go.
	Module string

	// Checkout is a checkout of Waddle to build a Go project against. "" means the
	// version that this program was built from, which must be published.
	Checkout string
}

// ErrNotEmpty is returned when the project's place is taken.
var ErrNotEmpty = errors.New("not an empty directory")

// Write makes a project in dir, which must be empty or not exist, and returns its
// files, relative to dir, with slashes and in order. On an error it leaves nothing
// in dir. It returns ErrLanguage, ErrOption, ErrVersion or ErrNotEmpty, with
// advice, or the error of an operation on files.
func Write(dir, language string, options Options) ([]string, error) {
	l, err := lookup(language)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := options.settle(l, filepath.Base(dir)); err != nil {
		return nil, err
	}
	files, err := render(l, options)
	if err != nil {
		return nil, err
	}
	exists, err := inspect(dir)
	if err != nil {
		return nil, err
	}
	if exists {
		err = fill(dir, files)
	} else {
		err = create(dir, files)
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.name
	}
	return names, nil
}

type file struct {
	name    string // relative to the project, with slashes
	content []byte
}

// render returns the files of a project in order.
func render(l Language, options Options) ([]file, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	var files []file
	for _, entry := range r.File {
		name, ok := strings.CutPrefix(entry.Name, l.Name+"/")
		if !ok {
			continue
		}
		content, err := read(entry)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, bytes.ReplaceAll(content, []byte(placeholder), []byte(options.Name))})
	}
	if l.Name == "go" {
		mod, err := goMod(options)
		if err != nil {
			return nil, err
		}
		files = append(files, file{"go.mod", mod})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

func read(entry *zip.File) ([]byte, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// inspect reports whether the directory exists. It fails if dir is a file or a
// directory that is not empty.
func inspect(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return false, fmt.Errorf("%w: %s is a file: choose another place for the project", ErrNotEmpty, dir)
		}
		return false, err
	case len(entries) == 0:
		return true, nil
	}
	const shown = 3
	names := make([]string, 0, shown)
	for _, e := range entries[:min(shown, len(entries))] {
		names = append(names, e.Name())
	}
	more := ""
	if n := len(entries) - shown; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return false, fmt.Errorf("%w: %s has %s%s: choose another place for the project", ErrNotEmpty, dir, strings.Join(names, ", "), more)
}

// create makes the project beside its place and then moves it there as a whole.
func create(dir string, files []file) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	made, clean, err := prepare(parent, files)
	defer clean()
	if err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// fill makes the project within its directory and then moves everything one level
// up. It keeps the directory, which may be somebody's current one.
func fill(dir string, files []file) error {
	made, clean, err := prepare(dir, files)
	defer clean()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(made)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := os.Rename(filepath.Join(made, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			for _, moved := range entries[:i] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, moved.Name())))
			}
			return err
		}
	}
	return nil
}

// prepare writes files to a new directory under parent. The caller calls clean.
func prepare(parent string, files []file) (made string, clean func(), err error) {
	temporary, err := os.MkdirTemp(parent, ".waddle-new-*")
	if err != nil {
		return "", func() {}, err
	}
	clean = func() { _ = os.RemoveAll(temporary) } // leftovers do no harm
	// A separate directory with the permissions of the user's other files.
	made = filepath.Join(temporary, "project")
	if err := os.Mkdir(made, 0o777); err != nil {
		return "", clean, err
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Join(made, filepath.FromSlash(path.Dir(f.name))), 0o777); err != nil {
			return "", clean, err
		}
		if err := os.WriteFile(filepath.Join(made, filepath.FromSlash(f.name)), f.content, 0o666); err != nil {
			return "", clean, err
		}
	}
	return made, clean, nil
}
