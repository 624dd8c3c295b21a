//go:build unix

package mount

import (
	"io/fs"
	"os"
	"syscall"

	wasys "github.com/tetratelabs/wazero/sys"
)

// Flags that keep an open from waiting for, or taking over, something that is
// not a file.
const (
	openFile      = syscall.O_NONBLOCK | syscall.O_NOCTTY
	openDirectory = openFile | syscall.O_DIRECTORY
)

// identify returns the identity of file f and how many names it has.
func identify(_ *os.File, info fs.FileInfo) (id fileID, links uint64, err error) {
	st := wasys.NewStat_t(info)
	return fileID{st.Dev, st.Ino}, st.Nlink, nil
}

// identifyPath returns the identity of the file that st describes.
func identifyPath(_ *os.Root, _ string, st wasys.Stat_t) (id fileID, known bool) {
	return fileID{st.Dev, st.Ino}, true
}

// foldsTo reports whether two paths are the same to the system. It is called
// only where files have no numbers.
func foldsTo(a, b string) bool { return a == b }

func syncDirectory(f *os.File) error { return f.Sync() }
