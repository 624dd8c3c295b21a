package network

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// secure is TLS over a socket: conn reads from the transport, and writes to it.
type secure struct {
	conn *tls.Conn
	transport
}

// transport is where the records of TLS are. What TLS writes is put aside, and never fails
// for want of time: after such a failure nothing could be written any more.
type transport struct {
	of   *Conn
	sock *socket

	handshake bool     // what is written is sent at once
	how       patience // of whoever reads; in a handshake, of both sides
}

func (t *transport) Read(p []byte) (int, error) { return t.sock.read(p, t.how) }

func (t *transport) Write(p []byte) (int, error) {
	if t.handshake {
		return t.sock.write(p, t.how)
	}
	return t.of.putAside(p)
}

func (t *transport) Close() error                     { return t.sock.conn.Close() }
func (t *transport) LocalAddr() net.Addr              { return t.sock.conn.LocalAddr() }
func (t *transport) RemoteAddr() net.Addr             { return t.sock.conn.RemoteAddr() }
func (t *transport) SetDeadline(time.Time) error      { return nil }
func (t *transport) SetReadDeadline(time.Time) error  { return nil }
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// errStuck is when the other side makes the host answer, and reads no answers.
var errStuck = errors.New("the other side reads nothing")

// putAside keeps what TLS writes until it is sent. Mostly that is what the guest wrote,
// for which there is room, but TLS also answers what it reads.
func (c *Conn) putAside(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.pending()+len(p) > 2*maxOut {
		return 0, errStuck
	}
	c.out.data = append(c.out.data, p...)
	return len(p), nil
}
