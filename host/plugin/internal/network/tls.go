package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
)

// ErrTLS is a Config.TLS that cannot be used.
var ErrTLS = errors.New("a TLS configuration that cannot be used")

// tlsConfig returns what connections use. It does not change what it is given.
func tlsConfig(from *tls.Config) (*tls.Config, error) {
	to := &tls.Config{}
	if from != nil {
		to = from.Clone()
	}
	if to.MaxVersion != 0 && to.MaxVersion < tls.VersionTLS12 {
		return nil, fmt.Errorf("%w: its greatest version is %s, and the least that is used is TLS 1.2", ErrTLS, tls.VersionName(to.MaxVersion))
	}
	to.MinVersion = max(to.MinVersion, tls.VersionTLS12)
	to.NextProtos = nil // the guest chooses what it speaks
	to.Renegotiation = tls.RenegotiateNever
	return to, nil
}

// handshake makes TLS of a socket that nobody else uses. The certificate must have the
// name, unless the configuration has another.
func (c *Conn) handshake(ctx context.Context, sock *socket, name string) (*secure, *failure) {
	config := c.table.network.config.TLS
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = name
	}
	end, _ := ctx.Deadline()
	s := &secure{transport: transport{of: c, sock: sock, handshake: true, how: patience{waits: true, at: end}}}
	s.conn = tls.Client(&s.transport, config)
	if err := s.conn.HandshakeContext(ctx); err != nil {
		f := failed(err)
		if f.errno == abi.ErrnoReset || f.errno == abi.ErrnoPipe {
			f = &failure{abi.ErrnoProtocol, f.words + ", instead of TLS"}
		}
		return nil, f
	}
	s.handshake = false
	return s, nil
}
