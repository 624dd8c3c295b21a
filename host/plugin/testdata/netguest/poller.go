package main

import (
	"net"
	"os"
	"syscall"
)

// connect returns a connection whose descriptor Go's own poller waits for.
func connect(address string) (net.Conn, error) {
	c, err := begin(address)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(c), "")
	defer file.Close() // the connection has a reference of its own
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	// What makes the connection ready to be written to makes it ready.
	err = raw.Write(func(fd uintptr) bool {
		n := hostWait(int32(fd), 2, 0)
		if n == -6 {
			return false
		}
		if n < 0 {
			err = failed("connect", int32(fd), n)
		}
		return true
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
