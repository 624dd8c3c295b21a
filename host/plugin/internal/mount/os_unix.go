//go:build unix

package mount

import (
	"io/fs"
	"os"
	"syscall"

	wasys "github.com/tetratelabs/wazero/sys"
)

// Flags that keep an open from waiting for, or taking over, what is not a file.
const (
	openFile      = syscall.O_NONBLOCK | syscall.O_NOCTTY
	openDirectory = openFile | syscall.O_DIRECTORY
)

// identify returns which file f is and how many names it has.
func identify(_ *os.File, info fs.FileInfo) (id fileID, links uint64, err error) {
	st := wasys.NewStat_t(info)
	return fileID{st.Dev, st.Ino}, st.Nlink, nil
}

// identifyPath returns which file info is of.
func identifyPath(_ *os.Root, _ string, info fs.FileInfo) (id fileID, known bool) {
	st := wasys.NewStat_t(info)
	return fileID{st.Dev, st.Ino}, true
}

func syncDirectory(f *os.File) error { return f.Sync() }
