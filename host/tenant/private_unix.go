//go:build unix

package tenant

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// onlyOwnerReads returns an error if somebody else than the user of the process, or root,
// may read a file or change it.
func onlyOwnerReads(info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() && st.Uid != 0 {
		return fmt.Errorf("it belongs to user %d: must belong to the user of this process, %d, or to root", st.Uid, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("it has the permissions %#o: nobody but its owner may read it; chmod 600 it, and make new secrets if others were on this machine", mode)
	}
	return nil
}
