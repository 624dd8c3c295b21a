//go:build unix

package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// checkPrivate returns an error if a file or directory belongs to a user who is not
// trusted, or if others may write to it.
func checkPrivate(name string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !trusted(int(st.Uid)) {
		return fmt.Errorf("%s belongs to user %d: must belong to the user of this process, %d, to root, or to the owner of the program",
			name, st.Uid, os.Geteuid())
	}
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode.Type() != fs.ModeSymlink {
		return fmt.Errorf("%s has the permissions %#o: must not be writable by others; chmod 700 it, or go-w", name, mode.Perm())
	}
	return nil
}

// trusted reports whether a user's code may run. It may if the user could change this
// program anyway.
func trusted(uid int) bool {
	return uid == os.Geteuid() || uid == 0 || uid == programOwner()
}

// programOwner returns the owner of the program's file, root if that is not known.
var programOwner = sync.OnceValue(func() int {
	name, err := os.Executable()
	if err != nil {
		return 0
	}
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return 0
})

func ownedByProcess(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Geteuid()
}

func isReadOnlyDisk(err error) bool { return errors.Is(err, syscall.EROFS) }
