//go:build !wasip1

package vfs

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// OS returns a directory of the operating system as an FS.
//
// On Windows, which cannot sync directories, SyncDir does nothing.
func OS(dir string) FS { return osFS(dir) }

type osFS string

func (dir osFS) path(name string) string { return filepath.Join(string(dir), filepath.FromSlash(name)) }

func (dir osFS) OpenFile(name string, flag Flag) (File, error) {
	mode := os.O_RDONLY
	if flag&ReadWrite != 0 {
		mode = os.O_RDWR
	}
	if flag&Create != 0 {
		mode |= os.O_CREATE
	}
	if flag&Exclusive != 0 {
		mode |= os.O_EXCL
	}
	if flag&Truncate != 0 {
		mode |= os.O_TRUNC
	}
	f, err := os.OpenFile(dir.path(name), mode, 0o600)
	if err != nil {
		return nil, errnoOf(err)
	}
	return osFile{f}, nil
}

func (dir osFS) Mkdir(name string) error { return errnoOf(os.Mkdir(dir.path(name), 0o700)) }

// Remove does not remove directories, unlike os.Remove.
func (dir osFS) Remove(name string) error {
	info, err := os.Lstat(dir.path(name))
	if err == nil && info.IsDir() {
		return syscall.EISDIR
	}
	return errnoOf(os.Remove(dir.path(name)))
}

func (dir osFS) RemoveDir(name string) error {
	info, err := os.Lstat(dir.path(name))
	if err == nil && !info.IsDir() {
		return syscall.ENOTDIR
	}
	err = os.Remove(dir.path(name))
	if err == nil {
		return nil
	}
	if entries, listErr := os.ReadDir(dir.path(name)); listErr == nil && len(entries) > 0 {
		return syscall.ENOTEMPTY
	}
	return errnoOf(err)
}

func (dir osFS) Rename(oldName, newName string) error {
	return errnoOf(os.Rename(dir.path(oldName), dir.path(newName)))
}

func (dir osFS) ReadDir(name string) ([]Entry, error) {
	list, err := os.ReadDir(dir.path(name))
	if err != nil {
		return nil, errnoOf(err)
	}
	return entriesOf(list), nil
}

func entriesOf(list []fs.DirEntry) []Entry {
	entries := make([]Entry, len(list))
	for i, e := range list {
		entries[i] = Entry{Name: e.Name(), Kind: kindOf(e.Type())}
	}
	return entries
}

func (dir osFS) Stat(name string) (Info, error) {
	info, err := os.Lstat(dir.path(name))
	if err != nil {
		return Info{}, errnoOf(err)
	}
	return Info{Kind: kindOf(info.Mode().Type()), Size: info.Size()}, nil
}

func (dir osFS) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir.path(name))
	if err != nil {
		return errnoOf(err)
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	return errnoOf(err)
}

func (dir osFS) OpenDir(name string) (Directory, error) {
	f, err := os.Open(dir.path(name))
	if err != nil {
		return nil, errnoOf(err)
	}
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		f.Close()
		return nil, cmp.Or(errnoOf(err), error(syscall.ENOTDIR))
	}
	return osDir{f}, nil
}

// nextEntries is how many entries of a directory are read at once.
const nextEntries = 128

type osDir struct{ *os.File }

func (d osDir) Next() ([]Entry, error) {
	list, err := d.File.ReadDir(nextEntries)
	if err != nil && err != io.EOF {
		return nil, errnoOf(err)
	}
	return entriesOf(list), nil
}

func (d osDir) Sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return errnoOf(d.File.Sync())
}

func (d osDir) SyncBehind() (over bool, err error) { return true, d.Sync() }

func kindOf(mode fs.FileMode) Kind {
	switch {
	case mode.IsRegular():
		return Regular
	case mode.IsDir():
		return Dir
	}
	return Other
}

// errnoOf gives the errors that FS promises the same number on every platform.
func errnoOf(err error) error {
	if err == nil {
		return nil
	}
	var errno syscall.Errno
	switch {
	case errors.Is(err, syscall.ENOTEMPTY): // which package fs takes for an ErrExist
		return syscall.ENOTEMPTY
	case errors.Is(err, fs.ErrNotExist):
		return syscall.ENOENT
	case errors.Is(err, fs.ErrExist):
		return syscall.EEXIST
	case errors.As(err, &errno):
		return errno
	}
	return err
}

type osFile struct{ *os.File }

func (f osFile) Sync() error                        { return errnoOf(f.File.Sync()) }
func (f osFile) SyncBehind() (over bool, err error) { return true, f.Sync() }

func (f osFile) Truncate(size int64) error { return errnoOf(f.File.Truncate(size)) }

func (f osFile) WriteAt(b []byte, offset int64) (int, error) {
	n, err := f.File.WriteAt(b, offset)
	return n, errnoOf(err)
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, errnoOf(err)
	}
	return info.Size(), nil
}
