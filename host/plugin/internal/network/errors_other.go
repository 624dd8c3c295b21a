//go:build !windows

package network

import (
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
)

// systemErrors is what errors of the system mean.
var systemErrors = []struct {
	errno int32
	words string
	of    []syscall.Errno
}{
	{abi.ErrnoRefused, "connection refused", []syscall.Errno{syscall.ECONNREFUSED}},
	{abi.ErrnoReset, "the other side cut the connection", []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED}},
	{abi.ErrnoPipe, "the other side closed the connection", []syscall.Errno{syscall.EPIPE}},
	{abi.ErrnoUnreachable, "no answer in time", []syscall.Errno{syscall.ETIMEDOUT}},
	{abi.ErrnoUnreachable, "no route to it", []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL}},
	{abi.ErrnoUnreachable, "no such socket", []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.ENOTSOCK}},
	{abi.ErrnoUnreachable, "the host may not use it", []syscall.Errno{syscall.EACCES, syscall.EPERM}},
	{abi.ErrnoTooMany, "the host has too many files open", []syscall.Errno{syscall.EMFILE, syscall.ENFILE}},
}
