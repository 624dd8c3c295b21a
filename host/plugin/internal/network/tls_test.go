package network_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// Whom TLS is with is verified, and it is at least TLS 1.2, without a protocol of the
// application.
func TestTLSIsVerified(t *testing.T) {
	other := sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	ours := &tls.Config{RootCAs: roots()}
	withClient := &tls.Config{RootCAs: roots(), Certificates: []tls.Certificate{certificate(t, nil)}}
	clients := x509.NewCertPool()
	clients.AddCert(authority().Leaf)
	wrongName := certificate(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example.com"}, nil })
	for _, tc := range []struct {
		name   string
		client *tls.Config
		server *tls.Config
		cert   tls.Certificate // of the server; none is the right one
		why    string          // "" if it works
	}{
		{"right", ours, &tls.Config{}, tls.Certificate{}, ""},
		{"the system's roots", nil, &tls.Config{}, tls.Certificate{}, "signed by unknown authority"},
		{"another authority", ours, &tls.Config{}, sign(&x509.Certificate{DNSNames: []string{"localhost"}}, &other), "signed by unknown authority"},
		{"its own authority", ours, &tls.Config{}, sign(&x509.Certificate{DNSNames: []string{"localhost"}}, nil), "signed by unknown authority"},
		{"another name", ours, &tls.Config{}, wrongName, "valid for other.example.com, not localhost"},
		{"over", ours, &tls.Config{}, certificate(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), "has expired"},
		{"for clients", ours, &tls.Config{}, certificate(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "incompatible key usage"},
		{"not verified, as is said", &tls.Config{InsecureSkipVerify: true}, &tls.Config{}, wrongName, ""},
		{"the name that is said", &tls.Config{RootCAs: roots(), ServerName: "other.example.com"}, &tls.Config{}, wrongName, ""},
		{"not the name that is said", &tls.Config{RootCAs: roots(), ServerName: "other.example.com"}, &tls.Config{}, tls.Certificate{}, "not other.example.com"},
		{"TLS 1.2", ours, &tls.Config{MaxVersion: tls.VersionTLS12}, tls.Certificate{}, ""},
		{"TLS 1.1", &tls.Config{RootCAs: roots(), MinVersion: tls.VersionTLS10}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, tls.Certificate{}, "protocol version not supported"},
		{"a least version", &tls.Config{RootCAs: roots(), MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}, tls.Certificate{}, "protocol version not supported"},
		{"a client's certificate", withClient, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, tls.Certificate{}, ""},
		{"a client's certificate over TLS 1.2", withClient, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: tls.VersionTLS12}, tls.Certificate{}, ""},
		{"no client's certificate", ours, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, tls.Certificate{}, "certificate required"},
		{"protocols of the application", &tls.Config{RootCAs: roots(), NextProtos: []string{"h2"}}, &tls.Config{NextProtos: []string{"h2"}}, tls.Certificate{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			modes(t, func(t *testing.T, config network.Config) {
				server := tc.server.Clone()
				server.Certificates = []tls.Certificate{tc.cert}
				if tc.cert.Leaf == nil {
					server.Certificates[0] = certificate(t, nil)
				}
				protocol := make(chan string, 1)
				address := serve(t, func(c net.Conn) {
					s := handshake(c, server)
					protocol <- s.ConnectionState().NegotiatedProtocol
					echo(s)
				})
				_, port, _ := net.SplitHostPort(address)
				config.TLS = tc.client
				told := &events{}
				config.Tell = told.tell
				c := dial(t, config, "tls://localhost:"+port)
				if tc.why == "" {
					requireReady(t, c)
					send(t, c, "hello")
					require.Equal(t, "hello", receive(t, c, 5))
					require.Empty(t, <-protocol)
					require.Empty(t, told.list())
					return
				}
				_, errno := c.Wait(abi.WaitWrite, soon())
				if errno == 0 { // with TLS 1.3 the client is ready before the server has looked at it
					_, errno = c.Read(make([]byte, 1), soon())
				}
				require.Equal(t, abi.ErrnoProtocol, errno)
				require.Contains(t, c.Failure(), tc.why)
				require.Contains(t, c.Failure(), "TLS failed: ")
				require.Eventually(t, func() bool { return len(told.list()) == 1 }, within, time.Millisecond)
				require.Contains(t, told.list()[0].Why, tc.why)
			})
		})
	}
}

// The address of a connection is verified, too, if it has no name.
func TestTLSOfAddresses(t *testing.T) {
	server := &tls.Config{Certificates: []tls.Certificate{certificate(t, nil)}}
	config := network.Config{TLS: &tls.Config{RootCAs: roots()}}
	handle := func(c net.Conn) { echo(handshake(c, server)) }
	requireReady(t, dial(t, config, "tls://"+serve(t, handle)))
	requireFails(t, dial(t, config, "tls://"+serveOn(t, "tcp", "127.0.0.2:0", handle)), abi.ErrnoProtocol, "valid for 127.0.0.1, not 127.0.0.2")
}

func TestTLSConfigIsChecked(t *testing.T) {
	_, err := network.New(network.Config{TLS: &tls.Config{MaxVersion: tls.VersionTLS11}})
	require.ErrorIs(t, err, network.ErrTLS)
	require.ErrorContains(t, err, "TLS 1.1")
	given := &tls.Config{NextProtos: []string{"h2"}, Renegotiation: tls.RenegotiateFreelyAsClient}
	n, err := network.New(network.Config{TLS: given})
	require.NoError(t, err)
	defer n.Close()
	require.Equal(t, []string{"h2"}, given.NextProtos, "it is the caller's")
}

// What answers something else than TLS, or nothing, or hangs up, fails in words.
func TestTLSWithWhatIsNone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		errno  int32
		why    string
	}{
		{"plain", func(c net.Conn) { c.Write([]byte("-ERR this is no TLS\r\n")); silence(c) }, abi.ErrnoProtocol, "first record does not look like a TLS handshake"},
		{"end", func(c net.Conn) { io.ReadFull(c, make([]byte, 10)) }, abi.ErrnoProtocol, "instead of TLS"},
		{"reset", func(c net.Conn) { io.ReadFull(c, make([]byte, 10)); reset(c) }, abi.ErrnoProtocol, "instead of TLS"},
		{"silence", silence, abi.ErrnoUnreachable, "no answer in time"},
		{"control characters", func(c net.Conn) {
			cert := certificate(t, func(c *x509.Certificate) {
				c.DNSNames, c.IPAddresses = []string{"a\nb\x1b[31m" + strings.Repeat("c", 1000)}, nil
			})
			handshake(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		}, abi.ErrnoProtocol, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			modes(t, func(t *testing.T, config network.Config) {
				config.TLS, config.Timeout = &tls.Config{RootCAs: roots()}, within
				if tc.name == "silence" {
					config.Timeout = 100 * time.Millisecond
				}
				c := dial(t, config, "tls://"+serve(t, tc.handle))
				requireFails(t, c, tc.errno, tc.why)
				require.NotContains(t, c.Failure(), "\n")
				require.NotContains(t, c.Failure(), "\x1b")
				require.Less(t, len(c.Failure()), 400)
			})
		})
	}
}

// A write that finds no room in time has not harmed what was written before, nor what comes
// after it.
func TestTLSWritesThatTimeOut(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		start, read := signal()
		defer read()
		got := make(chan []byte, 1)
		c := s.connect(t, func(c net.Conn) {
			if c, ok := c.(*tls.Conn); ok {
				c.Handshake()
			}
			<-start
			all, _ := io.ReadAll(c)
			got <- all
		})
		var sent bytes.Buffer
		p := make([]byte, 100_000)
		write := func(until network.Until) int32 {
			for i := range p {
				p[i] = byte(sent.Len()>>8 + i)
			}
			n, errno := c.Write(p, until)
			sent.Write(p[:n])
			return errno
		}
		again := 0
		for again < 20 {
			until := now
			if again%2 == 1 {
				until = in(time.Millisecond)
			}
			if errno := write(until); errno != 0 {
				require.Equal(t, abi.ErrnoAgain, errno)
				again++
			}
		}
		read()
		for range 20 {
			require.Zero(t, write(soon()), c.Failure())
		}
		require.Zero(t, c.CloseWrite())
		require.True(t, bytes.Equal(sent.Bytes(), <-got))
	})
}

// dribble is a connection on which bytes come one by one.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if i%16 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return len(p), nil
}

// A server that sends its bytes one by one keeps nobody waiting for longer than he wants,
// and nothing is lost of what came in parts.
func TestSlowServer(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		said := strings.Repeat("slowly ", 200)
		address := serve(t, func(c net.Conn) {
			c.(*net.TCPConn).SetNoDelay(true)
			c = dribble{c}
			if s.tls != nil {
				c = tls.Server(c, s.tls)
			}
			for range 5 {
				c.Write([]byte(said))
			}
			if c, ok := c.(*tls.Conn); ok {
				c.CloseWrite()
			}
		})
		c := dial(t, s.config, s.scheme+"://"+address)
		requireReady(t, c)
		var got strings.Builder
		p := make([]byte, 1000)
		for i := 0; ; i++ {
			until := []network.Until{now, in(50 * time.Microsecond), in(2 * time.Millisecond), soon()}[i%4]
			if i%8 > 4 {
				c.Wait(abi.WaitRead, until)
				until = now
			}
			n, errno := c.Read(p, until)
			if errno == abi.ErrnoAgain {
				continue
			}
			require.Zero(t, errno, c.Failure())
			if n == 0 {
				break
			}
			got.Write(p[:n])
		}
		require.Equal(t, strings.Repeat(said, 5), got.String())
	})
}
