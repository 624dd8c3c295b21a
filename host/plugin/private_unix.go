//go:build unix

package plugin

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate returns an error for a directory that somebody else owns or may
// write to.
func checkPrivate(dir string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, and should belong to the user of this process, %d", dir, st.Uid, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s has the permissions %#o, and should not be writable by others: chmod 700 it", dir, mode)
	}
	return nil
}
