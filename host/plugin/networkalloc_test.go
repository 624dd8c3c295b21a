package plugin_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

// Reading, writing and polling allocate nothing in the host, whether they wait or not, beside the
// value that Get returns.
func TestNetworkAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	address := "tcp://" + listen(t, func(c net.Conn) {
		for b := make([]byte, 100); ; {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			_, _ = c.Write(b[:n])
		}
	})
	for how, trust := range trusts {
		t.Run(how, func(t *testing.T) {
			config := reaching(address)
			trust(&config)
			g := openNetCalls(t, config)
			fd := g.connect(address)
			g.put(netData, []byte("quack\n"))
			const list, out, count = netData + 0x1000, netData + 0x2000, netData + 0x3000
			g.put(list, append(pollSocket(7, fd, false), pollClock(8, 1<<40)...))
			write := netCall("conn_write", fd, netData, 6, waitLong)
			read := netCall("conn_read", fd, netData+0x100, 100, waitLong)
			poll := netCall("poll_oneoff", list, out, 2, count)
			wait := netCall("conn_wait", fd, uint64(abi.WaitRead), waitLong)
			call := func(block []byte) {
				if _, err := g.p.Get(ctx, block, 1); err != nil {
					t.Error(err)
				}
			}
			for name, waits := range map[string][]byte{"conn_read": nil, "poll_oneoff": poll, "conn_wait": wait} {
				calls := 2.0
				allocated := testing.AllocsPerRun(200, func() {
					call(write)
					if waits != nil {
						call(waits)
					}
					call(read)
				})
				if waits != nil {
					calls++
				}
				require.Less(t, allocated-calls, 0.5, name)
			}
		})
	}
}
