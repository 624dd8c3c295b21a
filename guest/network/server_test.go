//go:build !wasip1

package network_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/network"
)

// serve accepts connections until the test ends.
func serve(t *testing.T, l net.Listener, each func(net.Conn)) string {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go each(conn)
		}
	}()
	return l.Addr().String()
}

// listen listens on the loopback.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// talk answers a line with the same line. Some lines are commands.
func talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch strings.TrimSpace(line) {
		case "silence": // and nothing ever again
			_, _ = io.Copy(io.Discard, in)
			return
		case "bye":
			_ = conn.Close()
			return
		case "deaf": // it reads no more
			return
		case "later":
			time.Sleep(later)
			_, _ = io.WriteString(conn, "one\n")
			time.Sleep(later)
			_, _ = io.WriteString(conn, "two\n")
			_ = conn.Close()
			return
		case "more":
			_, _ = io.WriteString(conn, "one\ntwo\n")
		default:
			_, _ = io.WriteString(conn, line)
		}
	}
}

// later is how long a server takes to say what it was asked to say later.
const later = 50 * time.Millisecond

// upgrade answers a line and begins TLS.
func upgrade(config *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		line, _ := bufio.NewReaderSize(conn, 16).ReadString('\n')
		if line == "chatter\n" {
			_, _ = io.WriteString(conn, "ready\nand more\n")
		} else {
			_, _ = io.WriteString(conn, "ready\n")
		}
		talk(tls.Server(conn, config))
	}
}

// certificate returns a configuration of a server for example.com and 127.0.0.1, and makes
// the client trust it.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	network.NativeTLS = &tls.Config{RootCAs: roots}
	t.Cleanup(func() { network.NativeTLS = nil })
	return &tls.Config{Certificates: server.TLS.Certificates}
}
