//go:build wasip1

package network

import (
	"io"
	"net"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// blocking is a connection on which the whole instance waits. There is no other
// goroutine while it does, so nothing is locked.
type blocking struct {
	conn           int32
	closed         bool
	reading, until time.Time // deadlines for reading, and for writing
}

// left returns the timeout, in milliseconds, that a deadline leaves. One that has passed
// leaves none, and the host then does not wait.
func left(deadline time.Time) int64 {
	if deadline.IsZero() {
		return -1
	}
	return max(0, int64((time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
}

func (c *blocking) Read(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case len(p) == 0:
		return 0, nil
	}
	timeout := left(c.reading)
	if timeout == 0 {
		return 0, errDeadline
	}
	n := hostRead(c.conn, p, timeout)
	switch {
	case n > 0:
		return int(n), nil
	case n == 0:
		return 0, io.EOF
	}
	return 0, failed(c.conn, n)
}

func (c *blocking) Write(p []byte) (done int, err error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	for done < len(p) {
		timeout := left(c.until)
		if timeout == 0 {
			return done, errDeadline
		}
		n := hostWrite(c.conn, p[done:], timeout)
		if n < 0 {
			return done, failed(c.conn, n)
		}
		done += int(n)
	}
	return done, nil
}

// ready waits until the connection, or its TLS, is made.
func (c *blocking) ready() error {
	timeout := left(c.until)
	if timeout == 0 {
		return errDeadline
	}
	if n := importWait(c.conn, abi.WaitWrite, timeout); n < 0 {
		return failed(c.conn, n)
	}
	return nil
}

func (c *blocking) Close() error {
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	importClose(c.conn)
	return nil
}

func (c *blocking) SetDeadline(t time.Time) error {
	c.reading, c.until = t, t
	return c.open()
}

func (c *blocking) SetReadDeadline(t time.Time) error {
	c.reading = t
	return c.open()
}

func (c *blocking) SetWriteDeadline(t time.Time) error {
	c.until = t
	return c.open()
}

func (c *blocking) open() error {
	if c.closed {
		return net.ErrClosed
	}
	return nil
}

func (c *blocking) startTLS(serverName string) error {
	if c.closed {
		return net.ErrClosed
	}
	if n := hostStartTLS(c.conn, serverName); n < 0 {
		return failed(c.conn, n)
	}
	return c.ready()
}

func (c *blocking) alive() bool { return !c.closed && idle(c.conn) }

// idle reports whether nothing can be read from a connection, not even its end.
func idle(conn int32) bool {
	n := importWait(conn, abi.WaitRead, 0)
	return n == again
}
