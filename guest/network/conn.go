package network

import (
	"io"
	"net"
	"time"
)

// Conn is a connection that a [Dialer] made.
//
// Its errors name the operation and the address, and wrap what happened: a
// [syscall.Errno] such as syscall.ECONNREFUSED, or [os.ErrDeadlineExceeded]. Those of a
// deadline, or of the host's bound of the call, are a [net.Error] with Timeout. The end
// of what the other side sent is [io.EOF], bare.
type Conn struct {
	remote *remote
	link   link
}

var _ net.Conn = (*Conn)(nil)

// link is a connection in one of the ways to wait.
type link interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	Close() error
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error

	startTLS(serverName string) error
	alive() bool
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.link.Read(p)
	if err != nil && err != io.EOF {
		err = c.remote.failed("read", err)
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.link.Write(p)
	if err != nil {
		err = c.remote.failed("write", err)
	}
	return n, err
}

// Close implements net.Conn.
func (c *Conn) Close() error { return c.wrap("close", c.link.Close()) }

// LocalAddr implements net.Conn. The address says only that this side is a guest.
func (c *Conn) LocalAddr() net.Addr { return local{c.remote.network} }

// RemoteAddr implements net.Conn. It is the address that was dialled, and can be dialled
// again.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.wrap("set", c.link.SetDeadline(t)) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.wrap("set", c.link.SetReadDeadline(t))
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.wrap("set", c.link.SetWriteDeadline(t))
}

// StartTLS begins TLS on a connection of the network "tcp", for protocols that ask
// for it in band. The server must have a certificate for serverName, and the operator must
// have granted an address with that name. Nothing may be reading or writing meanwhile,
// and nothing may be there that the server sent before TLS: that is an error, since
// somebody in between could have put it there. The deadline for writing bounds the
// handshake. After an error, the connection is of no use.
func (c *Conn) StartTLS(serverName string) error {
	return c.wrap("start TLS", c.link.startTLS(serverName))
}

// Alive reports whether the connection is fit for a new command: the other side has not
// closed it, and nothing has come that nobody asked for, as what a server says before it
// hangs up. It asks the other side nothing and does not wait, so it is for a
// connection that was idle, when a pool is about to use it again. The server may still
// close it a moment later.
func (c *Conn) Alive() bool { return c.link.alive() }

func (c *Conn) wrap(op string, err error) error {
	if err != nil {
		err = c.remote.failed(op, err)
	}
	return err
}
