package mount

import (
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// top is the mounted directory for openat2, which looks up a whole path at
// once.
type top struct {
	f       *os.File
	conn    syscall.RawConn
	missing atomic.Bool // an old kernel, or a filter of system calls
}

func (t *top) open(root *os.Root) (err error) {
	if t.f, err = root.Open("."); err != nil {
		return err
	}
	t.conn, err = t.f.SyscallConn()
	return err
}

func (t *top) close() { t.f.Close() }

// openHow is struct open_how of linux/openat2.h.
type openHow struct{ flags, mode, resolve uint64 }

const (
	sysOpenat2 = 437 // on all architectures
	openPath   = 0x200000

	resolveNoMagicLinks = 0x02
	resolveNoSymlinks   = 0x04
	resolveBeneath      = 0x08
)

// openat2 opens a path beneath the mounted directory.
func (t *top) openat2(path string, how openHow) (fd int, err error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	if errControl := t.conn.Control(func(at uintptr) {
		opened, _, code := syscall.Syscall6(sysOpenat2, at, uintptr(unsafe.Pointer(p)),
			uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		fd = int(opened)
		if code != 0 {
			err = code
		}
	}); errControl != nil {
		return -1, os.ErrClosed
	}
	return fd, err
}

// lookAtOnce is look with a number of system calls that does not grow with the
// path.
func (m *FS) lookAtOnce(path string) (st wasys.Stat_t, errno sys.Errno, ok bool) {
	if m.top.missing.Load() {
		return st, 0, false
	}
	var found syscall.Stat_t
	at, err := m.top.openat2(path, openHow{
		flags:   openPath | syscall.O_NOFOLLOW | syscall.O_CLOEXEC,
		resolve: resolveBeneath | resolveNoSymlinks | resolveNoMagicLinks,
	})
	if err == nil {
		err = syscall.Fstat(at, &found)
		syscall.Close(at)
	}
	switch err {
	case nil:
		return statOfLinux(&found), 0, true
	case syscall.ENOSYS, syscall.EPERM:
		m.top.missing.Store(true)
		return st, 0, false
	case syscall.EAGAIN, syscall.EINTR, syscall.EINVAL, syscall.E2BIG:
		return st, 0, false
	}
	return st, m.errno(err), true
}

var typesOfLinux = map[uint32]fs.FileMode{
	syscall.S_IFDIR:  fs.ModeDir,
	syscall.S_IFLNK:  fs.ModeSymlink,
	syscall.S_IFIFO:  fs.ModeNamedPipe,
	syscall.S_IFSOCK: fs.ModeSocket,
	syscall.S_IFBLK:  fs.ModeDevice,
	syscall.S_IFCHR:  fs.ModeDevice | fs.ModeCharDevice,
}

func statOfLinux(st *syscall.Stat_t) wasys.Stat_t {
	mode := fs.FileMode(st.Mode & 0o777)
	if kind := st.Mode & syscall.S_IFMT; kind != syscall.S_IFREG {
		mode |= typesOfLinux[kind]
	}
	return wasys.Stat_t{
		Dev:   st.Dev,
		Ino:   st.Ino,
		Mode:  mode,
		Nlink: uint64(st.Nlink), // of another size on other architectures
		Size:  st.Size,
		Atim:  st.Atim.Nano(),
		Mtim:  st.Mtim.Nano(),
		Ctim:  st.Ctim.Nano(),
	}
}
