package mount

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// Errors of WASI for which wazero's Errno has no number. It would turn them
// into EIO on their way to a guest; [ExportFunctions] makes sure that they
// arrive.
const (
	EBUSY     = beyond + 10
	EDQUOT    = beyond + 19
	EFBIG     = beyond + 22
	EILSEQ    = beyond + 25
	EMFILE    = beyond + 33
	EMLINK    = beyond + 34
	ENFILE    = beyond + 41
	ENODEV    = beyond + 43
	ENOMEM    = beyond + 48
	ENOSPC    = beyond + 51
	ENXIO     = beyond + 60
	EOVERFLOW = beyond + 61
	ESPIPE    = beyond + 70
	ESTALE    = beyond + 72
	ETIMEDOUT = beyond + 73
	ETXTBSY   = beyond + 74
	EXDEV     = beyond + 75
)

// beyond is added to the number that WASI gives to an error.
const beyond sys.Errno = 1 << 8

// plain is an error that wazero knows, for places where no other may come out.
func plain(errno sys.Errno) sys.Errno {
	if errno >= beyond {
		return sys.EIO
	}
	return errno
}

// errnoOf is the WASI error for an error of package os or syscall, or EIO if
// there is none.
func errnoOf(err error) sys.Errno {
	var code syscall.Errno
	var errno sys.Errno
	switch {
	case err == nil, err == io.EOF:
		return 0
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &code):
		return errnoOfCode(code)
	case errors.Is(err, os.ErrClosed):
		return sys.EBADF
	case errors.Is(err, fs.ErrNotExist):
		return sys.ENOENT
	case errors.Is(err, fs.ErrExist):
		return sys.EEXIST
	case errors.Is(err, fs.ErrPermission):
		return sys.EPERM
	case errors.Is(err, fs.ErrInvalid):
		return sys.EINVAL
	case errors.Is(err, errors.ErrUnsupported):
		return sys.ENOTSUP
	}
	return sys.EIO
}
