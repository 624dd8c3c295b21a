package mount

import (
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

const (
	openFile      = 0
	openDirectory = 0
)

// identify returns the identity of file f and how many names it has.
func identify(f *os.File, _ fs.FileInfo) (id fileID, links uint64, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return id, 0, err
	}
	var info syscall.ByHandleFileInformation
	if errControl := c.Control(func(fd uintptr) {
		err = syscall.GetFileInformationByHandle(syscall.Handle(fd), &info)
	}); errControl != nil {
		err = errControl
	}
	if err != nil {
		return id, 0, err
	}
	index := uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	return fileID{uint64(info.VolumeSerialNumber), index}, uint64(info.NumberOfLinks), nil
}

// identifyPath opens the file, since Windows reports the number of open files
// only.
func identifyPath(root *os.Root, path string, _ wasys.Stat_t) (id fileID, known bool) {
	f, err := root.Open(path)
	if err != nil {
		return id, false
	}
	defer f.Close()
	id, _, err = identify(f, nil)
	return id, err == nil
}

// foldsTo reports whether two paths are the same to the system.
func foldsTo(a, b string) bool { return strings.EqualFold(a, b) }

func datasync(f *os.File) error { return f.Sync() }

// syncDirectory has nothing to do: Windows cannot flush a directory, and NTFS
// writes names to its journal in their order.
func syncDirectory(f *os.File) error {
	_, err := f.Stat()
	return err
}

// futimens leaves it to the path, which wazero then tries.
func futimens(*os.File, int64, int64) error { return sys.ENOSYS }
