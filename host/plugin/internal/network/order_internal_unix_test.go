//go:build unix

package network

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

// gate is a socket whose writes that do not wait are held up.
type gate struct {
	syscall.RawConn
	reached, pass chan struct{}
}

func (g gate) Control(f func(uintptr)) error {
	close(g.reached)
	<-g.pass
	return g.RawConn.Control(f)
}

// While an answer of TLS is sent, which lets go of the lock, nobody reads what comes after
// that which led to it.
func TestAnswersOfTLSDoNotReorder(t *testing.T) {
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	defer certs.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	n, err := New(Config{Allow: []string{"tls://" + l.Addr().String()}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, TLS: &tls.Config{InsecureSkipVerify: true}})
	require.NoError(t, err)
	defer n.Close()
	table := n.Open()
	fd, errno := table.Dial("tls://" + l.Addr().String())
	require.Zero(t, errno)
	c := table.Conn(fd)
	conn, err := l.Accept()
	require.NoError(t, err)
	server := tls.Server(conn, certs.TLS)
	defer server.Close()
	require.NoError(t, server.Handshake())
	soon := Until{At: time.Now().Add(10 * time.Second)}
	_, errno = c.Wait(abi.WaitWrite, soon)
	require.Zero(t, errno, c.Failure())
	// What TLS says after the handshake is read.
	_, errno = c.Wait(abi.WaitRead, Until{At: time.Now().Add(10 * time.Millisecond)})
	require.Equal(t, abi.ErrnoAgain, errno)

	g := gate{c.sock.raw, make(chan struct{}), make(chan struct{})}
	c.mu.Lock()
	c.out.data = []byte("an answer")
	c.sock.raw = g
	c.mu.Unlock()
	go c.Wait(abi.WaitRead, soon)
	_, err = server.Write([]byte("1"))
	require.NoError(t, err)
	<-g.reached
	_, err = server.Write([]byte("2"))
	require.NoError(t, err)
	got := make(chan string)
	go func() {
		p := make([]byte, 1)
		c.Read(p, soon)
		got <- string(p)
	}()
	time.Sleep(20 * time.Millisecond) // it would have read by then
	c.mu.Lock()
	c.sock.raw = g.RawConn
	c.mu.Unlock()
	close(g.pass)
	require.Equal(t, "1", <-got)
}
