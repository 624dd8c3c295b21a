//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dirlock

import "syscall"

// WithoutLocks are what file systems say that have no locks.
var WithoutLocks = []error{syscall.ENOLCK, syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP}
