package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync/atomic"
)

// peer is the client at the other end of a connection.
type peer struct {
	user string // of the operating system, for a unix socket; empty if it is not known
	over bool   // there are too many connections
}

type peerKey struct{}

func peerOf(ctx context.Context) *peer {
	if p, ok := ctx.Value(peerKey{}).(*peer); ok {
		return p
	}
	return &peer{}
}

// name is the client's name in the log and for the rates.
func (p *peer) name(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		if names := namesOf(r.TLS.PeerCertificates[0]); len(names) > 0 {
			return names[0]
		}
		return "serial " + r.TLS.PeerCertificates[0].SerialNumber.String()
	}
	if p.user != "" {
		return p.user
	}
	return "socket"
}

// namesOf returns the names of a client in its certificate, the common name first.
func namesOf(c *x509.Certificate) (names []string) {
	if c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	names = append(names, c.DNSNames...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}

// withPeer is an http.Server's ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	p := &peer{}
	if counted, ok := c.(*countedConn); ok {
		p.over = counted.over
		if u, ok := counted.Conn.(*net.UnixConn); ok {
			p.user = userOf(u)
		}
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// countedListener counts connections. Some more than allowed are accepted so that their
// clients get an answer; others are closed at once.
type countedListener struct {
	net.Listener
	most int
	open atomic.Int64
}

const answeredOver = 64

// Accept implements net.Listener.
func (l *countedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		n := l.open.Add(1)
		if n <= int64(l.most)+answeredOver {
			return &countedConn{Conn: c, of: l, over: n > int64(l.most)}, nil
		}
		l.open.Add(-1)
		_ = c.Close()
	}
}

type countedConn struct {
	net.Conn
	of     *countedListener
	over   bool
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.of.open.Add(-1)
	}
	return c.Conn.Close()
}
