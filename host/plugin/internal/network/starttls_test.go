package network_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// upgradable is a server that answers one byte by a word, and then speaks TLS.
func upgradable(t *testing.T, word string) func(net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, nil)}}
	return func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return
		}
		c.Write([]byte(word))
		s := handshake(c, config)
		s.Write([]byte("welcome"))
		echo(s)
	}
}

func withRoots(config network.Config) network.Config {
	config.TLS = &tls.Config{RootCAs: roots()}
	return config
}

// TLS in band works, whatever was waited for before, and in whichever way.
func TestStartTLS(t *testing.T) {
	modes(t, func(t *testing.T, config network.Config) {
		address := "tcp://" + serve(t, upgradable(t, "SSS"))
		for _, wait := range []struct {
			name string
			do   func(c *network.Conn)
		}{
			{"read", func(*network.Conn) {}},
			{"wait", func(c *network.Conn) { c.Wait(abi.WaitRead, soon()) }},
			{"poll", func(c *network.Conn) {
				network.Poll([]network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitRead}}, soon())
			}},
		} {
			t.Run(wait.name, func(t *testing.T) {
				c := dial(t, withRoots(config), address)
				requireReady(t, c)
				send(t, c, "x")
				wait.do(c)
				require.Equal(t, "SSS", receive(t, c, 3))
				if wait.name == "poll" {
					// A goroutine reads, and makes room for TLS.
					subs := []network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitRead}}
					network.Poll(subs, in(time.Millisecond))
				}
				require.Zero(t, c.StartTLS("127.0.0.1"))
				requireReady(t, c)
				require.Equal(t, "welcome", receive(t, c, 7))
				send(t, c, "hello")
				require.Equal(t, "hello", receive(t, c, 5))
				require.Equal(t, abi.ErrnoInvalid, c.StartTLS("127.0.0.1"))
				require.Equal(t, "the connection has TLS already", c.Failure())
				send(t, c, "goes on")
				require.Equal(t, "goes on", receive(t, c, 7))
			})
		}
	})
}

// What was sent in the clear before TLS, and not read, is not taken for what was sent with
// it: the connection fails, wherever those bytes are by then.
func TestBytesBeforeTLS(t *testing.T) {
	modes(t, func(t *testing.T, config network.Config) {
		for _, word := range []string{"S+OK injected\r\n", "S\x16\x03\x03\x00\x02\x01\x00", "S" + strings.Repeat("x", 40000), "S\x15\x03\x03\x00\x02\x01\x00"} {
			address := "tcp://" + serve(t, upgradable(t, word))
			for _, tc := range []struct {
				name string
				held func(c *network.Conn)
			}{
				{"by the host", func(c *network.Conn) { c.Wait(abi.WaitRead, soon()) }},
				{"by the system", func(*network.Conn) {}},
				{"by a goroutine", func(c *network.Conn) {
					network.Poll([]network.Subscription{{Conn: c, Events: abi.WaitRead}, {Conn: c, Events: abi.WaitRead}}, soon())
				}},
			} {
				t.Run(tc.name, func(t *testing.T) {
					c := dial(t, withRoots(config), address)
					requireReady(t, c)
					send(t, c, "x")
					if tc.name == "by a goroutine" {
						tc.held(c)
					}
					require.Equal(t, "S", receive(t, c, 1))
					tc.held(c)
					time.Sleep(5 * time.Millisecond)
					require.Zero(t, c.StartTLS("127.0.0.1"))
					requireFails(t, c, abi.ErrnoProtocol, "sent more than was read before TLS was begun")
				})
			}
		}
	})
}

func TestStartTLSThatFails(t *testing.T) {
	modes(t, func(t *testing.T, config network.Config) {
		t.Run("another name", func(t *testing.T) {
			config := config
			config.Allow = []string{"tcp://other.example.com:1-65535"}
			n, table := open(t, withRoots(config), "tcp://"+serve(t, upgradable(t, "S")))
			c := begin(t, table, n.Allowed()[1])
			requireReady(t, c)
			send(t, c, "x")
			require.Equal(t, "S", receive(t, c, 1))
			require.Zero(t, c.StartTLS("other.example.com"))
			requireFails(t, c, abi.ErrnoProtocol, "not other.example.com")
			require.Equal(t, int64(1), n.Stats().Failed)
		})
		t.Run("the end", func(t *testing.T) {
			c := dial(t, withRoots(config), "tcp://"+serve(t, func(c net.Conn) {}))
			requireReady(t, c)
			time.Sleep(5 * time.Millisecond)
			require.Zero(t, c.StartTLS("127.0.0.1"))
			_, errno := c.Wait(abi.WaitWrite, soon())
			require.Contains(t, []int32{abi.ErrnoReset, abi.ErrnoProtocol}, errno)
			require.Contains(t, c.Failure(), "the other side closed the connection")
		})
		t.Run("silence", func(t *testing.T) {
			config := withRoots(config)
			config.Timeout = 100 * time.Millisecond
			c := dial(t, config, "tcp://"+serve(t, silence))
			requireReady(t, c)
			require.Zero(t, c.StartTLS("127.0.0.1"))
			_, errno := c.Read(make([]byte, 1), now)
			require.Equal(t, abi.ErrnoAgain, errno)
			requireFails(t, c, abi.ErrnoUnreachable, "no answer in time")
		})
		t.Run("closed", func(t *testing.T) {
			n, table := open(t, withRoots(config), "tcp://"+serve(t, silence))
			c := begin(t, table, n.Allowed()[0])
			requireReady(t, c)
			require.Zero(t, c.StartTLS("127.0.0.1"))
			table.Reset()
			_, errno := c.Wait(abi.WaitWrite, soon())
			require.Equal(t, abi.ErrnoReset, errno)
			require.Eventually(t, func() bool { return n.Stats().Conns == 0 }, within, time.Millisecond)
		})
	})
}

// A guest chooses among the names that are granted for the port, and of the address itself.
func TestNamesForTLS(t *testing.T) {
	port, _ := counting(t)
	n, table := open(t, network.Config{Lookup: (&resolver{lists: [][]string{{"127.0.0.1"}}}).lookup},
		"tcp://a.example.com:"+port, "tls://*.b.example.com:"+port, "tcp://c.example.com:1", "tcp://127.0.0.1:"+port)
	for name, want := range map[string]int32{
		"c.example.com": abi.ErrnoAccess, "b.example.com": abi.ErrnoAccess, "x.a.example.com": abi.ErrnoAccess, "127.0.0.2": abi.ErrnoAccess, "evil.example.org": abi.ErrnoAccess,
		"": abi.ErrnoInvalid, "127.1": abi.ErrnoInvalid, "a.example.com.": abi.ErrnoInvalid, "*.b.example.com": abi.ErrnoInvalid, "a.example.com\x00": abi.ErrnoInvalid, "fe80::1%lo": abi.ErrnoInvalid,
		"a.example.com": 0, "A.EXAMPLE.com": 0, "x.b.example.com": 0, "127.0.0.1": 0, "::ffff:127.0.0.1": 0,
	} {
		c := begin(t, table, n.Allowed()[3])
		requireReady(t, c)
		require.Equal(t, want, c.StartTLS(name), name)
		if want == 0 {
			c.Close()
			continue
		}
		require.NotEmpty(t, c.Failure())
		send(t, c, "hello") // it is as it was
		require.Equal(t, "hello", receive(t, c, 5))
		c.Close()
	}
}
