package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
)

// lookup asks the system.
func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// make makes the connection, and tells of its failure.
func (c *Conn) make() {
	n := c.table.network
	ctx, cancel := context.WithTimeout(c.making, n.config.Timeout)
	defer cancel()
	conn, f := c.connect(ctx)
	var sock *socket
	var tls *secure
	if f == nil {
		sock = newSocket(conn, n.config.portable)
		if c.target.scheme == schemeTLS {
			tls, f = c.handshake(ctx, sock, c.target.host())
		}
		if f != nil {
			conn.Close()
		}
	}
	if f != nil && c.making.Err() == nil {
		n.failed(c.target.text, f)
	}
	c.made(sock, tls, f)
}

// connect connects to what the guest named.
func (c *Conn) connect(ctx context.Context) (net.Conn, *failure) {
	if c.target.scheme == schemeUnix {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", c.target.path)
		return conn, failed(err)
	}
	addrs, f := c.table.network.resolve(ctx, &c.target)
	if f != nil {
		return nil, f
	}
	return c.table.network.race(ctx, addrs)
}

// maxAddrs is how many addresses of a name are tried.
const maxAddrs = 8

// resolve returns the addresses to connect to, all of which the guard has checked. A name
// is resolved here, and nowhere else.
func (n *Network) resolve(ctx context.Context, t *target) (ends []netip.AddrPort, f *failure) {
	addrs := []netip.Addr{t.addr}
	if t.name != "" {
		var err error
		if addrs, err = n.config.Lookup(ctx, t.name); err != nil {
			return nil, unresolved(err)
		}
	}
	refused := ""
	for _, a := range addrs {
		if why := n.guard.check(a); why != "" {
			refused = fmt.Sprintf("it leads to %s, which is %s", a, why)
		} else if len(ends) < maxAddrs {
			ends = append(ends, netip.AddrPortFrom(a.Unmap(), t.port))
		}
	}
	switch {
	case len(ends) > 0:
		return ends, nil
	case refused != "":
		n.refuse(t.text, refused)
		return nil, &failure{abi.ErrnoAccess, "the name leads to an address that is not granted"}
	}
	return nil, &failure{abi.ErrnoUnreachable, "the name has no address"}
}

// dial connects to one address. The system is asked what it is about to connect to, at
// the last moment.
func (n *Network) dial(ctx context.Context, end netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		err := n.confirm(end, address)
		if err != nil {
			n.refuse(end.String(), err.Error())
		}
		return err
	}}
	return d.DialContext(ctx, "tcp", end.String())
}

// confirm returns an error if an address is not the one that was checked, or is none that
// the guard lets pass.
func (n *Network) confirm(checked netip.AddrPort, address string) error {
	end, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusal{fmt.Sprintf("%q is not an address", address)}
	}
	if why := n.guard.check(end.Addr()); why != "" {
		return &refusal{fmt.Sprintf("it leads to %s, which is %s", end.Addr(), why)}
	}
	if netip.AddrPortFrom(end.Addr().Unmap(), end.Port()) != checked {
		return &refusal{fmt.Sprintf("it leads to %s, and %s was checked", end, checked)}
	}
	return nil
}
