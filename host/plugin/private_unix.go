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

// checkPrivate returns an error for a file or directory that belongs to somebody
// who need not be trusted, or that others may write to.
func checkPrivate(name string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && !trusted(int(st.Uid)) {
		return fmt.Errorf("%s belongs to user %d, and should belong to the user of this process, %d, to root, or to whoever the program belongs to",
			name, st.Uid, os.Geteuid())
	}
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode.Type() != fs.ModeSymlink {
		return fmt.Errorf("%s has the permissions %#o, and should not be writable by others: chmod 700 it, or go-w", name, mode.Perm())
	}
	return nil
}

// trusted says whose code may be run: of those who could as well change this
// program.
func trusted(uid int) bool {
	return uid == os.Geteuid() || uid == 0 || uid == programOwner()
}

// programOwner is who the file of the program belongs to, root if that cannot be
// told.
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
