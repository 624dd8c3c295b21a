//go:build unix

package tenant

import "syscall"

// nonBlocking keeps the opening of a pipe from waiting for somebody who writes into it.
const nonBlocking = syscall.O_NONBLOCK
