//go:build unix && !race

package network_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// answerer is a server that answers each request of size bytes by as many, without
// allocating.
func answerer(size int) func(net.Conn) {
	return func(c net.Conn) {
		p := make([]byte, size)
		for {
			if _, err := io.ReadFull(c, p); err != nil {
				return
			}
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}
}

// roundTrip writes and reads in the way of a guest that waits in the host, or of one that
// polls.
func roundTrip(t testing.TB, c *network.Conn, p []byte, polls bool, done <-chan struct{}) {
	until := network.Until{At: time.Now().Add(within), Done: done}
	if n, errno := c.Write(p, until); errno != 0 || n != len(p) {
		t.Fatal(errno)
	}
	for at := 0; at < len(p); {
		if polls {
			n, errno := c.Read(p[at:], now)
			if at += n; errno == 0 {
				continue
			}
			subs := [1]network.Subscription{{Conn: c, Events: abi.WaitRead}}
			network.Poll(subs[:], until)
		}
		n, errno := c.Read(p[at:], until)
		if errno != 0 || n == 0 {
			t.Fatal(n, errno)
		}
		at += n
	}
}

// A request and its answer allocate nothing, whether the guest waits in the host or polls,
// and whether a channel can end its waits.
func TestNoAllocations(t *testing.T) {
	const size = 300
	c := setup{network.Config{}, "tcp", nil}.connect(t, answerer(size))
	done := make(chan struct{})
	for name, polls := range map[string]bool{"waits": false, "polls": true} {
		for _, done := range []chan struct{}{nil, done} {
			p := make([]byte, size)
			allocs := testing.AllocsPerRun(500, func() { roundTrip(t, c, p, polls, done) })
			require.Zero(t, allocs, name)
		}
	}
	p := make([]byte, size)
	require.Zero(t, testing.AllocsPerRun(500, func() {
		c.Read(p, now)
		c.Wait(abi.WaitRead, now)
		c.Wait(abi.WaitWrite, now)
	}))
}

func BenchmarkRoundTrip(b *testing.B) {
	const size = 300
	b.Run("net.Conn", func(b *testing.B) {
		c, err := net.Dial("tcp", serve(b, answerer(size)))
		require.NoError(b, err)
		defer c.Close()
		p := make([]byte, size)
		b.ReportAllocs()
		for b.Loop() {
			c.SetDeadline(time.Now().Add(within))
			c.Write(p)
			io.ReadFull(c, p)
		}
	})
	done := make(chan struct{})
	for name, polls := range map[string]bool{"waits": false, "polls": true} {
		for mode, config := range map[string]network.Config{"direct": {}, "portable": network.Portable(network.Config{})} {
			b.Run(name+"/"+mode, func(b *testing.B) {
				c := setup{config, "tcp", nil}.connect(b, answerer(size))
				p := make([]byte, size)
				b.ReportAllocs()
				for b.Loop() {
					roundTrip(b, c, p, polls, done)
				}
			})
		}
	}
}
