//go:build unix

package mount

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// errnos has no entry for EIO and its equivalents.
var errnos = map[syscall.Errno]sys.Errno{
	syscall.EACCES:       sys.EACCES,
	syscall.EAGAIN:       sys.EAGAIN,
	syscall.EBADF:        sys.EBADF,
	syscall.EBUSY:        EBUSY,
	syscall.EDQUOT:       EDQUOT,
	syscall.EEXIST:       sys.EEXIST,
	syscall.EFAULT:       sys.EFAULT,
	syscall.EFBIG:        EFBIG,
	syscall.EILSEQ:       EILSEQ,
	syscall.EINTR:        sys.EINTR,
	syscall.EINVAL:       sys.EINVAL,
	syscall.EISDIR:       sys.EISDIR,
	syscall.ELOOP:        sys.ELOOP,
	syscall.EMFILE:       EMFILE,
	syscall.EMLINK:       EMLINK,
	syscall.ENAMETOOLONG: sys.ENAMETOOLONG,
	syscall.ENFILE:       ENFILE,
	syscall.ENODEV:       ENODEV,
	syscall.ENOENT:       sys.ENOENT,
	syscall.ENOMEM:       ENOMEM,
	syscall.ENOSPC:       ENOSPC,
	syscall.ENOSYS:       sys.ENOSYS,
	syscall.ENOTDIR:      sys.ENOTDIR,
	syscall.ENOTEMPTY:    sys.ENOTEMPTY,
	syscall.ENOTSUP:      sys.ENOTSUP,
	syscall.ENXIO:        ENXIO,
	syscall.EOVERFLOW:    EOVERFLOW,
	syscall.EPERM:        sys.EPERM,
	syscall.ERANGE:       sys.ERANGE,
	syscall.EROFS:        sys.EROFS,
	syscall.ESPIPE:       ESPIPE,
	syscall.ESTALE:       ESTALE,
	syscall.ETIMEDOUT:    ETIMEDOUT,
	syscall.ETXTBSY:      ETXTBSY,
	syscall.EXDEV:        EXDEV,
}

func errnoOfCode(code syscall.Errno) sys.Errno {
	if errno, ok := errnos[code]; ok {
		return errno
	}
	if code == 0 {
		return 0
	}
	if code == syscall.EOPNOTSUPP { // differs from ENOTSUP on some systems
		return sys.ENOTSUP
	}
	return sys.EIO
}
