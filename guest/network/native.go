//go:build !wasip1

package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// NativeTLS is the configuration of TLS in native builds, for tests: roots, and
// certificates of the client. Nil means the system's roots. It does not exist in a module,
// where TLS is the host's. It must not change while connections are being made.
var NativeTLS *tls.Config

// native is a connection of package net.
type native struct {
	net.Conn          // what is read and written
	raw      net.Conn // the same, or what lies below TLS

	held   atomic.Bool // alive has read a byte
	unread byte

	mu    sync.Mutex
	until time.Time // the deadline for reading
}

func (d *Dialer) link(ctx context.Context, to *remote, until time.Time) (link, error) {
	dialer := net.Dialer{Deadline: until}
	network, host := to.network, ""
	if network == "tls" {
		var err error
		if host, _, err = net.SplitHostPort(to.address); err != nil {
			return nil, err
		}
		network = "tcp"
	}
	conn, err := dialer.DialContext(ctx, network, to.address)
	if err != nil {
		return nil, err
	}
	c := &native{Conn: conn, raw: conn}
	if to.network != "tls" {
		return c, nil
	}
	_ = conn.SetDeadline(until)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	err = c.startTLS(host)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return c, nil
}

func (c *native) Read(p []byte) (int, error) {
	if c.held.Load() && len(p) > 0 {
		p[0] = c.unread
		c.held.Store(false)
		return 1, nil
	}
	return c.Conn.Read(p)
}

func (c *native) SetDeadline(t time.Time) error {
	c.setUntil(t)
	return c.Conn.SetDeadline(t)
}

func (c *native) SetReadDeadline(t time.Time) error {
	c.setUntil(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *native) setUntil(t time.Time) {
	c.mu.Lock()
	c.until = t
	c.mu.Unlock()
}

var (
	errTLSTwice  = errors.New("the connection has TLS already")
	errBeforeTLS = errors.New("the server sent something before TLS began")
)

func (c *native) startTLS(serverName string) error {
	if c.Conn != c.raw {
		return errTLSTwice
	}
	if peek(c.raw) == arrived {
		return errBeforeTLS
	}
	config := new(tls.Config)
	if NativeTLS != nil {
		config = NativeTLS.Clone()
	}
	config.ServerName = serverName
	secured := tls.Client(c.raw, config)
	if err := secured.Handshake(); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return errDeadline
		}
		return fmt.Errorf("%w: %w", syscall.EPROTO, err) // as a host says it
	}
	c.Conn = secured
	return nil
}

// soon is how long alive waits for what has arrived to be read: with TLS it may be
// no more than a part of a record, or a ticket for another session.
const soon = time.Millisecond

func (c *native) alive() bool {
	if c.held.Load() {
		return false
	}
	until := past
	switch peek(c.raw) {
	case ended:
		return false
	case quiet:
		if c.Conn == c.raw {
			return true
		}
		// What TLS has read and nobody has taken is returned whatever the deadline.
	default:
		until = time.Now().Add(soon)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.Conn.SetReadDeadline(until)
	defer func() { _ = c.Conn.SetReadDeadline(c.until) }()
	var b [1]byte
	n, err := c.Conn.Read(b[:])
	if n == 1 {
		c.unread = b[0]
		c.held.Store(true)
		return false
	}
	return errors.Is(err, errDeadline)
}

// What peek finds in a connection that nobody reads.
const (
	quiet   = iota // nothing
	arrived        // bytes
	ended          // the end, or a failure
	unknown        // only reading tells
)
