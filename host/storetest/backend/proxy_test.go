package backend_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// echo is a server that sends back what it gets, and tells how much it got in all.
func echo(t *testing.T) (addr string, got chan int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	got = make(chan int64, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				n, _ := io.Copy(c, c)
				_ = c.Close()
				got <- n
			}()
		}
	}()
	return l.Addr().String(), got
}

func dial(t *testing.T, p *backend.Proxy) net.Conn {
	c, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c
}

// say sends a text and expects it back.
func say(t *testing.T, c net.Conn, text string) {
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
	back := make([]byte, len(text))
	_, err = io.ReadFull(c, back)
	require.NoError(t, err)
	require.Equal(t, text, string(back))
}

func TestProxyPasses(t *testing.T) {
	addr, _ := echo(t)
	p := backend.NewProxy(t, addr)
	a, b := dial(t, p), dial(t, p)
	say(t, a, "hello")
	say(t, b, "there")
	taken, open := p.Connections()
	require.Equal(t, []int64{2, 2, 10, 10}, []int64{taken, open, p.Bytes(backend.ToServer), p.Bytes(backend.ToClient)})
}

func TestProxyCutsAtEveryByte(t *testing.T) {
	addr, got := echo(t)
	p := backend.NewProxy(t, addr)
	for n := range int64(6) {
		p.CutAfter(n, backend.ToServer)
		c := dial(t, p)
		_, err := io.WriteString(c, "hello!")
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, c)
		require.Equal(t, n, <-got)

		p.CutAfter(n, backend.ToClient)
		c = dial(t, p)
		_, err = io.WriteString(c, "hello!")
		require.NoError(t, err)
		back, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "hello!"[:n], string(back))
		require.EqualValues(t, 6, <-got)
		require.Equal(t, 2*(n+1), p.Cuts())
		say(t, dial(t, p), "whole")
	}
	p.CutAfter(3, backend.ToServer)
	p.CutAll()
	say(t, dial(t, p), "whole")
}

func TestProxyStalls(t *testing.T) {
	addr, _ := echo(t)
	p := backend.NewProxy(t, addr)
	c := dial(t, p)
	say(t, c, "hello")
	p.Stall()
	waiting := []net.Conn{c, dial(t, p)}
	for _, c := range waiting {
		_, err := io.WriteString(c, "x")
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	p.Resume()
	for _, c := range waiting {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err := io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
	}
}

func TestProxyCutsAStalledConnection(t *testing.T) {
	addr, _ := echo(t)
	p := backend.NewProxy(t, addr)
	c := dial(t, p)
	say(t, c, "hello") // so the proxy has taken it
	p.Stall()
	_, err := io.WriteString(c, "x")
	require.NoError(t, err)
	p.CutAll()
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	p.Resume()
	say(t, dial(t, p), "hello")
}

func TestProxyRefuses(t *testing.T) {
	addr, _ := echo(t)
	p := backend.NewProxy(t, addr)
	c := dial(t, p)
	say(t, c, "hello")
	p.Refuse()
	_, err := net.Dial("tcp", p.Addr())
	require.Error(t, err)
	say(t, c, "still here")
	p.Accept()
	say(t, dial(t, p), "hello")
}

func TestProxySlows(t *testing.T) {
	addr, _ := echo(t)
	p := backend.NewProxy(t, addr)
	p.Slow(1, time.Millisecond)
	began := time.Now()
	say(t, dial(t, p), "0123456789")
	require.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond)
}

func TestProxyChangesItsTarget(t *testing.T) {
	first, got := echo(t)
	second, _ := echo(t)
	p := backend.NewProxy(t, first)
	c := dial(t, p)
	say(t, c, "hello")
	p.SetTarget(second)
	say(t, c, "still")
	say(t, dial(t, p), "elsewhere")
	p.CutAll()
	require.EqualValues(t, len("hellostill"), <-got)
}
