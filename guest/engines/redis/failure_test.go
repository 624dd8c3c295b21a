package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// TestFailures: what servers and connections say becomes an answer of the interface, and
// nothing of what they repeat of a command is passed on.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		err  error
		is   error
		says string
	}{
		{resp.Error("OOM command not allowed when used memory > 'maxmemory'."), guest.ErrNoSpace, "OOM command not allowed"},
		{resp.Error("OOM command not allowed when used memory > 'maxmemory'. script: 1234, on @user_script:1."), guest.ErrNoSpace, "OOM"},
		{resp.Error("NOAUTH Authentication required."), guest.ErrDenied, "NOAUTH Authentication required."},
		{resp.Error("WRONGPASS invalid username-password pair or user is disabled."), guest.ErrDenied, "WRONGPASS"},
		{resp.Error("NOPERM this user has no permissions to access the 'getrange' command"), guest.ErrDenied, "NOPERM this user has no permissions"},
		{resp.Error("NOPERM User a has no permissions to run the '" + secret + "' command"), guest.ErrDenied, "NOPERM"},
		{resp.Error("ERR unknown command 'EVALSHA', with args beginning with: '" + secret + "' "), guest.ErrDenied, "ERR unknown command"},
		{resp.Error("ERR unknown command `AUTH`, with args beginning with: `" + secret + "`"), guest.ErrDenied, "ERR unknown command"},
		{resp.Error("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"), guest.ErrDenied, "without any password"},
		{resp.Error("WRONGTYPE Operation against a key holding the wrong kind of value"), guest.ErrCorrupt, "WRONGTYPE"},
		{resp.Error("LOADING Redis is loading the dataset in memory"), guest.ErrUnavailable, "LOADING"},
		{resp.Error("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."), guest.ErrUnavailable, "BUSY"},
		{resp.Error("CLUSTERDOWN The cluster is down"), guest.ErrUnavailable, "CLUSTERDOWN"},
		{resp.Error("TRYAGAIN Multiple keys request during rehashing of slot"), guest.ErrUnavailable, "TRYAGAIN"},
		{resp.Error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), guest.ErrUnavailable, "MASTERDOWN"},
		{resp.Error("READONLY You can't write against a read only replica."), guest.ErrUnavailable, "READONLY"},
		{resp.Error("MISCONF Errors writing to the AOF file: No space left on device"), guest.ErrUnavailable, "MISCONF"},
		{resp.Error("NOREPLICAS Not enough good replicas to write."), guest.ErrUnavailable, "NOREPLICAS"},
		{resp.Error("ERR max number of clients reached"), guest.ErrUnavailable, "max number of clients"},
		{resp.Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)"), guest.ErrTooLarge, "exceeds"},
		{resp.Error("ERR DB index is out of range"), guest.ErrInternal, "DB index"},
		{resp.Error(""), guest.ErrInternal, "answered"},
		{io.EOF, guest.ErrUnavailable, "the server closed the connection"},
		{resp.ErrMalformed, guest.ErrUnavailable, "is not RESP2"},
		{resp.ErrTooLarge, guest.ErrUnavailable, "larger than allowed"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, guest.ErrUnavailable, "refused"},
		{&net.OpError{Op: "dial", Err: syscall.EACCES}, guest.ErrDenied, "the plugin must be granted this address"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, guest.ErrUnavailable, "did not answer in time"},
		{&net.OpError{Op: "read", Err: syscall.ETIMEDOUT}, guest.ErrUnavailable, "did not answer in time"},
		{guest.ErrConflict, guest.ErrConflict, ""},
		{errNotRecord, guest.ErrCorrupt, "was not written by this engine"},
	} {
		got := failure(c.err)
		require.ErrorIs(t, got, c.is, "%v", c.err)
		require.ErrorContains(t, got, c.says)
		require.NotContains(t, got.Error(), secret)
	}
	require.NoError(t, failure(nil))
}

// FuzzAnswers: whatever a server answers, each call ends, with a typed error or with what
// the answer can mean.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("$11\r\nredis_mode:\r\n"), []byte("$-1\r\n"))
	f.Add([]byte("$0\r\n\r\n"), []byte("*2\r\n$1\r\n0\r\n*1\r\n$3\r\np:a\r\n$0\r\n\r\n"))
	f.Add([]byte("-NOPERM x\r\n"), []byte("*2\r\n$1\r\n7\r\n*2\r\n$3\r\np:a\r\n$3\r\nq:b\r\n:1\r\n:1\r\n"))
	f.Add([]byte("$0\r\n\r\n"), []byte(":1\r\n:0\r\n:-1\r\n+OK\r\n-NOSCRIPT x\r\n-MOVED 1 a:1\r\n-LOADING\r\n"))
	f.Add([]byte("$0\r\n\r\n"), append([]byte("$24\r\n"), append(make([]byte, 24), '\r', '\n')...))
	f.Fuzz(func(t *testing.T, greeting, answers []byte) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		defer listener.Close()
		go func() {
			for said := greeting; ; said = answers {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write(said)
				_ = conn.(*net.TCPConn).CloseWrite()
				go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
			}
		}()
		h, e, err := tryStart(t, "addresses", listener.Addr().String(), "prefix", "p:", "timeout_ms", "20")
		if err != nil {
			typed(t, err)
			return
		}
		for _, call := range []func() error{
			func() error { _, err := h.Get([]byte("a"), now); return err },
			func() error { return h.Set(set("a", "text", 2, abi.ExpectAny)) },
			func() error { return h.Set(set("a", "text", 2, 1)) },
			func() error { return h.Touch([]byte("a"), now+hour, now) },
			func() error { return h.Delete([]byte("a"), now) },
			func() error { _, _, err := h.Keys(0, now); return err },
			func() error { _, _, err := h.Snapshot(0, now); return err },
			func() error { return h.Clear(now) },
		} {
			e.dialer.outages = nil // or it would not try
			typed(t, call())
		}
	})
}

// typed requires that an error is one of package guest's.
func typed(t *testing.T, err error) {
	t.Helper()
	if err != nil && answerOf(err) == nil {
		t.Fatalf("an error without a type: %v", err)
	}
	if errors.Is(err, guest.ErrInvalid) {
		t.Fatalf("a server's answer is nobody's setting: %v", err)
	}
}
