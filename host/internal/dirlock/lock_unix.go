//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dirlock

import (
	"errors"
	"os"
	"syscall"
)

// openFlags keep an open from waiting for the other end of a pipe.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// pin locks the directory, or returns held if somebody else has. It returns nil
// where directories cannot be locked.
func pin(root *os.Root) (f *os.File, held bool) {
	f, err := root.Open(".")
	if err != nil {
		return nil, false
	}
	if held, err = lock(f); held || err != nil {
		f.Close()
		return nil, held
	}
	return f, false
}

// pinFile has nothing to do: the directory is locked.
func (l *Lock) pinFile() bool { return true }

// lock locks f, or returns held if somebody else has.
func lock(f *os.File) (held bool, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return false, err
	}
	if errControl := c.Control(func(fd uintptr) {
		for {
			if err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EINTR {
				return
			}
		}
	}); errControl != nil {
		return false, errControl
	}
	if err == syscall.EWOULDBLOCK {
		return true, nil
	}
	return false, err
}

// alive reports whether a process of this machine may still exist.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// noLocks distinguishes a file system that cannot lock from one that failed to. NFS
// without a lock manager returns ENOLCK, FUSE and others one of the rest.
func noLocks(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENOLCK, syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
