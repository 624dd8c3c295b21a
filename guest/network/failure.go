//go:build wasip1

package network

import "syscall"

// failure is what went wrong with a connection: WASI's error number and the host's
// words.
type failure struct {
	errno syscall.Errno
	words string
}

func (f *failure) Error() string {
	if f.words == "" {
		return f.errno.Error()
	}
	return f.words
}

func (f *failure) Unwrap() error   { return f.errno }
func (f *failure) Timeout() bool   { return f.errno.Timeout() }
func (f *failure) Temporary() bool { return f.errno.Temporary() }

// failed makes an error from what an import returned for a connection, which is less than 0.
func failed(conn, result int32) error {
	if result == again {
		return errDeadline
	}
	return &failure{syscall.Errno(-result), words(conn)}
}

// refused makes an error from what dial returned instead of a connection.
func refused(result int32) error { return &failure{syscall.Errno(-result), words(-1)} }
