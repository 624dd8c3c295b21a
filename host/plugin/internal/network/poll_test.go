package network_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// A poll of several connections returns when one of them is ready, and says which.
func TestPoll(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		const conns = 20
		address := serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			p := make([]byte, 1)
			for i := 0; ; i++ {
				if _, err := c.Read(p); err != nil {
					return
				}
				if i%2 == 0 {
					time.Sleep(time.Millisecond) // the poll has looked, and waits
				}
				c.Write(p)
			}
		})
		_, table := open(t, s.config, s.scheme+"://"+address)
		subs := make([]network.Subscription, conns)
		for i := range subs {
			subs[i] = network.Subscription{Conn: begin(t, table, s.scheme+"://"+address), Events: abi.WaitRead}
			requireReady(t, subs[i].Conn)
		}
		network.Poll(subs, now)
		for _, sub := range subs {
			require.Zero(t, sub.Ready)
		}
		for round := range 3 * conns {
			talks := round * 7 % conns
			go func() {
				if round%2 == 0 {
					time.Sleep(100 * time.Microsecond)
				}
				subs[talks].Conn.Write([]byte("x"), soon())
			}()
			network.Poll(subs, soon())
			for i, sub := range subs {
				if i == talks {
					require.Equal(t, abi.WaitRead, sub.Ready)
				} else {
					require.Zero(t, sub.Ready)
				}
			}
			require.Equal(t, "x", receive(t, subs[talks].Conn, 1))
		}
		// Each side of a connection by itself, as WASI asks for them.
		c := subs[0].Conn
		both := []network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitWrite}}
		network.Poll(both, soon())
		require.Zero(t, both[0].Ready)
		require.Equal(t, abi.WaitWrite, both[1].Ready)
		// One that is closed is ready for whatever is tried next.
		subs[3].Conn.Close()
		network.Poll(subs, soon())
		require.Equal(t, abi.WaitRead, subs[3].Ready)
	})
}

// A poll waits for room, too, alone and beside others, for one that is being made, and for
// the time.
func TestPollForRoom(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		for _, alone := range []bool{true, false} {
			start, open := signal()
			defer open()
			c := s.connect(t, func(c net.Conn) {
				if s.tls != nil {
					c.Read(nil) // the handshake
				}
				<-start
				io.Copy(io.Discard, c)
			})
			fill(t, c)
			subs := []network.Subscription{{Conn: c, Events: abi.WaitWrite}}
			if !alone {
				subs = append(subs, network.Subscription{Conn: c, Events: abi.WaitRead})
			}
			network.Poll(subs, in(10*time.Millisecond))
			require.Zero(t, subs[0].Ready)
			time.AfterFunc(time.Millisecond, open)
			network.Poll(subs, soon())
			require.Equal(t, abi.WaitWrite, subs[0].Ready)
			n, errno := c.Write([]byte("more"), now)
			require.Zero(t, errno)
			require.Equal(t, 4, n)
		}
	})
}

// fill writes until there is no more room. The system makes more for a while.
func fill(t *testing.T, c *network.Conn) {
	p := make([]byte, 1<<20)
	for {
		_, errno := c.Write(p, in(time.Millisecond))
		require.Contains(t, []int32{0, abi.ErrnoAgain}, errno, c.Failure())
		if _, errno := c.Wait(abi.WaitWrite, in(50*time.Millisecond)); errno == abi.ErrnoAgain {
			return
		}
	}
}

func TestPollOfNothing(t *testing.T) {
	began := time.Now()
	network.Poll(nil, in(10*time.Millisecond))
	require.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond)
	network.Poll(nil, now)
	done := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { close(done) })
	network.Poll(nil, network.Until{At: time.Now().Add(time.Hour), Done: done})
}

// A channel ends the waits that were given it, whatever they wait for, and no others. What
// is there is still read.
func TestDoneEndsWaits(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		address := serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			echo(c)
		})
		_, table := open(t, s.config, s.scheme+"://"+address)
		const conns = 8
		done, other := make(chan struct{}), make(chan struct{})
		defer close(other)
		var ended, goOn sync.WaitGroup
		var list []*network.Conn
		for i := range conns {
			c := begin(t, table, s.scheme+"://"+address)
			requireReady(t, c)
			list = append(list, c)
			wait := func(done chan struct{}) int32 {
				until := network.Until{At: time.Now().Add(time.Hour), Done: done}
				if i%4 < 2 {
					_, errno := c.Wait(abi.WaitRead, until)
					return errno
				}
				_, errno := c.Read(make([]byte, 1), until)
				return errno
			}
			if i%2 == 0 {
				ended.Go(func() {
					if errno := wait(done); errno != abi.ErrnoAgain {
						t.Errorf("errno %d", errno)
					}
				})
			} else {
				goOn.Go(func() {
					if errno := wait(other); errno != 0 {
						t.Errorf("errno %d", errno)
					}
				})
			}
		}
		time.Sleep(5 * time.Millisecond)
		close(done)
		ended.Wait()
		for i := range conns {
			if i%2 == 1 {
				send(t, list[i], "x")
			}
		}
		goOn.Wait()

		c := list[0]
		late := network.Until{At: time.Now().Add(time.Hour), Done: done}
		_, errno := c.Read(make([]byte, 1), late)
		require.Equal(t, abi.ErrnoAgain, errno)
		send(t, c, "y")
		require.Eventually(t, func() bool {
			n, _ := c.Read(make([]byte, 1), late)
			return n == 1
		}, within, time.Millisecond)
		n, errno := c.Write([]byte("z"), late)
		require.Zero(t, errno)
		require.Equal(t, 1, n)
		require.Equal(t, "z", receive(t, c, 1))
	})
}

// Channels that come and go leave one goroutine at most.
func TestManyChannels(t *testing.T) {
	c := dial(t, network.Config{}, "tcp://"+serve(t, echo))
	requireReady(t, c)
	for range 200 {
		done := make(chan struct{})
		_, errno := c.Read(make([]byte, 1), network.Until{At: time.Now().Add(100 * time.Microsecond), Done: done})
		require.Equal(t, abi.ErrnoAgain, errno)
	}
	require.Eventually(t, func() bool { return len(goroutines()) <= 1 }, within, time.Millisecond)
}
