package dirlock

import (
	"os"
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

// lock takes the lock of f, or reports that somebody holds it. Locked bytes
// cannot be read by others, so it is one far behind the text.
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

// alive reports whether a process of this machine may still be there.
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

// noLocks tells a file system that cannot lock from one that did not.
func noLocks(err error) bool { return err == errorInvalidFunction || err == errorNotSupported }
