package mount

import (
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// Numbers of winerror.h that package syscall does not name.
const (
	errorTooManyOpenFiles   syscall.Errno = 4
	errorInvalidHandle      syscall.Errno = 6
	errorNotEnoughMemory    syscall.Errno = 8
	errorOutOfMemory        syscall.Errno = 14
	errorNotSameDevice      syscall.Errno = 17
	errorWriteProtect       syscall.Errno = 19
	errorSharingViolation   syscall.Errno = 32
	errorLockViolation      syscall.Errno = 33
	errorHandleDiskFull     syscall.Errno = 39
	errorNotSupported       syscall.Errno = 50
	errorInvalidParameter   syscall.Errno = 87
	errorDiskFull           syscall.Errno = 112
	errorInvalidName        syscall.Errno = 123
	errorNegativeSeek       syscall.Errno = 131
	errorBusy               syscall.Errno = 170
	errorFilenameExcedRange syscall.Errno = 206
	errorFileTooLarge       syscall.Errno = 223
	errorDirectory          syscall.Errno = 267
	errorDeletePending      syscall.Errno = 303
	errorDiskQuotaExceeded  syscall.Errno = 1295
	errorCantAccessFile     syscall.Errno = 1920
	errorCantResolveName    syscall.Errno = 1921
)

var errnos = map[syscall.Errno]sys.Errno{
	syscall.ERROR_FILE_NOT_FOUND:     sys.ENOENT,
	syscall.ERROR_PATH_NOT_FOUND:     sys.ENOENT,
	syscall.ERROR_ACCESS_DENIED:      sys.EACCES,
	syscall.ERROR_ALREADY_EXISTS:     sys.EEXIST,
	syscall.ERROR_FILE_EXISTS:        sys.EEXIST,
	syscall.ERROR_DIR_NOT_EMPTY:      sys.ENOTEMPTY,
	syscall.ERROR_PRIVILEGE_NOT_HELD: sys.EPERM,
	syscall.ERROR_HANDLE_EOF:         0,
	errorTooManyOpenFiles:            EMFILE,
	errorInvalidHandle:               sys.EBADF,
	errorNotEnoughMemory:             ENOMEM,
	errorOutOfMemory:                 ENOMEM,
	errorNotSameDevice:               EXDEV,
	errorWriteProtect:                sys.EROFS,
	errorSharingViolation:            EBUSY,
	errorLockViolation:               EBUSY,
	errorHandleDiskFull:              ENOSPC,
	errorNotSupported:                sys.ENOTSUP,
	errorInvalidParameter:            sys.EINVAL,
	errorDiskFull:                    ENOSPC,
	errorInvalidName:                 sys.EINVAL,
	errorNegativeSeek:                sys.EINVAL,
	errorBusy:                        EBUSY,
	errorFilenameExcedRange:          sys.ENAMETOOLONG,
	errorFileTooLarge:                EFBIG,
	errorDirectory:                   sys.ENOTDIR,
	errorDeletePending:               sys.ENOENT,
	errorDiskQuotaExceeded:           EDQUOT,
	errorCantAccessFile:              sys.EACCES,
	errorCantResolveName:             sys.ELOOP,

	// Package os invents these.
	syscall.EISDIR:       sys.EISDIR,
	syscall.ELOOP:        sys.ELOOP,
	syscall.EEXIST:       sys.EEXIST,
	syscall.EINVAL:       sys.EINVAL,
	syscall.EBADF:        sys.EBADF,
	syscall.EPERM:        sys.EPERM,
	syscall.EACCES:       sys.EACCES,
	syscall.ENAMETOOLONG: sys.ENAMETOOLONG,
	syscall.ENOTEMPTY:    sys.ENOTEMPTY,
	syscall.ENOTSUP:      sys.ENOTSUP,
	syscall.ENOSYS:       sys.ENOSYS,
}

func errnoOfCode(code syscall.Errno) sys.Errno {
	if errno, ok := errnos[code]; ok {
		return errno
	}
	if code == 0 {
		return 0
	}
	return sys.EIO
}
