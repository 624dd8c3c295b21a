//go:build !wasip1

package network_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/network"
)

// within is far more than anything here takes.
const within = 20 * time.Second

func dial(t *testing.T, d network.Dialer, to, address string) *network.Conn {
	t.Helper()
	conn, err := d.Dial(to, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*network.Conn)
}

func say(t *testing.T, conn net.Conn, line, want string) {
	t.Helper()
	_, err := io.WriteString(conn, line+"\n")
	require.NoError(t, err)
	got := make([]byte, len(want))
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func TestEveryNetwork(t *testing.T) {
	secured := tls.NewListener(listen(t), certificate(t))
	path := filepath.Join(t.TempDir(), "socket")
	socket, err := net.Listen("unix", path)
	require.NoError(t, err)
	for _, blocking := range []bool{false, true} {
		for _, to := range [][2]string{
			{"tcp", serve(t, listen(t), talk)}, {"tls", serve(t, secured, talk)}, {"unix", serve(t, socket, talk)},
		} {
			conn := dial(t, network.Dialer{Blocking: blocking, Timeout: within}, to[0], to[1])
			say(t, conn, "hello", "hello\n")
			require.Equal(t, to[0], conn.RemoteAddr().Network())
			require.Equal(t, to[1], conn.RemoteAddr().String())
			require.Equal(t, to[0], conn.LocalAddr().Network())
			say(t, conn, "bye", "")
			_, err := conn.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			require.NoError(t, conn.Close())
			_, err = conn.Write([]byte("x"))
			require.ErrorIs(t, err, net.ErrClosed)
		}
	}
}

func TestStartTLS(t *testing.T) {
	address := serve(t, listen(t), upgrade(certificate(t)))
	conn := dial(t, network.Dialer{}, "tcp", address)
	say(t, conn, "upgrade", "ready\n")
	require.NoError(t, conn.StartTLS("example.com"))
	say(t, conn, "hello", "hello\n")
	require.ErrorContains(t, conn.StartTLS("example.com"), "TLS already")

	conn = dial(t, network.Dialer{}, "tcp", address)
	say(t, conn, "upgrade", "ready\n")
	err := conn.StartTLS("another.example.org")
	require.ErrorIs(t, err, syscall.EPROTO)
	require.ErrorContains(t, err, "start TLS tcp "+address)
	require.ErrorContains(t, err, "another.example.org")

	conn = dial(t, network.Dialer{}, "tcp", address)
	say(t, conn, "chatter", "ready\n")
	require.Eventually(t, func() bool { return !conn.Alive() }, within, time.Millisecond)
	if runtime.GOOS != "windows" {
		require.ErrorContains(t, conn.StartTLS("example.com"), "before TLS began")
	}

	silent := serve(t, listen(t), func(net.Conn) {})
	conn = dial(t, network.Dialer{}, "tcp", silent)
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Millisecond)))
	requireTimeout(t, conn.StartTLS("example.com"))
}

func TestNamesAreVerified(t *testing.T) {
	address := serve(t, tls.NewListener(listen(t), certificate(t)), talk)
	network.NativeTLS = &tls.Config{RootCAs: x509.NewCertPool()}
	_, err := new(network.Dialer).Dial("tls", address)
	require.ErrorIs(t, err, syscall.EPROTO)
	require.ErrorContains(t, err, "dial tls "+address)
}

func requireTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "%v", err)
}

func TestDeadlines(t *testing.T) {
	address := serve(t, listen(t), talk)
	conn := dial(t, network.Dialer{}, "tcp", address)
	say(t, conn, "silence", "")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err := conn.Read(make([]byte, 1))
	requireTimeout(t, err)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorContains(t, err, "read tcp "+address)
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	for err = nil; err == nil; {
		_, err = conn.Write(make([]byte, 1<<20))
		address = "" // it reads and discards
		_ = conn.SetWriteDeadline(time.Unix(1, 0))
	}
	requireTimeout(t, err)
	require.NoError(t, conn.SetDeadline(time.Time{}))
}

func TestDialingFails(t *testing.T) {
	l := listen(t)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, err := new(network.Dialer).Dial("tcp", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "dial tcp "+address)
	_, err = new(network.Dialer).Dial("udp", address)
	require.ErrorIs(t, err, net.UnknownNetworkError("udp"))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = new(network.Dialer).DialContext(ctx, "tcp", address)
	require.ErrorIs(t, err, context.Canceled)
}

// A server that accepts and says nothing keeps a client with TLS waiting.
func TestDialingEnds(t *testing.T) {
	address := serve(t, listen(t), func(net.Conn) {})
	d := network.Dialer{Timeout: 10 * time.Millisecond}
	_, err := d.Dial("tls", address)
	requireTimeout(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = new(network.Dialer).DialContext(ctx, "tls", address)
	requireTimeout(t, err)
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = new(network.Dialer).DialContext(ctx, "tls", address)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAlive(t *testing.T) {
	secured := tls.NewListener(listen(t), certificate(t))
	for _, to := range [][2]string{{"tcp", serve(t, listen(t), talk)}, {"tls", serve(t, secured, talk)}} {
		conn := dial(t, network.Dialer{}, to[0], to[1])
		require.True(t, conn.Alive())
		say(t, conn, "hello", "hello\n")
		require.True(t, conn.Alive())
		say(t, conn, "more", "one\n")
		require.Eventually(t, func() bool { return !conn.Alive() }, within, time.Millisecond)
		require.False(t, conn.Alive())
		rest := make([]byte, 4)
		_, err := io.ReadFull(conn, rest)
		require.NoError(t, err)
		require.Equal(t, "two\n", string(rest), "looking takes nothing away")
		require.True(t, conn.Alive())
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
		say(t, conn, "bye", "")
		require.Eventually(t, func() bool { return !conn.Alive() }, within, time.Millisecond)
		_, err = conn.Read(rest)
		require.True(t, errors.Is(err, io.EOF), "%v", err)
		require.NoError(t, conn.Close())
		require.False(t, conn.Alive())
	}
}
