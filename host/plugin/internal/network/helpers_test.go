package network_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// loopback is what tests list as private.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// within is how long what must happen may take on a machine that is busy.
const within = 30 * time.Second

func soon() network.Until { return network.Until{At: time.Now().Add(within)} }

// now does not wait.
var now network.Until

func in(d time.Duration) network.Until { return network.Until{At: time.Now().Add(d)} }

// modes runs a test with each way of using connections. The second is that of systems where
// calls cannot be kept from waiting.
func modes(t *testing.T, run func(t *testing.T, config network.Config)) {
	t.Run("direct", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("calls cannot be kept from waiting")
		}
		run(t, network.Config{})
	})
	t.Run("portable", func(t *testing.T) { run(t, network.Portable(network.Config{})) })
}

// layers runs a test with plain connections and with TLS, in each mode.
func layers(t *testing.T, run func(t *testing.T, s setup)) {
	modes(t, func(t *testing.T, config network.Config) {
		t.Run("plain", func(t *testing.T) { run(t, setup{config, "tcp", nil}) })
		t.Run("tls", func(t *testing.T) {
			config.TLS = &tls.Config{RootCAs: roots()}
			run(t, setup{config, "tls", &tls.Config{Certificates: []tls.Certificate{certificate(t, nil)}}})
		})
	})
}

// setup is a kind of connection, and what its server needs.
type setup struct {
	config network.Config
	scheme string
	tls    *tls.Config
}

// connect returns a connection to a server that gives its own side to handle.
func (s setup) connect(t testing.TB, handle func(net.Conn)) *network.Conn {
	address := serve(t, func(c net.Conn) {
		if s.tls != nil {
			c = tls.Server(c, s.tls)
		}
		handle(c)
	})
	c := dial(t, s.config, s.scheme+"://"+address)
	requireReady(t, c)
	return c
}

// serve runs a server that gives each connection to handle, and returns its address.
func serve(t testing.TB, handle func(net.Conn)) string {
	return serveOn(t, "tcp", "127.0.0.1:0", handle)
}

func serveOn(t testing.TB, kind, address string, handle func(net.Conn)) string {
	l, err := net.Listen(kind, address)
	require.NoError(t, err)
	var mu sync.Mutex
	closed := false
	open := map[net.Conn]bool{}
	var work sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		closed = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if open[c] = true; closed {
				c.Close()
			}
			mu.Unlock()
			work.Go(func() {
				handle(c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	return l.Addr().String()
}

// signal returns a channel, and what closes it, which is deferred, too: servers that wait for
// it would keep a test that fails from ending.
func signal() (<-chan struct{}, func()) {
	c := make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

// echo sends back what it gets.
func echo(c net.Conn) { io.Copy(struct{ io.Writer }{c}, c) }

// silence reads nothing and sends nothing until the other side has closed.
func silence(c net.Conn) {
	for {
		time.Sleep(time.Millisecond)
		if c.SetDeadline(time.Time{}) != nil { // it was closed here
			return
		}
	}
}

// open returns a network that grants addresses, and a table of it.
func open(t testing.TB, config network.Config, allow ...string) (*network.Network, *network.Table) {
	config.Allow = append(config.Allow, allow...)
	if config.Private == nil {
		config.Private = loopback
	}
	n, err := network.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n, n.Open()
}

// dial returns a connection of a new network, which is being made.
func dial(t testing.TB, config network.Config, address string) *network.Conn {
	_, table := open(t, config, address)
	return begin(t, table, address)
}

func begin(t testing.TB, table *network.Table, address string) *network.Conn {
	t.Helper()
	fd, errno := table.Dial(address)
	require.Zero(t, errno, table.Failure())
	return table.Conn(fd)
}

func requireReady(t testing.TB, c *network.Conn) {
	t.Helper()
	ready, errno := c.Wait(abi.WaitWrite, soon())
	require.Zero(t, errno, c.Failure())
	require.Equal(t, abi.WaitWrite, ready)
}

// requireFails waits for a connection, or its TLS, to fail.
func requireFails(t testing.TB, c *network.Conn, errno int32, words string) {
	t.Helper()
	_, got := c.Wait(abi.WaitWrite, soon())
	require.Equal(t, errno, got, c.Failure())
	require.Contains(t, c.Failure(), words)
	// It has failed for whoever asks.
	_, got = c.Read(make([]byte, 1), now)
	require.Equal(t, errno, got)
	_, got = c.Write([]byte("x"), now)
	require.Equal(t, errno, got)
	subs := []network.Subscription{{Conn: c, Events: abi.WaitRead | abi.WaitWrite}}
	network.Poll(subs, now)
	require.Equal(t, abi.WaitRead|abi.WaitWrite, subs[0].Ready)
}

func send(t testing.TB, c *network.Conn, data string) {
	t.Helper()
	n, errno := c.Write([]byte(data), soon())
	require.Zero(t, errno, c.Failure())
	require.Equal(t, len(data), n)
}

// receive reads as many bytes.
func receive(t testing.TB, c *network.Conn, size int) string {
	t.Helper()
	p := make([]byte, size)
	for at := 0; at < size; {
		n, errno := c.Read(p[at:], soon())
		require.Zero(t, errno, c.Failure())
		require.NotZero(t, n, "the end after %d bytes of %d", at, size)
		at += n
	}
	return string(p)
}

func requireEnd(t testing.TB, c *network.Conn) {
	t.Helper()
	n, errno := c.Read(make([]byte, 1), soon())
	require.Zero(t, errno, c.Failure())
	require.Zero(t, n)
}

// authority signs the certificates of tests.
var authority = sync.OnceValue(func() tls.Certificate {
	return sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of tests"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
})

func roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(authority().Leaf)
	return pool
}

// certificate returns one for what tests connect to, as change leaves it.
func certificate(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, DNSNames: []string{"localhost", "db.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	parent := authority()
	return sign(template, &parent)
}

// sign signs by parent, or by the certificate itself.
func sign(template *x509.Certificate, parent *tls.Certificate) tls.Certificate {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<60))
	must(err)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	by, signer := template, any(key)
	if parent != nil {
		by, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), signer)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
