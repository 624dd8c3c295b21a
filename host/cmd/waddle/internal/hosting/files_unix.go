//go:build unix

package hosting

import (
	"os"
	"syscall"
)

// nonblock opens a pipe, should a file have become one, without waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// syncDirectory makes a renamed file durable.
func syncDirectory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func othersMayRead(mode os.FileMode) bool { return mode.Perm()&0o077 != 0 }
