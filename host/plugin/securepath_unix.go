//go:build unix

package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a path may contain.
const maxLinks = 40

// privateDir returns a path without links to a directory. The path leads to the same
// directory whatever others do: only trusted users may change a name on it. Missing
// directories are made. So one check is enough, although wazero opens the path again
// and again.
//
// A link is followed if it belongs to a trusted user: nobody else can change it then,
// since nobody else may write to the directory that holds it.
func privateDir(dir string) (string, error) {
	at, rest, links := "/", strings.Split(filepath.Clean(dir), "/"), 0
	if err := checkAbove(at, dir); err != nil {
		return "", err
	}
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at) // correct, since it has no links
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.Mkdir(next, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
				info, err = os.Lstat(next)
			}
		}
		switch {
		case err != nil:
			return "", err
		case info.Mode().Type() == fs.ModeSymlink:
			target, err := followed(next, info)
			if err != nil {
				return "", err
			}
			if links++; links > maxLinks {
				return "", fmt.Errorf("%s leads over more than %d symbolic links", dir, maxLinks)
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case !info.IsDir():
			return "", fmt.Errorf("%s is a file: must be a directory", next)
		}
		if at = next; len(rest) > 0 {
			if err := checkAbove(at, dir); err != nil {
				return "", err
			}
		}
	}
	info, err := os.Lstat(at)
	if err != nil {
		return "", err
	}
	return at, checkPrivate(at, info)
}

// followed returns the target of a link.
func followed(path string, info fs.FileInfo) (string, error) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !trusted(int(st.Uid)) {
		return "", fmt.Errorf("%s is a symbolic link of user %d, who can point it elsewhere at any time: remove it, or name another directory",
			path, st.Uid)
	}
	return os.Readlink(path)
}

// checkAbove returns an error if somebody who is not trusted could replace a name in
// path, a directory above dir: the owner of path, and those who may write to it unless
// it is sticky, like /tmp.
func checkAbove(path, dir string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !trusted(int(st.Uid)) {
		return fmt.Errorf("%s, above %s, belongs to user %d, who could put another directory in its place: name one elsewhere", path, dir, st.Uid)
	}
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0 {
		return fmt.Errorf("%s, above %s, has the permissions %#o, and others who may write to it could put another directory in its place: chmod go-w it, or name one elsewhere",
			path, dir, mode.Perm())
	}
	return nil
}
