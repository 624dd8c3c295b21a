package network_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// events are what a network tells.
type events struct {
	mu  sync.Mutex
	all []network.Event
}

func (e *events) tell(event network.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

func (e *events) list() []network.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]network.Event(nil), e.all...)
}

// resolver answers with one list after the other, and then with the last for ever.
type resolver struct {
	mu    sync.Mutex
	lists [][]string
	asked []string
}

func (r *resolver) lookup(_ context.Context, name string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, name)
	list := r.lists[0]
	if len(r.lists) > 1 {
		r.lists = r.lists[1:]
	}
	var addrs []netip.Addr
	for _, text := range list {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// counting is a server that counts its connections.
func counting(t *testing.T) (port string, count *atomic.Int64) {
	count = new(atomic.Int64)
	_, port, err := net.SplitHostPort(serve(t, func(c net.Conn) {
		count.Add(1)
		echo(c)
	}))
	require.NoError(t, err)
	return port, count
}

// What is not granted is refused at once, whether something is there or not, and nobody is
// asked.
func TestWhatIsNotGranted(t *testing.T) {
	port, count := counting(t)
	told, names := &events{}, &resolver{lists: [][]string{{"127.0.0.1"}}}
	n, table := open(t, network.Config{Tell: told.tell, Lookup: names.lookup, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
		"tcp://a.example.com:"+port, "tls://b.example.com:"+port, "tcp://127.0.0.0/8:"+port, "unix:///run/waddle.sock")
	refused := []string{
		"tcp://b.example.com:" + port, "tcp://c.example.com:" + port, "tcp://a.example.com:1", "tcp://example.com:" + port, "tcp://x.a.example.com:" + port,
		"tcp://128.0.0.1:" + port, "tcp://[::1]:" + port, "tcp://127.0.0.1:1", "unix:///run/waddle", "unix:///run/other.sock",
		"tcp://127.0.0.2:" + port, // granted, and not private
	}
	for _, address := range refused {
		fd, errno := table.Dial(address)
		require.Equal(t, abi.ErrnoAccess, errno, address)
		require.Zero(t, fd)
		require.Equal(t, "it is not granted", table.Failure())
	}
	_, errno := table.Dial("tcp://127.1:" + port)
	require.Equal(t, abi.ErrnoInvalid, errno)
	require.Contains(t, table.Failure(), "the last label is a number")

	require.Equal(t, int64(len(refused)+1), n.Stats().Refused)
	require.Zero(t, n.Stats().Dials)
	require.Empty(t, names.asked)
	require.Zero(t, count.Load())
	require.Nil(t, table.Conn(0))
	// Not all of them are told: a guest could fill the log.
	require.Len(t, told.list(), 10)
	require.Equal(t, network.Event{Refused: true, Address: refused[0], Why: "not granted"}, told.list()[0])
}

// A name is resolved once for a connection, and what it leads to is checked, each time.
func TestRebinding(t *testing.T) {
	port, count := counting(t)
	told, names := &events{}, &resolver{lists: [][]string{{"127.0.0.1"}, {"127.0.0.2"}}}
	n, table := open(t, network.Config{Tell: told.tell, Lookup: names.lookup, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, "tcp://a.example.com:"+port)

	requireReady(t, begin(t, table, "tcp://A.example.com:"+port))
	require.Equal(t, []string{"a.example.com"}, names.asked)
	require.Eventually(t, func() bool { return count.Load() == 1 }, within, time.Millisecond)

	requireFails(t, begin(t, table, "tcp://a.example.com:"+port), abi.ErrnoAccess, "the name leads to an address that is not granted")
	require.Len(t, names.asked, 2)
	require.Equal(t, int64(1), count.Load())
	require.Equal(t, int64(1), n.Stats().Refused)
	require.Zero(t, n.Stats().Failed)
	require.Equal(t, []network.Event{{Refused: true, Address: "tcp://a.example.com:" + port, Why: "it leads to 127.0.0.2, which is loopback"}}, told.list())
}

// Whatever a name leads to, in whatever form, is not connected to if it is not granted.
func TestNamesThatLeadElsewhere(t *testing.T) {
	port, count := counting(t)
	for _, a := range []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "0.0.0.0", "::", "169.254.169.254", "::ffff:169.254.169.254",
		"fe80::1", "fe80::1%lo", "10.0.0.1", "224.0.0.1", "255.255.255.255",
	} {
		told, names := &events{}, &resolver{lists: [][]string{{a}}}
		_, table := open(t, network.Config{Tell: told.tell, Lookup: names.lookup, Private: []netip.Prefix{}}, "tcp://a.example.com:"+port)
		c := begin(t, table, "tcp://a.example.com:"+port)
		requireFails(t, c, abi.ErrnoAccess, "not granted")
		require.NotContains(t, c.Failure(), a)
		require.Len(t, told.list(), 1)
	}
	require.Zero(t, count.Load())
}

// One address that may be reached is enough, and the others are not.
func TestNamesOfSeveralAddresses(t *testing.T) {
	port, count := counting(t)
	told, names := &events{}, &resolver{lists: [][]string{{"10.0.0.1", "::1", "fe80::1%lo", "127.0.0.3", "127.0.0.2", "::ffff:127.0.0.1"}}}
	private := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	n, table := open(t, network.Config{Tell: told.tell, Lookup: names.lookup, Private: private}, "tcp://a.example.com:"+port)
	c := begin(t, table, "tcp://a.example.com:"+port)
	requireReady(t, c)
	send(t, c, "hello")
	require.Equal(t, "hello", receive(t, c, 5))
	require.Equal(t, int64(1), count.Load())
	require.Zero(t, n.Stats().Refused)
	require.Empty(t, told.list())
}

func TestNamesThatCannotBeResolved(t *testing.T) {
	for words, err := range map[string]error{
		"the name does not exist, or has no address": &net.DNSError{Err: "no such host", Name: "a.example.com", Server: "10.1.2.3:53", IsNotFound: true},
		"the name could not be resolved in time":     &net.DNSError{Err: "i/o timeout", Name: "a.example.com", Server: "10.1.2.3:53", IsTimeout: true},
		"the name could not be resolved":             errors.New("10.1.2.3:53 says no"),
		"the name has no address":                    nil,
	} {
		told := &events{}
		lookup := func(context.Context, string) ([]netip.Addr, error) { return nil, err }
		n, table := open(t, network.Config{Tell: told.tell, Lookup: lookup}, "tcp://a.example.com:1")
		c := begin(t, table, "tcp://a.example.com:1")
		requireFails(t, c, abi.ErrnoUnreachable, words)
		require.NotContains(t, c.Failure(), "10.1.2.3")
		require.Equal(t, []network.Event{{Address: "tcp://a.example.com:1", Why: words}}, told.list())
		require.Equal(t, int64(1), n.Stats().Failed)
	}
}

// The system's own resolver is asked, too.
func TestLocalhost(t *testing.T) {
	port, _ := counting(t)
	requireReady(t, dial(t, network.Config{}, "tcp://localhost:"+port))
}

func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := "tcp://" + l.Addr().String()
	require.NoError(t, l.Close())
	modes(t, func(t *testing.T, config network.Config) {
		told := &events{}
		config.Tell = told.tell
		requireFails(t, dial(t, config, address), abi.ErrnoRefused, "connection refused")
		require.Equal(t, []network.Event{{Address: address, Why: "connection refused"}}, told.list())
	})
}

// A name that is not resolved in time fails in time, and Close does not wait for it.
func TestSlowResolver(t *testing.T) {
	lookup := func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	requireFails(t, dial(t, network.Config{Lookup: lookup, Timeout: 20 * time.Millisecond}, "tcp://a.example.com:1"), abi.ErrnoUnreachable, "could not be resolved in time")

	told := &events{}
	n, table := open(t, network.Config{Lookup: lookup, Timeout: time.Hour, Tell: told.tell}, "tcp://a.example.com:1")
	c := begin(t, table, "tcp://a.example.com:1")
	_, errno := c.Wait(abi.WaitWrite, in(5*time.Millisecond))
	require.Equal(t, abi.ErrnoAgain, errno)
	_, errno = c.Read(make([]byte, 1), in(5*time.Millisecond))
	require.Equal(t, abi.ErrnoAgain, errno)
	_, errno = c.Write([]byte("x"), in(5*time.Millisecond))
	require.Equal(t, abi.ErrnoAgain, errno)
	require.Equal(t, abi.ErrnoAgain, c.StartTLS("a.example.com"))
	require.Equal(t, abi.ErrnoAgain, c.CloseWrite())
	require.NoError(t, n.Close())
	_, errno = c.Wait(abi.WaitWrite, soon())
	require.Equal(t, abi.ErrnoReset, errno)
	_, errno = table.Dial("tcp://a.example.com:1")
	require.Equal(t, abi.ErrnoReset, errno)
	require.Zero(t, n.Stats().Conns)
	require.Empty(t, told.list(), "the host closed it, which is no failure")
}

// Whoever waits for a connection, by reading or writing, gets it.
func TestReadAndWriteWaitForTheConnection(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		address := serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			c.Write([]byte("welcome"))
			echo(c)
		})
		c := dial(t, s.config, s.scheme+"://"+address)
		require.Equal(t, "welcome", receive(t, c, 7))
		c = dial(t, s.config, s.scheme+"://"+address)
		send(t, c, "hello")
		require.Equal(t, "welcomehello", receive(t, c, 12))
	})
}
