package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
)

func TestErrnoOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want sys.Errno
	}{
		{nil, 0},
		{io.EOF, 0},
		{sys.ELOOP, sys.ELOOP},
		{os.ErrClosed, sys.EBADF},
		{fs.ErrNotExist, sys.ENOENT},
		{fs.ErrExist, sys.EEXIST},
		{fs.ErrPermission, sys.EPERM},
		{fs.ErrInvalid, sys.EINVAL},
		{errors.ErrUnsupported, sys.ENOTSUP},
		{errors.New("something else"), sys.EIO},
		{&fs.PathError{Op: "open", Path: "f", Err: syscall.ENOSPC}, errnoOfCode(syscall.ENOSPC)},
		{fmt.Errorf("wrapped: %w", &os.LinkError{Op: "rename", Err: syscall.EEXIST}), sys.EEXIST},
		{os.NewSyscallError("fsync", syscall.EINVAL), sys.EINVAL},
		{syscall.Errno(0), 0},
		{syscall.Errno(9999), sys.EIO},
	} {
		require.Equal(t, tc.want, errnoOf(tc.err), "%v", tc.err)
	}
	require.Equal(t, sys.EIO, plain(ENOSPC))
	require.Equal(t, sys.ELOOP, plain(sys.ELOOP))
}
