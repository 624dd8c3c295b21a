package network_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// handshake makes TLS on a server's side.
func handshake(c net.Conn, config *tls.Config) *tls.Conn {
	s := tls.Server(c, config)
	s.Handshake()
	return s
}

// cutter is a connection of a server that is cut some bytes after it has been told so.
type cutter struct {
	net.Conn
	cut  bool
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if !c.cut {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:min(len(p), c.left)])
	if c.left -= n; err == nil && c.left == 0 {
		c.Conn.Close()
		err = io.ErrClosedPipe
	}
	return n, err
}

// dialCut returns a connection with TLS whose server sends that much of a record.
func dialCut(t testing.TB, s setup, size int) *network.Conn {
	address := serve(t, func(c net.Conn) {
		cut := &cutter{Conn: c, left: size}
		server := handshake(cut, s.tls)
		io.ReadFull(server, make([]byte, 1))
		cut.cut = true
		server.Write(make([]byte, 100))
	})
	c := dial(t, s.config, s.scheme+"://"+address)
	requireReady(t, c)
	send(t, c, "x")
	return c
}
