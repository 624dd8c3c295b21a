package dirlock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

const openFlags = 0

var lockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	lockFailImmediately = 1
	lockExclusive       = 2

	errorInvalidFunction syscall.Errno = 1
	errorLockViolation   syscall.Errno = 33
	errorNotSupported    syscall.Errno = 50
)

// pin has nothing to do: directories have no locks.
func pin(*os.Root) (f *os.File, held bool) { return nil, false }

// pinFile opens the locked file once more, in a way that lets nobody remove or
// rename it, and reports whether it is still in the directory. Package os shares
// files that it opens by path for reading and writing, and those that it opens
// within a root also for removing.
func (l *Lock) pinFile() bool {
	pinned, err := os.Open(filepath.Join(l.dir, FileName))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	there, err1 := pinned.Stat()
	here, err2 := l.f.Stat()
	if err1 != nil || err2 != nil || !os.SameFile(there, here) {
		pinned.Close()
		return false
	}
	l.pinned = pinned
	return true
}

// lock locks f, or returns held if somebody else has. Others cannot read locked
// bytes, so the locked byte is far behind the text.
func lock(f *os.File) (held bool, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	at := syscall.Overlapped{OffsetHigh: 1 << 30}
	if errControl := c.Control(func(fd uintptr) {
		ok, _, code := lockFileEx.Call(fd, lockExclusive|lockFailImmediately, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
		if ok == 0 {
			err = code
		}
	}); errControl != nil {
		return false, errControl
	}
	if err == errorLockViolation || err == syscall.ERROR_IO_PENDING {
		return true, nil
	}
	return false, err
}

// alive reports whether a process of this machine may still exist.
func alive(pid int) bool {
	const queryLimitedInformation = 0x1000
	h, err := syscall.OpenProcess(queryLimitedInformation, false, uint32(pid))
	if err != nil {
		return err == syscall.ERROR_ACCESS_DENIED
	}
	defer syscall.CloseHandle(h)
	const stillActive = 259
	var code uint32
	return syscall.GetExitCodeProcess(h, &code) != nil || code == stillActive
}

// noLocks distinguishes a file system that cannot lock from one that failed to.
func noLocks(err error) bool { return err == errorInvalidFunction || err == errorNotSupported }
