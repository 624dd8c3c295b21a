package mount

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openAt opens what is at a path and says what it is. Package os would open each
// directory on the way there, and ask about the file more than once.
//
// The kernel ends beneath the mounted directory as surely as os.Root does, and
// takes no symbolic link anywhere on the way.
func (m *FS) openAt(path string, flags int) (opened, error) {
	if m.top.missing.Load() {
		return m.openStepwise(path, flags)
	}
	fd, err := m.top.openat2(path, openHow{
		flags:   uint64(flags | syscall.O_LARGEFILE | syscall.O_NOFOLLOW | syscall.O_CLOEXEC),
		resolve: resolveBeneath | resolveNoSymlinks | resolveNoMagicLinks,
	})
	switch err {
	case nil:
	case syscall.ENOSYS, syscall.EPERM, syscall.EAGAIN, syscall.EINTR, syscall.EINVAL, syscall.E2BIG:
		return m.openStepwise(path, flags)
	default:
		return opened{}, err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		syscall.Close(fd)
		return opened{}, err
	}
	// A file never makes anybody wait. Left as it is, the flag would make package os
	// ask whether it can be told when it is ready.
	if kind := st.Mode & syscall.S_IFMT; kind == syscall.S_IFREG || kind == syscall.S_IFDIR {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^syscall.O_NONBLOCK)
	}
	o := opened{f: os.NewFile(uintptr(fd), path), st: statOfLinux(&st)}
	o.id, o.links = fileID{o.st.Dev, o.st.Ino}, o.st.Nlink
	return o, nil
}

// seemsRegular reports whether there is a regular file at a path, so that opening it
// has no effect on anything. The answer may come from outside, by way of a symbolic
// link, and so must not reach a guest: openAt would not go there.
func (m *FS) seemsRegular(path string) (regular bool) {
	if m.top.missing.Load() {
		return false
	}
	var st unix.Stat_t
	_ = m.top.conn.Control(func(at uintptr) {
		regular = unix.Fstatat(int(at), path, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) == nil &&
			st.Mode&unix.S_IFMT == unix.S_IFREG
	})
	return regular
}
