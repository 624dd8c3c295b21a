//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package dirlock

import (
	"errors"
	"os"
)

const openFlags = 0

func pin(*os.Root) (f *os.File, held bool) { return nil, false }

func (l *Lock) pinFile() bool { return true }

func lock(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }

func alive(int) bool { return true }

func noLocks(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
