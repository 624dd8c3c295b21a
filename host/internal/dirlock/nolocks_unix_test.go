//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dirlock

import "syscall"

// WithoutLocks are the errors of file systems that have no locks.
var WithoutLocks = []error{syscall.ENOLCK, syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP}
