package network

import (
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
	"golang.org/x/sys/windows"
)

// systemErrors is what errors of the system mean.
var systemErrors = []struct {
	errno int32
	words string
	of    []syscall.Errno
}{
	{abi.ErrnoRefused, "connection refused", []syscall.Errno{windows.WSAECONNREFUSED}},
	{abi.ErrnoReset, "the other side cut the connection", []syscall.Errno{windows.WSAECONNRESET, windows.WSAECONNABORTED, windows.ERROR_NETNAME_DELETED}},
	{abi.ErrnoPipe, "the other side closed the connection", []syscall.Errno{windows.WSAESHUTDOWN, windows.WSAENOTCONN}},
	{abi.ErrnoUnreachable, "no answer in time", []syscall.Errno{windows.WSAETIMEDOUT, windows.ERROR_SEM_TIMEOUT}},
	{abi.ErrnoUnreachable, "no route to it", []syscall.Errno{windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAENETDOWN, windows.WSAEADDRNOTAVAIL}},
	{abi.ErrnoUnreachable, "no such socket", []syscall.Errno{windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND}},
	{abi.ErrnoUnreachable, "the host may not use it", []syscall.Errno{windows.WSAEACCES, windows.ERROR_ACCESS_DENIED}},
	{abi.ErrnoTooMany, "the host has too many files open", []syscall.Errno{windows.WSAEMFILE, windows.ERROR_TOO_MANY_OPEN_FILES}},
}
