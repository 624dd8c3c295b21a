//go:build unix

package network

import (
	"errors"
	"net"
	"syscall"
)

// peek looks at what has arrived without taking it.
func peek(conn net.Conn) (found int) {
	found = ended
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return ended
	}
	_ = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0:
			found = arrived
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			found = quiet
		}
	})
	return found
}
