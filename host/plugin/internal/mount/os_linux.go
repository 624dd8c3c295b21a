package mount

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// utimeOmit is UTIME_OMIT of Linux, used instead of nanoseconds.
const utimeOmit = 1<<30 - 2

func datasync(f *os.File) error {
	return control(f, func(fd uintptr) error {
		for {
			if err := syscall.Fdatasync(int(fd)); err != syscall.EINTR {
				return err
			}
		}
	})
}

func futimens(f *os.File, atim, mtim int64) error {
	var times [2]syscall.Timespec
	for i, nanos := range [2]int64{atim, mtim} {
		if nanos == sys.UTIME_OMIT {
			times[i].Nsec = utimeOmit
		} else {
			times[i] = syscall.NsecToTimespec(nanos)
		}
	}
	return control(f, func(fd uintptr) error {
		// utimensat without a path means the descriptor itself.
		_, _, code := syscall.Syscall6(syscall.SYS_UTIMENSAT, fd, 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
		if code != 0 {
			return code
		}
		return nil
	})
}

// control keeps the descriptor open while it is in use.
func control(f *os.File, use func(fd uintptr) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := c.Control(func(fd uintptr) { result = use(fd) }); err != nil {
		return err
	}
	return result
}
