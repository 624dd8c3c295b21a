package network_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

func TestReadAndWrite(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		c := s.connect(t, echo)
		_, errno := c.Read(make([]byte, 10), now)
		require.Equal(t, abi.ErrnoAgain, errno)
		_, errno = c.Read(make([]byte, 10), in(10*time.Millisecond))
		require.Equal(t, abi.ErrnoAgain, errno)
		for i := range 20 {
			said := strings.Repeat("hello", i*i+1)
			send(t, c, said)
			require.Equal(t, said, receive(t, c, len(said)))
		}
		n, errno := c.Read(nil, now)
		require.Zero(t, errno)
		require.Zero(t, n)
		n, errno = c.Write(nil, now)
		require.Zero(t, errno)
		require.Zero(t, n)

		// What is closed for writing can still be read.
		send(t, c, "last")
		require.Zero(t, c.CloseWrite())
		require.Zero(t, c.CloseWrite())
		_, errno = c.Write([]byte("more"), soon())
		require.Equal(t, abi.ErrnoPipe, errno)
		require.Equal(t, "last", receive(t, c, 4))
		requireEnd(t, c)
		requireEnd(t, c)
	})
}

// Everything arrives, in its order, whatever the sizes of what is written, read and waited
// for, and whichever ways of reading follow one another.
func TestEverythingArrives(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		s.config.MaxDials = 1000
		address := s.scheme + "://" + serve(t, func(c net.Conn) {
			if s.tls != nil {
				c = handshake(c, s.tls)
			}
			echo(c)
			if c, ok := c.(*tls.Conn); ok {
				c.CloseWrite()
			}
		})
		_, table := open(t, s.config, address)
		for i := range 24 {
			c := begin(t, table, address)
			size := 100_000
			if i == 0 {
				size = 2 << 20
			}
			requireEcho(t, c, uint64(i), size)
			c.Close()
		}
	})
}

// requireEcho writes and reads as much, each in parts and ways that chance has chosen.
func requireEcho(t *testing.T, c *network.Conn, seed uint64, total int) {
	data := make([]byte, total)
	chacha := rand.NewChaCha8([32]byte{byte(seed)})
	chacha.Read(data)
	var work sync.WaitGroup
	work.Go(func() {
		r := rand.New(rand.NewPCG(seed, 1))
		for at := 0; at < total; {
			size := min(r.IntN(1<<(1+r.IntN(19))), total-at)
			until := soon()
			if r.IntN(3) == 0 {
				until = now
			}
			n, errno := c.Write(data[at:at+size], until)
			at += n
			if errno == abi.ErrnoAgain {
				_, errno = c.Wait(abi.WaitWrite, soon())
			}
			if errno != 0 {
				t.Errorf("errno %d after %d bytes: %s", errno, at, c.Failure())
				return
			}
		}
		c.CloseWrite()
	})
	defer work.Wait()
	r := rand.New(rand.NewPCG(seed, 2))
	var got bytes.Buffer
	p := make([]byte, 1<<17)
	for {
		until := soon()
		switch r.IntN(4) {
		case 0:
			c.Wait(abi.WaitRead, soon())
		case 1:
			network.Poll([]network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitRead}}, in(time.Duration(r.IntN(100))*time.Microsecond))
		case 2:
			until = now
		}
		n, errno := c.Read(p[:1+r.IntN(1<<(1+r.IntN(17)))], until)
		if errno == abi.ErrnoAgain {
			continue
		}
		require.Zero(t, errno, c.Failure())
		if n == 0 {
			break
		}
		got.Write(p[:n])
	}
	require.True(t, bytes.Equal(data, got.Bytes()))
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths of unix sockets begin with a letter there")
	}
	modes(t, func(t *testing.T, config network.Config) {
		path := filepath.Join(t.TempDir(), "s")
		c := dial(t, config, "unix://"+serveOn(t, "unix", path, echo))
		requireReady(t, c)
		send(t, c, "hello")
		require.Equal(t, "hello", receive(t, c, 5))
		require.Equal(t, abi.ErrnoInvalid, c.StartTLS("localhost"))
		require.Zero(t, c.CloseWrite())
		requireEnd(t, c)

		requireFails(t, dial(t, config, "unix://"+path+"2"), abi.ErrnoUnreachable, "no such socket")
	})
}

// That the other side has closed is known without asking it.
func TestEndIsKnown(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		bye, say := signal()
		defer say()
		c := s.connect(t, func(c net.Conn) {
			io.ReadFull(c, make([]byte, 1))
			<-bye
		})
		send(t, c, "x")
		_, errno := c.Wait(abi.WaitRead, now)
		require.Equal(t, abi.ErrnoAgain, errno)
		say()
		require.Eventually(t, func() bool {
			ready, _ := c.Wait(abi.WaitRead, now)
			return ready == abi.WaitRead
		}, within, time.Millisecond)
		n, errno := c.Read(make([]byte, 1), now)
		require.Zero(t, errno)
		require.Zero(t, n)
	})
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// What came before a reset may be lost, as TCP has it, but what is read is right, and the
// end is an error, not the end of what was sent.
func TestResetInTheMiddle(t *testing.T) {
	modes(t, func(t *testing.T, config network.Config) {
		network, table := open(t, config, "tcp://127.0.0.1:1-65535")
		for range 20 {
			c := begin(t, table, "tcp://"+serve(t, func(c net.Conn) {
				io.ReadFull(c, make([]byte, 1))
				c.Write([]byte("half an ans"))
				reset(c)
			}))
			requireReady(t, c)
			send(t, c, "x")
			p := make([]byte, 100)
			got := ""
			for {
				n, errno := c.Read(p, soon())
				if errno != 0 {
					require.Equal(t, abi.ErrnoReset, errno)
					break
				}
				require.NotZero(t, n, "an end instead of a reset")
				got += string(p[:n])
			}
			require.True(t, strings.HasPrefix("half an ans", got))
			require.Contains(t, c.Failure(), "cut the connection")
			_, errno := c.Read(p, soon())
			require.Equal(t, abi.ErrnoReset, errno)
			for errno = 0; errno == 0; {
				_, errno = c.Write([]byte("x"), soon())
			}
			require.Contains(t, []int32{abi.ErrnoReset, abi.ErrnoPipe}, errno)
			c.Close()
		}
		require.Equal(t, int64(20), network.Stats().Lost)
	})
}

// A TLS connection that is cut in the middle of a record, or without a last word inside of
// one, is not at its end.
func TestCutInsideARecord(t *testing.T) {
	layers(t, func(t *testing.T, s setup) {
		if s.tls == nil {
			t.Skip("has no records")
		}
		c := dialCut(t, s, 10)
		n, errno := c.Read(make([]byte, 100), soon())
		require.Zero(t, n)
		require.Equal(t, abi.ErrnoReset, errno)
		require.Contains(t, c.Failure(), "the other side closed the connection")
	})
}

// Close ends the waits of other goroutines at once, and so do the ends of the table and of
// the network.
func TestCloseEndsWaits(t *testing.T) {
	long := network.Until{At: time.Now().Add(time.Hour)}
	for name, end := range map[string]func(n *network.Network, t *network.Table, c *network.Conn){
		"connection": func(_ *network.Network, _ *network.Table, c *network.Conn) { c.Close() },
		"reset":      func(_ *network.Network, t *network.Table, _ *network.Conn) { t.Reset() },
		"table":      func(_ *network.Network, t *network.Table, _ *network.Conn) { t.Close() },
		"network":    func(n *network.Network, _ *network.Table, _ *network.Conn) { n.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			layers(t, func(t *testing.T, s setup) {
				for what, wait := range map[string]func(c *network.Conn) int32{
					"read": func(c *network.Conn) int32 {
						_, errno := c.Read(make([]byte, 1), long)
						return errno
					},
					"write": func(c *network.Conn) int32 {
						for {
							if _, errno := c.Write(make([]byte, 1<<20), long); errno != 0 {
								return errno
							}
						}
					},
					"wait": func(c *network.Conn) int32 {
						_, errno := c.Wait(abi.WaitRead, long)
						return errno
					},
					"poll": func(c *network.Conn) int32 {
						subs := []network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitRead}}
						network.Poll(subs, long)
						_, errno := c.Wait(abi.WaitRead, now)
						return errno
					},
				} {
					t.Run(what, func(t *testing.T) {
						address := serve(t, func(c net.Conn) {
							if s.tls != nil {
								defer handshake(c, s.tls).Close()
							}
							silence(c)
						})
						n, table := open(t, s.config, s.scheme+"://"+address)
						c := begin(t, table, s.scheme+"://"+address)
						requireReady(t, c)
						ended := make(chan int32)
						var begun atomic.Bool
						go func() {
							begun.Store(true)
							ended <- wait(c)
						}()
						require.Eventually(t, begun.Load, within, time.Millisecond)
						time.Sleep(5 * time.Millisecond)
						end(n, table, c)
						select {
						case errno := <-ended:
							if name != "connection" || errno != abi.ErrnoPipe { // Close shuts before it cuts
								require.Equal(t, abi.ErrnoReset, errno)
							}
						case <-time.After(within):
							require.Fail(t, "it still waits")
						}
					})
				}
			})
		})
	}
}
