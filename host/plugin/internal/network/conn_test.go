package network_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// loopback is what tests list as private.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func soon() network.Until { return network.Until{At: time.Now().Add(20 * time.Second)} }

// serve runs a server that gives each connection to handle, and returns its address.
func serve(t testing.TB, handle func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr().String()
}

func echo(c net.Conn) { io.Copy(c, c) }

// dial returns a connection of a new table.
func dial(t testing.TB, config network.Config, address string) *network.Conn {
	config.Allow = append(config.Allow, address)
	config.Private = loopback
	n, err := network.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	table := n.Open()
	fd, errno := table.Dial(address)
	require.Zero(t, errno)
	return table.Conn(fd)
}

func TestEcho(t *testing.T) {
	c := dial(t, network.Config{}, "tcp://"+serve(t, echo))
	ready, errno := c.Wait(abi.WaitWrite, soon())
	require.Zero(t, errno)
	require.Equal(t, abi.WaitWrite, ready)

	_, errno = c.Read(make([]byte, 10), network.Until{})
	require.Equal(t, abi.ErrnoAgain, errno)
	n, errno := c.Write([]byte("hello"), soon())
	require.Zero(t, errno)
	require.Equal(t, 5, n)
	p := make([]byte, 10)
	n, errno = c.Read(p, soon())
	require.Zero(t, errno)
	require.Equal(t, "hello", string(p[:n]))

	require.Zero(t, c.CloseWrite())
	n, errno = c.Read(p, soon())
	require.Zero(t, errno)
	require.Zero(t, n)
	_, errno = c.Write([]byte("more"), soon())
	require.Equal(t, abi.ErrnoPipe, errno)
}
