package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
)

func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// make makes the connection, and tells of its failure.
func (c *Conn) make() {
	n := c.table.network
	ctx, cancel := context.WithTimeout(c.making, n.config.Timeout)
	defer cancel()
	sock, f := c.connect(ctx)
	var secure *tls.Conn
	if f == nil && c.target.scheme == schemeTLS {
		if secure, f = c.handshake(ctx, sock, c.target.host()); f != nil {
			sock.Close()
		}
	}
	if f != nil {
		n.failed(c.target.text, f)
	}
	c.begun(sock, secure, f)
}

// connect resolves a name once, checks each address, and connects to one of those that
// were checked.
func (c *Conn) connect(ctx context.Context) (net.Conn, *failure) {
	if c.target.scheme == schemeUnix {
		d := net.Dialer{}
		sock, err := d.DialContext(ctx, "unix", c.target.path)
		return sock, failed(err)
	}
	n := c.table.network
	addrs := []netip.Addr{c.target.addr}
	if c.target.name != "" {
		var err error
		if addrs, err = n.config.Lookup(ctx, c.target.name); err != nil {
			return nil, &failure{abi.ErrnoUnreachable, "the name has no address"}
		}
	}
	var last *failure
	for _, a := range addrs {
		a = a.Unmap()
		if why := n.guard.check(a); why != "" {
			n.refuse(c.target.text, fmt.Sprintf("%s is %s", a, why))
			if last == nil {
				last = &failure{abi.ErrnoAccess, "the name leads to an address that is not granted"}
			}
			continue
		}
		d := net.Dialer{ControlContext: n.control}
		sock, err := d.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), strconv.Itoa(int(c.target.port))))
		if err == nil {
			return sock, nil
		}
		last = failed(err)
	}
	return nil, last
}

// control has the last word: what the system is about to connect to.
func (n *Network) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if why := n.guard.check(a.Addr()); why != "" {
		return &refusal{fmt.Sprintf("%s is %s", a.Addr(), why)}
	}
	return nil
}
