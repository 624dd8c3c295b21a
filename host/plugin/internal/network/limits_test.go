package network_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// goroutines returns the stacks of those that the package has started.
func goroutines() (list []string) {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "/internal/network.") && !strings.Contains(stack, "/internal/network_test.") {
			list = append(list, stack)
		}
	}
	return list
}

// requireNoGoroutines waits until there are none.
func requireNoGoroutines(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(within); len(goroutines()) > 0; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "%s", strings.Join(goroutines(), "\n\n"))
	}
}

// Connections are bounded, of a network and of all networks of a host, however they are
// used, and what they took is given back.
func TestConnectionsAreBounded(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		address := s.scheme + "://" + serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			echo(c)
		})
		host := network.NewHost(5)
		s.config.Host, s.config.MaxConns = host, 3
		first, a := open(t, s.config, address, "tcp://127.0.0.1:1")
		second, b := open(t, s.config, address)
		for range 5 {
			for range 3 {
				c := begin(t, a, address)
				requireReady(t, c)
				send(t, c, "x")
			}
			_, errno := a.Dial(address)
			require.Equal(t, abi.ErrnoTooMany, errno)
			require.Contains(t, a.Failure(), "too many connections are open")
			requireReady(t, begin(t, b, address))
			requireReady(t, begin(t, b, address))
			_, errno = b.Dial(address)
			require.Equal(t, abi.ErrnoTooMany, errno, "the host has no more")
			require.Equal(t, 5, host.Conns())
			require.Equal(t, 3, first.Stats().Conns)

			a.Conn(lastOf(a)).Close()
			require.Eventually(t, func() bool { return host.Conns() == 4 }, within, time.Millisecond) // it may say goodbye
			requireReady(t, begin(t, b, address))
			a.Reset()
			b.Reset()
			require.Zero(t, host.Conns())
		}
		// One that failed counts until it is closed: the guest has its number.
		if s.tls == nil {
			c := begin(t, a, "tcp://127.0.0.1:1")
			requireFails(t, c, abi.ErrnoRefused, "refused")
			require.Equal(t, 1, first.Stats().Conns)
			c.Close()
		}
		require.Zero(t, first.Stats().Conns)
		require.Equal(t, int64(5), first.Stats().Limited)
		require.Equal(t, int64(5), second.Stats().Limited)
	})
}

// lastOf returns the number of a connection that is open.
func lastOf(t *network.Table) int32 {
	for fd := int32(abi.FirstConn + 1000); ; fd-- {
		if t.Conn(fd) != nil {
			return fd
		}
	}
}

// A number is not used again: a guest may still have it.
func TestNumbersAreUsedOnce(t *testing.T) {
	address := "tcp://" + serve(t, echo)
	_, table := open(t, network.Config{}, address)
	seen := map[int32]bool{}
	for i := range 20 {
		fd, errno := table.Dial(address)
		require.Zero(t, errno)
		require.False(t, seen[fd])
		require.GreaterOrEqual(t, fd, int32(abi.FirstConn))
		seen[fd] = true
		if i%2 == 0 {
			table.Conn(fd).Close()
			require.Nil(t, table.Conn(fd))
		} else {
			table.Reset()
		}
	}
}

// Ten thousand dials cost what the bounds allow, whatever becomes of them.
func TestTenThousandDials(t *testing.T) {
	port, count := counting(t)
	n, table := open(t, network.Config{MaxConns: 8, MaxDials: 50}, "tcp://127.0.0.1:"+port)
	errnos := map[int32]int{}
	most := 0
	began := time.Now()
	for i := range 10_000 {
		fd, errno := table.Dial("tcp://127.0.0.1:" + port)
		errnos[errno]++
		if errno == 0 && i%2 == 0 {
			table.Conn(fd).Close()
		}
		if i%100 == 0 {
			most = max(most, len(goroutines()))
		}
	}
	allowed := 50 + int(50*time.Since(began).Seconds()) + 1
	require.LessOrEqual(t, errnos[0], allowed)
	require.Equal(t, 10_000, errnos[0]+errnos[abi.ErrnoTooMany])
	require.NotZero(t, errnos[abi.ErrnoTooMany])
	stats := n.Stats()
	require.Equal(t, int64(errnos[0]), stats.Dials)
	require.Equal(t, int64(errnos[abi.ErrnoTooMany]), stats.Limited)
	require.LessOrEqual(t, stats.Conns, 8)
	require.LessOrEqual(t, count.Load(), int64(allowed))
	require.LessOrEqual(t, most, 2*8) // some have given their room back, and are about to end
	require.NoError(t, n.Close())
	require.Zero(t, n.Stats().Conns)
}

func TestDialsAreBoundedBySecond(t *testing.T) {
	port, _ := counting(t)
	_, table := open(t, network.Config{MaxConns: 1000, MaxDials: 5}, "tcp://127.0.0.1:"+port)
	for range 5 {
		begin(t, table, "tcp://127.0.0.1:"+port)
	}
	_, errno := table.Dial("tcp://127.0.0.1:" + port)
	require.Equal(t, abi.ErrnoTooMany, errno)
	require.Equal(t, "more than 5 connections a second", table.Failure())
	require.Eventually(t, func() bool {
		_, errno := table.Dial("tcp://127.0.0.1:" + port)
		return errno == 0
	}, within, 10*time.Millisecond)
}

// A hundred goroutines use the connections of one table, and end in the middle of it.
func TestHundredGoroutines(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		t.Run("", func(t *testing.T) {
			address := s.scheme + "://" + serve(t, func(c net.Conn) {
				if s.tls != nil {
					c = handshake(c, s.tls)
				}
				echo(c)
			})
			s.config.MaxConns, s.config.MaxDials = 50, 100_000
			n, table := open(t, s.config, address)
			var work sync.WaitGroup
			stop := make(chan struct{})
			var numbers sync.Map
			for g := range 100 {
				work.Go(func() {
					p := make([]byte, 100)
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						fd, errno := table.Dial(address)
						if errno != 0 {
							if errno != abi.ErrnoTooMany && errno != abi.ErrnoReset {
								t.Errorf("errno %d", errno)
							}
							// Those of others are used and closed, too.
							numbers.Range(func(key, _ any) bool {
								if c := table.Conn(key.(int32)); c != nil {
									c.Read(p, now)
									c.Write(p[:1], now)
									network.Poll([]network.Subscription{{Conn: c, Events: abi.WaitRead | abi.WaitWrite}, {Conn: c, Events: abi.WaitRead}}, in(time.Millisecond))
									if i%7 == 0 {
										c.Close()
									}
								}
								return i%3 == 0
							})
							continue
						}
						c := table.Conn(fd)
						if g%5 == 0 {
							numbers.Store(fd, nil)
						}
						if c == nil {
							continue
						}
						said := fmt.Sprint("goroutine ", g, " says ", i)
						c.Write([]byte(said), in(10*time.Millisecond))
						got, errno := 0, int32(0)
						for end := in(10 * time.Millisecond); errno == 0 && got < len(said); {
							var n int
							if n, errno = c.Read(p[got:], end); n == 0 {
								break
							}
							got += n
						}
						if g%5 != 0 && got == len(said) && string(p[:got]) != said {
							t.Errorf("%q instead of %q", p[:got], said)
						}
						c.Close()
						numbers.Delete(fd)
						n.Stats()
					}
				})
			}
			time.Sleep(150 * time.Millisecond)
			table.Reset()
			time.Sleep(50 * time.Millisecond)
			require.NoError(t, n.Close())
			close(stop)
			work.Wait()
			require.Zero(t, n.Stats().Conns)
			require.Zero(t, n.Stats().Buffered)
			_, errno := table.Dial(address)
			require.Equal(t, abi.ErrnoReset, errno)
		})
		requireNoGoroutines(t)
	})
}

// Goroutines end with their connection, whatever they were at, without Close of the network.
func TestGoroutinesEndWithTheConnection(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		hold := make(chan struct{})
		address := s.scheme + "://" + serve(t, func(c net.Conn) {
			if s.tls != nil {
				handshake(c, s.tls)
			}
			<-hold
		})
		defer close(hold)
		n, table := open(t, s.config, address)
		for i := range 8 {
			c := begin(t, table, address)
			requireReady(t, c)
			for len(goroutines()) == 0 {
				network.Poll([]network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitRead}}, in(time.Millisecond))
			}
			if i%2 == 0 {
				for errno := int32(0); errno == 0; {
					_, errno = c.Write(make([]byte, 1<<20), now)
				}
			}
			network.Poll([]network.Subscription{{Conn: c, Events: abi.WaitWrite}, {Conn: c, Events: abi.WaitRead}}, in(time.Millisecond))
			if i%4 < 2 {
				c.Close()
			} else {
				table.Reset()
			}
			requireNoGoroutines(t)
			require.Zero(t, n.Stats().Conns)
		}
	})
}

// What was written before Close is sent.
func TestCloseSendsWhatWasWritten(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		start, read := signal()
		defer read()
		got := make(chan int, 1)
		address := s.scheme + "://" + serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			<-start
			n, _ := io.Copy(io.Discard, c)
			got <- int(n)
		})
		n, table := open(t, network.Lingering(s.config, within), address)
		c := begin(t, table, address)
		requireReady(t, c)
		sent := 0
		for errno := int32(0); errno == 0; {
			var n int
			n, errno = c.Write(make([]byte, 100_000), in(time.Millisecond))
			sent += n
		}
		c.Close()
		read()
		require.Equal(t, sent, <-got)
		require.Eventually(t, func() bool { return n.Stats().Conns == 0 && n.Stats().Buffered == 0 }, within, time.Millisecond)
		require.Equal(t, int64(sent), n.Stats().Out)
	})
}

// Who reads nothing keeps a closed connection for a while, and no longer.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		address := s.scheme + "://" + serve(t, func(c net.Conn) {
			if s.tls != nil {
				defer handshake(c, s.tls).Close()
			}
			silence(c)
		})
		n, table := open(t, network.Lingering(s.config, 50*time.Millisecond), address)
		c := begin(t, table, address)
		requireReady(t, c)
		for errno := int32(0); errno == 0; {
			_, errno = c.Write(make([]byte, 100_000), in(time.Millisecond))
		}
		c.Close()
		require.Eventually(t, func() bool { return n.Stats().Conns == 0 }, within, 10*time.Millisecond)
	})
}

func TestStats(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		address := s.scheme + "://" + serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			echo(c)
		})
		n, table := open(t, s.config, address)
		c := begin(t, table, address)
		requireReady(t, c)
		for i := range 10 {
			send(t, c, "hello")
			if i%2 == 0 {
				ready, errno := c.Wait(abi.WaitRead, soon())
				require.Zero(t, errno)
				require.Equal(t, abi.WaitRead, ready)
				require.Positive(t, n.Stats().Buffered)
			}
			require.Equal(t, "hello", receive(t, c, 5))
			require.Eventually(t, func() bool { return n.Stats().Buffered == 0 }, within, time.Millisecond)
		}
		require.Equal(t, network.Stats{Conns: 1, Dials: 1, In: 50, Out: 50}, n.Stats())
	})
}
