package network

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// StartTLS makes TLS of the connection. The certificate must have the name: that of the
// address, or another that is granted for its port. StartTLS returns at once; [Conn.Wait]
// for WaitWrite tells how the handshake ended.
//
// Nothing that was sent before TLS is read afterwards. If there is something, whoever sent
// it may not be whom TLS will be with, and the connection fails.
func (c *Conn) StartTLS(name string) (errno int32) {
	name, err := hostOf(name)
	if err != nil {
		return c.complain(abi.ErrnoInvalid, "not a name: "+err.Error())
	}
	granted := c.table.network.grantsName(name, &c.target)
	c.mu.Lock()
	defer c.mu.Unlock()
	if errno := c.unusable(); errno != 0 {
		return errno
	}
	switch {
	case c.tls != nil:
		c.words = "the connection has TLS already"
		return abi.ErrnoInvalid
	case c.target.scheme == schemeUnix:
		c.words = "a unix socket has no TLS"
		return abi.ErrnoInvalid
	case !granted:
		c.words = "the name is not granted for this port"
		return abi.ErrnoAccess
	}
	c.state, c.working = stateMaking, true
	c.table.network.work.Go(func() { c.upgrade(name) })
	return 0
}

// hostOf returns a name, or an address, in the form in which targets have it.
func hostOf(name string) (string, error) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil && a.Zone() == "" {
		return a.Unmap().String(), nil
	}
	return parseName(name)
}

// grantsName reports whether a certificate for the name may be what an address has.
func (n *Network) grantsName(name string, t *target) bool {
	return name == t.host() || slices.ContainsFunc(n.patterns, func(p pattern) bool {
		return p.hasName(name) && p.first <= t.port && t.port <= p.last
	})
}

func (c *Conn) complain(errno int32, words string) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.words = words
	return errno
}

// upgrade makes TLS of a connection whose state keeps others from using it.
func (c *Conn) upgrade(name string) {
	n := c.table.network
	ctx, cancel := context.WithTimeout(c.making, n.config.Timeout)
	defer cancel()
	var tls *secure
	f := c.quiet(ctx)
	if f == nil {
		tls, f = c.handshake(ctx, c.sock, name)
	}
	if f != nil && c.making.Err() == nil {
		n.failed(c.target.text, f)
	}
	c.made(c.sock, tls, f)
}

// quiet ends what goroutines read and write. It fails if the other side has sent something
// that the guest has not read.
func (c *Conn) quiet(ctx context.Context) *failure {
	end, _ := ctx.Deadline()
	w := newWaiter(end)
	defer w.free()
	c.watch(w)
	defer c.unwatch(w)
	c.sock.limitReads(past)
	if c.direct() {
		c.sock.limitWrites(past) // somebody waits for room; else somebody sends what was written
	}
	for c.busy() {
		if !w.wait(ctx.Done()) {
			return failed(context.DeadlineExceeded)
		}
	}
	c.sock.limitReads(time.Time{})
	c.sock.limitWrites(time.Time{})

	c.mu.Lock()
	defer c.mu.Unlock()
	early, err := len(c.in.data), error(errAgain)
	if early == 0 && !c.in.ended && c.direct() {
		early, err = c.sock.tryRead(make([]byte, 1))
	}
	switch {
	case early > 0:
		return &failure{abi.ErrnoProtocol, "the other side sent more than was read before TLS was begun, which would not have been protected"}
	case c.in.ended || err == io.EOF:
		return &failure{abi.ErrnoReset, "the other side closed the connection before TLS was begun"}
	case err != errAgain:
		return failed(err)
	case c.out.errno != 0:
		return &failure{c.out.errno, c.words}
	}
	return nil
}

func (c *Conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.reading || c.out.busy
}
