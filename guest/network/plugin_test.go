//go:build !wasip1

package network_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/network"
	"github.com/waddle-sessions/waddle/host/plugin"
)

var probe struct {
	once sync.Once
	wasm []byte
	err  error
}

// open opens the guest of testdata/probe, which may reach this machine.
func open(t *testing.T, allow ...string) *plugin.Plugin {
	t.Helper()
	return openFor(t, within, allow...)
}

// openFor is open with a bound of how long a call may wait.
func openFor(t *testing.T, wait time.Duration, allow ...string) *plugin.Plugin {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a guest")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to build the guest with")
	}
	probe.once.Do(func() {
		var file *os.File
		if file, probe.err = os.CreateTemp("", "*.wasm"); probe.err != nil {
			return
		}
		_ = file.Close()
		defer os.Remove(file.Name())
		build := exec.Command(tool, "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file.Name(), ".")
		build.Dir = filepath.Join("testdata", "probe")
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s", out)
			probe.err = err
			return
		}
		probe.wasm, probe.err = os.ReadFile(file.Name())
	})
	require.NoError(t, probe.err)
	p, err := plugin.Open(t.Context(), probe.wasm, plugin.Config{
		Trusted: true,
		Shards:  1,
		Network: plugin.Network{
			Allow:   allow,
			Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			TLS:     network.NativeTLS,
			Wait:    wait,
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// local is the grant of this machine.
const local = "tcp://127.0.0.1:1-65535"

// play lets the guest play a scene, and returns what it tells.
func play(t *testing.T, p *plugin.Plugin, scene ...string) string {
	t.Helper()
	told, err := p.Get(t.Context(), []byte(strings.Join(scene, " ")), 1)
	require.NoError(t, err, scene)
	return string(told)
}

var modes = []string{"polling", "blocking"}

func TestGuestTalksToAServer(t *testing.T) {
	config := certificate(t)
	path := filepath.Join(t.TempDir(), "socket")
	socket, err := net.Listen("unix", path)
	require.NoError(t, err)
	p := open(t, local, "tls://127.0.0.1:1-65535", "unix://"+path)
	for _, to := range [][2]string{
		{"tcp", serve(t, listen(t), talk)}, {"tls", serve(t, tls.NewListener(listen(t), config), talk)}, {"unix", serve(t, socket, talk)},
	} {
		for _, mode := range modes {
			at := to[0] + " " + to[1]
			require.Equal(t, strings.Join([]string{
				at + " from " + to[0] + " guest",
				"write nothing: nil: <nil>", "write: nil: <nil>", "read: EOF: EOF", "close: nil: <nil>",
				"read: closed: read " + at + ": use of closed network connection",
				"write: closed: write " + at + ": use of closed network connection",
				"set: closed: set " + at + ": use of closed network connection",
				"close: closed: close " + at + ": use of closed network connection",
				"alive: false", "",
			}, "\n"), play(t, p, "echo", mode, to[0], to[1]), mode)
			require.Empty(t, play(t, p, "large", mode, to[0], to[1]), "%s %s", mode, at)
			require.Equal(t, "true\nfalse\nread: EOF: EOF\n", play(t, p, "alive", mode, to[0], to[1]), "%s %s", mode, at)
		}
		require.Empty(t, play(t, p, "pipeline", "polling", to[0], to[1]))
		require.Empty(t, play(t, p, "pool", "polling", to[0], to[1]))
	}
}

func TestGuestHasDeadlines(t *testing.T) {
	p := open(t, local)
	address := serve(t, listen(t), talk)
	for _, mode := range modes {
		require.Equal(t, strings.Join([]string{
			"set: nil: <nil>",
			"read: deadline, timeout: read tcp " + address + ": i/o timeout", "read: deadline, timeout: read tcp " + address + ": i/o timeout",
			"set: nil: <nil>", "set: nil: <nil>", "write: deadline, timeout: write tcp " + address + ": i/o timeout", "",
		}, "\n"), play(t, p, "deadline", mode, "tcp", address), mode)
		require.Equal(t, "set: nil: <nil>\nwrite: deadline, timeout: write tcp "+address+": i/o timeout\n",
			play(t, p, "full", mode, "tcp", address), mode)
	}
}

// Without a deadline, the host's bound of the call ends a wait, and the call returns.
func TestGuestOfAServerThatStalls(t *testing.T) {
	p := openFor(t, 300*time.Millisecond, local)
	address := serve(t, listen(t), talk)
	for _, mode := range modes {
		told := play(t, p, "stall", mode, "tcp", address)
		require.Equal(t, 2, strings.Count(told, "read: timed out, timeout: read tcp "+address+": "), told)
		require.Equal(t, 2, strings.Count(told, "\n"), told)
		require.NotContains(t, play(t, p, "echo", mode, "tcp", address), "timed out", "the instance is of use")
	}
}

func TestGuestCannotConnect(t *testing.T) {
	l := listen(t)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, _ := net.SplitHostPort(closed)
	p := open(t, local, "tcp://nowhere.invalid:5432")
	for _, mode := range modes {
		for _, c := range [][3]string{
			{"tcp", closed, "refused"}, {"tcp", "127.0.0.2:" + port, "access"}, {"unix", "/run/none.sock", "access"},
			{"tcp", "nowhere.invalid:5432", "unreachable"}, {"tcp", "127.0.0.1", "invalid"},
		} {
			told := play(t, p, "dial", mode, c[0], c[1])
			require.Regexp(t, "^dial: "+c[2]+": dial "+c[0]+" "+c[1]+": .+\n$", told, mode)
		}
	}
}

// A server that accepts and says nothing keeps a client with TLS waiting.
func TestGuestGivesDialingUp(t *testing.T) {
	certificate(t)
	address := serve(t, listen(t), func(net.Conn) {})
	p := open(t, "tls://127.0.0.1:1-65535")
	for _, mode := range modes {
		require.Equal(t, "dial: deadline, timeout: dial tls "+address+": i/o timeout\n", play(t, p, "timeout", mode, "tls", address), mode)
		require.Contains(t, play(t, p, "context", mode, "tls", address), "timeout: dial tls "+address+": ", mode)
	}
	require.Equal(t, "dial: other: dial tls "+address+": context canceled\ncause: context canceled\n", play(t, p, "cancel", "polling", "tls", address))
}

func TestGuestStartsTLS(t *testing.T) {
	address := serve(t, listen(t), upgrade(certificate(t)))
	_, port, _ := net.SplitHostPort(address)
	p := open(t, local, "tcp://example.com:"+port)
	for _, mode := range modes {
		require.Equal(t, "start: nil: <nil>\nsecret\n", play(t, p, "starttls", mode, "tcp", address, "example.com"), mode)
		require.Regexp(t, "^start: access: start TLS tcp 127.0.0.1:"+port+": ", play(t, p, "starttls", mode, "tcp", address, "another.example.org"), mode)
	}
	another := serve(t, tls.NewListener(listen(t), &tls.Config{Certificates: nil, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, net.ErrClosed }}), talk)
	p = open(t, "tls://127.0.0.1:1-65535")
	for _, mode := range modes {
		require.Regexp(t, "^dial: protocol: dial tls "+another+": .*tls", play(t, p, "dial", mode, "tls", another), mode)
	}
}

// Goroutines that a call has left behind get their time when the host has nothing else
// to do.
func TestGuestListensInTheBackground(t *testing.T) {
	p := open(t, local)
	address := serve(t, listen(t), talk)
	require.Empty(t, play(t, p, "listen", "polling", "tcp", address))
	time.Sleep(4 * later) // no call is made
	want := "\"one\\n\" <nil>\n\"two\\n\" <nil>\n\"\" EOF\nidles: true\n"
	require.Eventually(t, func() bool { return play(t, p, "heard", "polling", "tcp", address) == want }, within, 10*time.Millisecond,
		"%s", play(t, p, "heard", "polling", "tcp", address))
}

func TestBlockingAllocatesNothing(t *testing.T) {
	p := open(t, local)
	told := strings.TrimSpace(play(t, p, "allocations", "blocking", "tcp", serve(t, listen(t), talk)))
	allocations, err := strconv.ParseFloat(told, 64)
	require.NoError(t, err, told)
	require.Less(t, allocations, 0.1, "of a write and the reads of its answer")
}
