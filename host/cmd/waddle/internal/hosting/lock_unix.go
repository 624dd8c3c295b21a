//go:build unix && !solaris && !aix

package hosting

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock keeps other processes from serving a directory. The lock ends with the process,
// however that ends. It is on the directory itself, so nothing is written. A file system
// that has no locks has none here either.
func Lock(path string) (unlock func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s: end it first, or give this one a directory of its own", ErrInUse, path)
	}
	return func() { _ = f.Close() }, nil
}
