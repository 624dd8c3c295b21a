package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/waddle-sessions/waddle/abi"
)

// ErrTLS is a Config.TLS that cannot be used.
var ErrTLS = errors.New("a TLS configuration that cannot be used")

func tlsConfig(from *tls.Config) (*tls.Config, error) {
	to := &tls.Config{}
	if from != nil {
		to = from.Clone()
	}
	if to.MaxVersion != 0 && to.MaxVersion < tls.VersionTLS12 {
		return nil, fmt.Errorf("%w: it ends at %s, and TLS 1.2 is the least", ErrTLS, tls.VersionName(to.MaxVersion))
	}
	to.MinVersion = max(to.MinVersion, tls.VersionTLS12)
	to.NextProtos = nil
	to.Renegotiation = tls.RenegotiateNever
	return to, nil
}

func (c *Conn) handshake(ctx context.Context, sock net.Conn, name string) (*tls.Conn, *failure) {
	config := c.table.network.config.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = name
	}
	secure := tls.Client(sock, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, &failure{abi.ErrnoProtocol, "TLS: " + failed(err).words}
	}
	return secure, nil
}

// StartTLS makes the connection one with TLS, whose certificate must have the name. It
// returns at once; [Conn.Wait] for WaitWrite tells of the end.
func (c *Conn) StartTLS(name string) (errno int32) {
	name, err := parseName(name)
	if err != nil {
		return abi.ErrnoInvalid
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if errno := c.unusable(); errno != 0 {
		return errno
	}
	n := c.table.network
	granted := name == c.target.name || slices.ContainsFunc(n.patterns, func(p pattern) bool {
		return p.hasName(name) && p.first <= c.target.port && c.target.port <= p.last
	})
	switch {
	case c.tls != nil || c.target.scheme == schemeUnix || c.in.reading || c.out.writing:
		return abi.ErrnoInvalid
	case !granted:
		return abi.ErrnoAccess
	case len(c.in.data) > 0:
		c.words = "something was sent before TLS was begun"
		return abi.ErrnoProtocol
	}
	c.state, c.working = stateMaking, true
	sock := c.sock
	n.work.Go(func() {
		ctx, cancel := context.WithTimeout(c.making, n.config.Timeout)
		defer cancel()
		secure, f := c.handshake(ctx, sock, name)
		if f != nil {
			n.failed(c.target.text, f)
		}
		c.begun(sock, secure, f)
	})
	return 0
}
