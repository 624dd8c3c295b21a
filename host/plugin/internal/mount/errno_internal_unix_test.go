//go:build unix

package mount

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
)

// The numbers are those of WASI, which the guest reads.
func TestErrnosOfUnix(t *testing.T) {
	for code, want := range map[syscall.Errno]sys.Errno{
		syscall.EBUSY: 10, syscall.EDQUOT: 19, syscall.EFBIG: 22, syscall.EILSEQ: 25, syscall.EMFILE: 33,
		syscall.EMLINK: 34, syscall.ENFILE: 41, syscall.ENODEV: 43, syscall.ENOMEM: 48, syscall.ENOSPC: 51,
		syscall.ENXIO: 60, syscall.EOVERFLOW: 61, syscall.ESPIPE: 70, syscall.ESTALE: 72,
		syscall.ETIMEDOUT: 73, syscall.ETXTBSY: 74, syscall.EXDEV: 75,
	} {
		require.Equal(t, Beyond+want, errnoOfCode(code), code.Error())
	}
	for _, code := range []syscall.Errno{
		syscall.EACCES, syscall.EAGAIN, syscall.EBADF, syscall.EEXIST, syscall.EFAULT, syscall.EINTR, syscall.EINVAL,
		syscall.EIO, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENOENT, syscall.ENOSYS,
		syscall.ENOTDIR, syscall.ERANGE, syscall.ENOTEMPTY, syscall.ENOTSUP, syscall.EPERM, syscall.EROFS,
	} {
		require.Equal(t, sys.UnwrapOSError(code), errnoOfCode(code), code.Error())
	}
}
