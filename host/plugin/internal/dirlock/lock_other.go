//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package dirlock

import (
	"errors"
	"os"
)

const openFlags = 0

func lock(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }

func alive(int) bool { return true }

func noLocks(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
