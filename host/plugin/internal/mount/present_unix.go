//go:build unix

package mount

import (
	"os"
	"path/filepath"
	"syscall"
)

// place is a directory's name and identity.
type place struct {
	name string // absolute: the process may change its directory
	is   syscall.Stat_t
}

func placeOf(root *os.Root, dir string) (p place, err error) {
	if p.name, err = filepath.Abs(dir); err != nil {
		return p, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return p, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		p.is = *st
	}
	return p, nil
}

// same reports whether the name still leads to the directory.
func (p *place) same() bool {
	var found syscall.Stat_t
	switch err := syscall.Stat(p.name, &found); err {
	case nil:
		return found.Dev == p.is.Dev && found.Ino == p.is.Ino
	case syscall.ENOENT, syscall.ENOTDIR:
		return false
	}
	return true // the write itself will report what is wrong
}
