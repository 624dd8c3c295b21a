package serving

import (
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// userOf returns the user whose process connected to a socket, as the kernel saw it then.
func userOf(c *net.UnixConn) (user string) {
	raw, err := c.SyscallConn()
	if err != nil {
		return ""
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			user = "uid " + strconv.FormatUint(uint64(cred.Uid), 10)
		}
	})
	return user
}
