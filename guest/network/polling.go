//go:build wasip1

package network

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// polling is a connection that Go's poller waits for: to the runtime it is a descriptor of
// WASI.
type polling struct {
	net.Conn
	raw    syscall.RawConn
	conn   int32
	closed bool
}

func poll(conn int32) (*polling, error) {
	file := os.NewFile(uintptr(conn), "connection")
	c, err := net.FileConn(file)
	_ = file.Close() // c has the descriptor as well, and keeps it open
	if err != nil {
		return nil, err
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return &polling{Conn: c, raw: raw, conn: conn}, nil
}

func (c *polling) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.told(err)
}

func (c *polling) Write(p []byte) (int, error) {
	if len(p) == 0 { // of which the host would say that it is not a use
		return 0, nil
	}
	n, err := c.Conn.Write(p)
	return n, c.told(err)
}

func (c *polling) Close() error {
	err := c.told(c.Conn.Close())
	c.closed = true
	return err
}

func (c *polling) SetDeadline(t time.Time) error { return c.told(c.Conn.SetDeadline(t)) }

func (c *polling) SetReadDeadline(t time.Time) error { return c.told(c.Conn.SetReadDeadline(t)) }

func (c *polling) SetWriteDeadline(t time.Time) error { return c.told(c.Conn.SetWriteDeadline(t)) }

// told makes of an error of the runtime, to which the connection is a file, what it would
// be of a connection, with the host's words.
func (c *polling) told(err error) error {
	var errno syscall.Errno
	switch {
	case err == nil, err == io.EOF:
		return err
	case c.closed:
		return net.ErrClosed
	case errors.As(err, &errno):
		return &failure{errno, words(c.conn)}
	}
	return err
}

// ready parks until the connection, or its TLS, is made.
func (c *polling) ready() error {
	result := int32(0)
	err := c.raw.Write(func(uintptr) bool {
		result = importWait(c.conn, abi.WaitWrite, 0)
		return result != again
	})
	switch {
	case err != nil:
		return c.told(err)
	case result < 0:
		return failed(c.conn, result)
	}
	return nil
}

func (c *polling) startTLS(serverName string) error {
	result := int32(0)
	err := c.raw.Control(func(uintptr) { result = hostStartTLS(c.conn, serverName) })
	switch {
	case err != nil:
		return c.told(err)
	case result < 0:
		return failed(c.conn, result)
	}
	return c.ready()
}

func (c *polling) alive() (yes bool) {
	err := c.raw.Control(func(uintptr) { yes = idle(c.conn) })
	return err == nil && yes
}
