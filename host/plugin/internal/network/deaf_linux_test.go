package network_test

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// deaf returns an address of loopback at which nothing answers: its queue of connections
// is full, and Linux then drops what asks for one.
func deaf(t *testing.T, a [4]byte, port int) netip.AddrPort {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: a, Port: port}))
	require.NoError(t, syscall.Listen(fd, 0))
	bound, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	end := netip.AddrPortFrom(netip.AddrFrom4(a), uint16(bound.(*syscall.SockaddrInet4).Port))
	full := false
	for range 10 {
		c, err := net.DialTimeout("tcp", end.String(), 200*time.Millisecond)
		if full = err != nil; full {
			break
		}
		t.Cleanup(func() { c.Close() })
	}
	require.True(t, full)
	return end
}

// A server that never answers costs the time of a connection, and no more.
func TestServerThatNeverAnswers(t *testing.T) {
	end := deaf(t, [4]byte{127, 0, 0, 1}, 0)
	c := dial(t, network.Config{Timeout: 100 * time.Millisecond}, "tcp://"+end.String())
	requireFails(t, c, abi.ErrnoUnreachable, "no answer in time")

	n, table := open(t, network.Config{Timeout: time.Hour}, "tcp://"+end.String())
	c = begin(t, table, "tcp://"+end.String())
	_, errno := c.Wait(abi.WaitWrite, in(10*time.Millisecond))
	require.Equal(t, abi.ErrnoAgain, errno)
	c.Close()
	require.Eventually(t, func() bool { return n.Stats().Conns == 0 }, within, time.Millisecond)
}

// An address that does not answer does not keep the next one waiting for long.
func TestAddressesRace(t *testing.T) {
	port, count := counting(t)
	at := netip.MustParseAddrPort("127.0.0.1:" + port).Port()
	deaf(t, [4]byte{127, 0, 0, 2}, int(at))
	deaf(t, [4]byte{127, 0, 0, 3}, int(at))
	names := &resolver{lists: [][]string{{"127.0.0.2", "127.0.0.3", "127.0.0.1"}}}
	n, table := open(t, network.Config{Lookup: names.lookup, Timeout: time.Hour}, "tcp://a.example.com:"+port)
	c := begin(t, table, "tcp://a.example.com:"+port)
	requireReady(t, c)
	send(t, c, "hello")
	require.Equal(t, "hello", receive(t, c, 5))
	require.Equal(t, int64(1), count.Load())
	require.NoError(t, n.Close()) // does not wait for those that lost
}
