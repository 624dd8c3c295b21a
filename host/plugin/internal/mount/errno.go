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
// into EIO on their way to a guest; package wasi makes sure that they arrive.
const (
	EBUSY     = Beyond + 10
	EDQUOT    = Beyond + 19
	EFBIG     = Beyond + 22
	EILSEQ    = Beyond + 25
	EMFILE    = Beyond + 33
	EMLINK    = Beyond + 34
	ENFILE    = Beyond + 41
	ENODEV    = Beyond + 43
	ENOMEM    = Beyond + 48
	ENOSPC    = Beyond + 51
	ENXIO     = Beyond + 60
	EOVERFLOW = Beyond + 61
	ESPIPE    = Beyond + 70
	ESTALE    = Beyond + 72
	ETIMEDOUT = Beyond + 73
	ETXTBSY   = Beyond + 74
	EXDEV     = Beyond + 75
)

// Beyond is added to the number that WASI gives to an error.
const Beyond sys.Errno = 1 << 8

// plain is an error that wazero knows, for places where no other may come out.
func plain(errno sys.Errno) sys.Errno {
	if errno >= Beyond {
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
