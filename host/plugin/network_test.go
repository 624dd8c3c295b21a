package plugin_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// echoServer is a server that sends each line back. A line "STARTTLS" makes it speak TLS from
// then on.
type echoServer struct {
	address string // host:port
	roots   *x509.CertPool

	mu    sync.Mutex
	conns map[net.Conn]bool
	seen  int // connections, ever
	lines int
}

// listen starts a server that gives each connection to f.
func listen(t testing.TB, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	return l.Addr().String()
}

func newEcho(t testing.TB) *echoServer {
	certificate, roots := certificateFor(t, "echo.test")
	s := &echoServer{roots: roots, conns: make(map[net.Conn]bool)}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.address = listen(t, func(c net.Conn) {
		s.mu.Lock()
		s.seen++
		s.conns[c] = true
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
		s.echo(c, config)
	})
	t.Cleanup(s.cut) // before the server is waited for
	return s
}

func (s *echoServer) echo(c net.Conn, config *tls.Config) {
	lines := bufio.NewReader(c)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		s.mu.Lock()
		s.lines++
		s.mu.Unlock()
		if _, err := c.Write([]byte(line)); err != nil {
			return
		}
		if line == "STARTTLS\n" {
			c = tls.Server(c, config)
			lines = bufio.NewReader(c)
		}
	}
}

// cut closes all connections.
func (s *echoServer) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// open returns how many connections are open.
func (s *echoServer) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// certificateFor makes a certificate of a root of its own.
func certificateFor(t testing.TB, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	root, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// reaching is a config of a trusted guest of one instance that is granted addresses on this machine.
func reaching(allow ...string) plugin.Config {
	config := quiet()
	config.Shards = 1
	config.Network = plugin.Network{Allow: allow, Private: loopback}
	return config
}

// netGuest is the guest of testdata/netguest, which the tests of a run build once.
func netGuest(t *testing.T) []byte {
	t.Helper()
	netGuestBuilt.Do(func() { netGuestWasm = buildGuest(t, "testdata/netguest", "-ldflags=-s -w") })
	if netGuestWasm == nil {
		t.Skip("the guest was not built")
	}
	return netGuestWasm
}

var (
	netGuestBuilt sync.Once
	netGuestWasm  []byte
	netModule     *plugin.Module // whose code is kept for all tests of a run
)

// openNet opens the guest.
func openNet(t *testing.T, config plugin.Config) *plugin.Plugin {
	t.Helper()
	wasm := netGuest(t)
	if netModule == nil {
		var err error
		netModule, err = plugin.NewHost(plugin.HostConfig{}).Compile(ctx, wasm, config)
		require.NoError(t, err)
	}
	return openModule(t, netModule, config)
}

// say makes the guest do something and returns what it answered.
func say(p *plugin.Plugin, words ...string) (string, error) {
	b, err := p.Get(ctx, []byte(strings.Join(words, " ")), 1)
	return string(b), err
}

func said(t testing.TB, p *plugin.Plugin, words ...string) string {
	t.Helper()
	text, err := say(p, words...)
	require.NoError(t, err)
	return text
}

// trusts are the ways to run a guest.
var trusts = map[string]func(*plugin.Config){
	"trusted": func(*plugin.Config) {},
	"metered": func(c *plugin.Config) { c.Trusted = false },
}

// A guest talks to a server in each way that there is.
func TestNetwork(t *testing.T) {
	s := newEcho(t)
	for how, trust := range trusts {
		t.Run(how, func(t *testing.T) {
			_, port, _ := net.SplitHostPort(s.address)
			config := reaching("tcp://"+s.address, "tcp://localhost:"+port)
			config.Network.TLS = &tls.Config{RootCAs: s.roots}
			trust(&config)
			p := openNet(t, config)
			tcp := "tcp://" + s.address
			require.Equal(t, "hello there", said(t, p, "call", tcp, "hello there"))
			require.Equal(t, "hello there", said(t, p, "poll", tcp, "hello there"))
			require.Equal(t, "16", said(t, p, "many", tcp, "16"))
			require.Equal(t, "hello there", said(t, p, "upgrade", "tcp://localhost:"+port, "localhost", "hello there"))
			require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond, "the guest closed them")

			stats := p.Stats().Network
			require.Zero(t, stats.Connections)
			require.EqualValues(t, 1+1+16+1, stats.Dials)
			require.Greater(t, stats.Sent, uint64(100))
			require.Greater(t, stats.Read, uint64(100))
			require.Zero(t, stats.Refused+stats.Limited+stats.Failed)
		})
	}
}
