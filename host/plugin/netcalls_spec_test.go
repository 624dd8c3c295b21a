package plugin_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// What a guest gets from the functions of section 10, in compiled code and interpreted.
func TestNetworkFunctions(t *testing.T) {
	s := newEcho(t)
	tcp := "tcp://" + s.address
	for how, openGuest := range engines {
		t.Run(how, func(t *testing.T) {
			p, err := openGuest(ctx, guest(t, "netcalls"), reaching(tcp))
			require.NoError(t, err)
			defer p.Close(ctx)
			g := netCalls{t, p}

			// What is none, or not granted, is refused at once.
			for address, errno := range map[string]int32{
				"": abi.ErrnoInvalid, "127.0.0.1:80": abi.ErrnoInvalid, "udp://127.0.0.1:80": abi.ErrnoInvalid, tcp + "\x00": abi.ErrnoInvalid,
				"tcp://" + strings.Repeat("a", 4000) + ":80": abi.ErrnoInvalid, "tcp://127.0.0.1:1": abi.ErrnoAccess, "tcp://example.com:443": abi.ErrnoAccess,
				"unix:///run/x.sock": abi.ErrnoAccess,
			} {
				require.Equal(t, negated(errno), g.dial(address), address)
				n := g.call("conn_error", waitLong, netData, 200)
				require.Greater(t, n, 0, "it is said in words, too")
			}
			require.Equal(t, negated(abi.ErrnoAccess), g.dial("tcp://example.com:443"))
			n := g.call("conn_error", 1<<32-1, netData, 200)
			require.Contains(t, string(g.region(netData, uint64(n))), "not granted")

			fd := g.connect(tcp)
			require.Zero(t, g.call("conn_error", fd, netData, 100), "nothing has failed")
			require.Equal(t, negated(abi.ErrnoAgain), g.call("conn_read", fd, netData, 100, 0))
			require.Equal(t, negated(abi.ErrnoAgain), g.call("conn_wait", fd, uint64(abi.WaitRead), 20))
			began := time.Now()
			require.Equal(t, negated(abi.ErrnoAgain), g.call("conn_read", fd, netData, 100, 50))
			require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)

			g.put(netData, []byte("quack\n"))
			require.Equal(t, 6, g.call("conn_write", fd, netData, 6, waitLong))
			require.EqualValues(t, abi.WaitRead, g.call("conn_wait", fd, uint64(abi.WaitRead), waitLong))
			require.EqualValues(t, abi.WaitRead|abi.WaitWrite, g.call("conn_wait", fd, uint64(abi.WaitRead|abi.WaitWrite), 0))
			require.Equal(t, 3, g.call("conn_read", fd, netData+100, 3, 0), "no more than it wants")
			require.Equal(t, 3, g.call("conn_read", fd, netData+103, 1000, 0), "no more than there is")
			require.Equal(t, "quack\n", string(g.region(netData+100, 6)))

			// A use that is none.
			require.Equal(t, negated(abi.ErrnoInvalid), g.call("conn_read", fd, netData, 0, 0))
			require.Equal(t, negated(abi.ErrnoInvalid), g.call("conn_write", fd, netData, 0, 0))
			for _, events := range []uint64{0, 4, 7, 1 << 31} {
				require.Equal(t, negated(abi.ErrnoInvalid), g.call("conn_wait", fd, events, 0))
			}
			for _, none := range []uint64{0, 1, 3, abi.FirstConn - 1, fd + 1, 1<<32 - 1} {
				for name, args := range map[string][]uint64{
					"conn_wait": {none, 1, waitLong}, "conn_read": {none, netData, 1, waitLong}, "conn_write": {none, netData, 1, waitLong},
					"conn_start_tls": {none, netData, 1}, "conn_close": {none},
				} {
					require.Equal(t, negated(abi.ErrnoBadDescriptor), g.call(name, args...), "%s %d", name, args)
				}
			}
			require.Equal(t, negated(abi.ErrnoBadDescriptor), g.call("conn_error", fd+1, netData, 1))

			// The end, and what was said before it.
			require.Zero(t, g.call("conn_close", fd))
			require.Equal(t, negated(abi.ErrnoBadDescriptor), g.call("conn_close", fd))
			require.Equal(t, negated(abi.ErrnoBadDescriptor), g.call("conn_read", fd, netData, 1, waitLong))
			require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond)
			require.NotEqual(t, fd, g.connect(tcp), "a number is not used again at once")
			fd = g.connect(tcp)
			require.Eventually(t, func() bool { return s.open() == 2 }, time.Minute, time.Millisecond)
			s.cut()
			require.EqualValues(t, abi.WaitRead, g.call("conn_wait", fd, uint64(abi.WaitRead), waitLong))
			require.Zero(t, g.call("conn_read", fd, netData, 1, 0))
			require.Zero(t, p.Stats().Restarts)
		})
	}
}

// A connection is a socket of WASI at the same time.
func TestNetworkSockets(t *testing.T) {
	const (
		inval, badf, notsup, fault, again = 28, 8, 58, 21, 6
		nonblock, socketStream            = 4, 6
		vectors, size                     = netData + 0x100, netData + 0x200
	)
	s := newEcho(t)
	tcp := "tcp://" + s.address
	for how, openGuest := range engines {
		t.Run(how, func(t *testing.T) {
			p, err := openGuest(ctx, guest(t, "netcalls"), reaching(tcp))
			require.NoError(t, err)
			defer p.Close(ctx)
			g := netCalls{t, p}
			vector := func(list ...uint32) {
				var b []byte
				for _, n := range list {
					b = binary.LittleEndian.AppendUint32(b, n)
				}
				g.put(vectors, b)
			}
			moved := func() uint32 { return binary.LittleEndian.Uint32(g.region(size, 4)) }
			fd := g.connect(tcp)

			require.Zero(t, g.call("fd_fdstat_get", fd, netData))
			stat := g.region(netData, 24)
			require.EqualValues(t, socketStream, stat[0])
			require.EqualValues(t, nonblock, stat[2])
			require.Zero(t, g.call("fd_filestat_get", fd, netData))
			require.EqualValues(t, socketStream, g.region(netData, 64)[16])

			vector(netData, 3, netData+3, 0, netData+3, 3)
			require.Equal(t, again, g.call("fd_read", fd, vectors, 3, size))
			g.put(netData, []byte("quack\n"))
			require.Zero(t, g.call("fd_write", fd, vectors, 3, size))
			require.EqualValues(t, 6, moved())
			require.EqualValues(t, abi.WaitRead, g.call("conn_wait", fd, uint64(abi.WaitRead), waitLong))
			vector(netData+100, 4, netData+104, 100)
			require.Zero(t, g.call("fd_read", fd, vectors, 2, size))
			require.EqualValues(t, 6, moved())
			require.Equal(t, "quack\n", string(g.region(netData+100, 6)))

			// send and recv are the same, without flags.
			vector(netData+100, 6)
			require.Equal(t, notsup, g.call("sock_send", fd, vectors, 1, 1, size))
			require.Zero(t, g.call("sock_send", fd, vectors, 1, 0, size))
			require.Equal(t, notsup, g.call("sock_recv", fd, vectors, 1, 1, size, size+4))
			require.Zero(t, g.call("fd_fdstat_set_flags", fd, 0), "one that waits")
			require.Zero(t, g.call("sock_recv", fd, vectors, 1, 0, size, size+4))
			require.EqualValues(t, 6, moved())
			require.Zero(t, g.call("fd_fdstat_get", fd, netData))
			require.Zero(t, g.region(netData, 24)[2])
			require.Zero(t, g.call("fd_fdstat_set_flags", fd, nonblock))
			require.Equal(t, inval, g.call("fd_fdstat_set_flags", fd, 1))
			require.Equal(t, again, g.call("sock_recv", fd, vectors, 1, 0, size, size+4))

			// Regions outside the memory are errors, as of WASI's other functions.
			for _, list := range [][]uint32{{netMemory, 1}, {netMemory - 1, 2}, {1<<32 - 1, 1<<32 - 1}} {
				vector(list...)
				require.Equal(t, fault, g.call("fd_read", fd, vectors, 1, size))
				require.Equal(t, fault, g.call("fd_write", fd, vectors, 1, size))
				require.Equal(t, fault, g.call("sock_recv", fd, vectors, 1, 0, size, size+4))
			}
			vector(netData, 1)
			for name, args := range map[string][]uint64{
				"fd_read": {fd, netMemory - 7, 1, size}, "fd_write": {fd, vectors, 1, netMemory - 3}, "sock_recv": {fd, vectors, 1, 0, size, netMemory - 1},
				"sock_send": {fd, vectors, 1, 0, netMemory - 3}, "fd_fdstat_get": {fd, netMemory - 23}, "fd_filestat_get": {fd, netMemory - 63},
			} {
				require.Equal(t, fault, g.call(name, args...), name)
			}
			require.Equal(t, inval, g.call("fd_read", fd, vectors, 1025, size))
			require.Equal(t, inval, g.call("sock_send", fd, vectors, 1<<32-1, 0, size))

			// What it is not.
			require.NotZero(t, g.call("fd_seek", fd, 0, 0, size))
			require.NotZero(t, g.call("fd_renumber", fd, 1))
			require.NotZero(t, g.call("fd_renumber", 1, fd))
			require.NotZero(t, g.call("sock_accept", fd, 0, size))
			require.Equal(t, badf, g.call("fd_read", fd+1, vectors, 1, size))

			// Half of it is closed, and then all.
			for _, how := range []uint64{0, 4, 1 << 31} {
				require.Equal(t, inval, g.call("sock_shutdown", fd, how))
			}
			require.Zero(t, g.call("sock_shutdown", fd, 2))
			require.Equal(t, int(abi.ErrnoPipe), g.call("fd_write", fd, vectors, 1, size))
			require.EqualValues(t, abi.WaitRead, g.call("conn_wait", fd, uint64(abi.WaitRead), waitLong), "the other side ends, too")
			require.Zero(t, g.call("fd_read", fd, vectors, 1, size))
			require.Zero(t, moved())
			require.Zero(t, g.call("fd_close", fd))
			require.Equal(t, badf, g.call("fd_close", fd))
			require.Zero(t, p.Stats().Restarts+uint64(p.Stats().Network.Connections))
		})
	}
}

// pollOf is a list of subscriptions.
func pollOf(list ...[]byte) []byte { return []byte(strings.Join(stringsOf(list), "")) }

func stringsOf(list [][]byte) (out []string) {
	for _, b := range list {
		out = append(out, string(b))
	}
	return out
}

func pollClock(user uint64, d time.Duration) []byte {
	s := make([]byte, 48)
	binary.LittleEndian.PutUint64(s, user)
	binary.LittleEndian.PutUint32(s[16:], 1)
	binary.LittleEndian.PutUint64(s[24:], uint64(d))
	return s
}

func pollSocket(user, fd uint64, write bool) []byte {
	s := make([]byte, 48)
	binary.LittleEndian.PutUint64(s, user)
	s[8] = 1
	if write {
		s[8] = 2
	}
	binary.LittleEndian.PutUint32(s[16:], uint32(fd))
	return s
}

// event is what a poll said.
type event struct {
	user  uint64
	errno uint16
	kind  byte
}

// poll polls and returns the events.
func (g netCalls) poll(list ...[]byte) (events []event) {
	g.t.Helper()
	const in, out, count = netData + 0x1000, netData + 0x80000, netData
	g.put(in, pollOf(list...))
	require.Zero(g.t, g.call("poll_oneoff", in, out, uint64(len(list)), count))
	n := uint64(binary.LittleEndian.Uint32(g.region(count, 4)))
	b := g.region(out, 32*n)
	for ; len(b) > 0; b = b[32:] {
		events = append(events, event{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:]), b[10]})
	}
	return events
}

// poll_oneoff waits for sockets and clocks, and tells of those that are ready.
func TestNetworkPoll(t *testing.T) {
	address, server := "", make(chan net.Conn, 2)
	address = listen(t, func(c net.Conn) {
		server <- c
		_, _ = c.Read(make([]byte, 1)) // until the guest closes it
	})
	config := reaching("tcp://" + address)
	config.Network.Wait = 5 * time.Second
	g := openNetCalls(t, config)
	fd := g.connect("tcp://" + address)
	other := <-server

	took := func(f func()) time.Duration {
		began := time.Now()
		f()
		return time.Since(began)
	}
	const clock, read, write, badf = 0, 1, 2, 8
	require.Equal(t, []event{{8, 0, write}}, g.poll(pollSocket(7, fd, false), pollSocket(8, fd, true)))
	require.Equal(t, []event{{9, 0, clock}}, g.poll(pollSocket(7, fd, false), pollClock(9, 0)), "nothing is there yet")
	require.GreaterOrEqual(t, took(func() {
		require.Equal(t, []event{{9, 0, clock}}, g.poll(pollClock(10, time.Hour), pollClock(9, 80*time.Millisecond), pollSocket(7, fd, false)))
	}), 80*time.Millisecond, "it really waits")
	time.AfterFunc(50*time.Millisecond, func() { _, _ = other.Write([]byte("x")) })
	require.Equal(t, []event{{7, 0, read}}, g.poll(pollClock(9, time.Hour), pollSocket(7, fd, false)), "it wakes for the socket")
	require.Equal(t, []event{{7, badf, read}}, g.poll(pollSocket(7, fd+5, false), pollClock(9, time.Hour)))
	require.Equal(t, []event{{7, badf, read}, {8, 0, read}}, g.poll(pollSocket(7, 9, false), pollSocket(8, fd, false), pollClock(9, time.Hour)))
	require.Equal(t, []event{{7, 0, write}}, g.poll(pollSocket(7, 1, true), pollClock(9, time.Hour)), "standard output takes everything")

	// A moment, by either clock.
	moment := func(clock uint32, at time.Duration) []byte {
		s := pollClock(9, at)
		binary.LittleEndian.PutUint32(s[16:], clock)
		s[40] = 1
		return s
	}
	require.GreaterOrEqual(t, took(func() {
		g.poll(moment(0, time.Duration(time.Now().Add(80*time.Millisecond).UnixNano())))
	}), 79*time.Millisecond)
	require.Less(t, took(func() { g.poll(moment(0, time.Duration(time.Now().Add(-time.Hour).UnixNano()))) }), 5*time.Second)
	require.Less(t, took(func() { g.poll(moment(1, 1)) }), 5*time.Second)
	require.Zero(t, g.p.Stats().Limits[plugin.LimitNetworkWait])
}
