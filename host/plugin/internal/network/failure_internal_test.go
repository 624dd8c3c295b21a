package network

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

// Failures say what was wrong, and not which address a name has.
func TestFailures(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 6379}
	over := func(op string, err error) error {
		return &net.OpError{Op: op, Net: "tcp", Source: at, Addr: at, Err: err}
	}
	for _, tc := range []struct {
		err   error
		errno int32
		words string
	}{
		{over("dial", os.NewSyscallError("connect", systemErrors[0].of[0])), abi.ErrnoRefused, "connection refused"},
		{over("read", os.NewSyscallError("read", systemErrors[1].of[0])), abi.ErrnoReset, "the other side cut the connection"},
		{over("write", systemErrors[2].of[0]), abi.ErrnoPipe, "the other side closed the connection"},
		{over("dial", syscall.Errno(9999)), abi.ErrnoUnreachable, "9999"},
		{over("dial", os.ErrDeadlineExceeded), abi.ErrnoUnreachable, "no answer in time"},
		{over("dial", errors.New("mismatched\nfamilies")), abi.ErrnoProtocol, "mismatched\ufffdfamilies"},
		{over("dial", &refusal{"it leads to 10.1.2.3"}), abi.ErrnoAccess, "the name leads to an address that is not granted"},
		{over("read", net.ErrClosed), abi.ErrnoReset, "the host closed the connection"},
		{io.ErrUnexpectedEOF, abi.ErrnoReset, "the other side closed the connection"},
		{fmt.Errorf("tls: failed to verify certificate: %w", x509.UnknownAuthorityError{}), abi.ErrnoProtocol, "TLS failed: failed to verify certificate: x509: certificate signed by unknown authority"},
		{errors.New(strings.Repeat("x", 10_000)), abi.ErrnoProtocol, strings.Repeat("x", maxWords)},
	} {
		f := failed(tc.err)
		require.Equal(t, tc.errno, f.errno, "%v", tc.err)
		require.Contains(t, f.words, tc.words)
		require.NotContains(t, f.words, "10.1.2.3")
		require.LessOrEqual(t, len(f.words), maxWords+20)
	}
	require.Nil(t, failed(nil))
}
