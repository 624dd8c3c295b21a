package main_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext/promtest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// probed asks a program's probes, which listen on a socket.
type probed struct{ http.Client }

func askProbes(socket string) *probed {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &probed{http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// get returns a status of 0 if nobody answers.
func (p *probed) get(path string) (status int, body string) {
	r, err := p.Get("http://probes" + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(b)
}

func (p *probed) await(t *testing.T, status int, says string) {
	t.Helper()
	var body string
	require.Eventually(t, func() bool {
		var found int
		found, body = p.get("/readyz")
		return found == status
	}, patience, 20*time.Millisecond, "found %s", body)
	require.Contains(t, body, says)
}

// TestProbes: a program whose server of sessions goes away is alive and not ready, and
// is ready when that comes back.
func TestProbes(t *testing.T) {
	needsSignals(t)
	if testing.Short() {
		t.Skip("starts a server")
	}
	server := backend.Redis(t, backend.RedisOptions{})
	dir, err := os.MkdirTemp("", "probes") // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false)
	require.NoError(t, stale.Close()) // what a killed program leaves behind

	settings := []string{"SESSION_STORAGE=redis://" + server.Addr(), "WADDLE_PROBE_ADDR=unix:" + socket}
	s := serve(t, settings, "--addr", "127.0.0.1:0")
	probes := askProbes(socket)
	probes.await(t, http.StatusOK, "ready")
	response, err := http.Post(s.address+"/api/session/n/increment", "", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	response, err = http.Get(s.address + "/metrics")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNotFound, response.StatusCode, "visitors do not reach them")

	server.Kill()
	probes.await(t, http.StatusServiceUnavailable, "not ready: ")
	status, body := probes.get("/healthz")
	require.Equal(t, http.StatusOK, status, body)
	server.Restart()
	probes.await(t, http.StatusOK, "ready")

	status, body = probes.get("/metrics")
	require.Equal(t, http.StatusOK, status)
	all, _ := promtest.Parse(t, body)
	require.Equal(t, 1.0, all["waddle_requests_total status=2xx"])
	require.Equal(t, 1.0, all["waddle_session_events_total kind=created"])
	require.Positive(t, all["waddle_store_operations_total operation=set outcome=ok"])
	require.Positive(t, all["waddle_plugin_dials_total"])

	// It still answers while it finishes the requests that it has, and then goes.
	conn, err := net.Dial("tcp", s.address[len("http://"):])
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PUT /api/session/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	probes.await(t, http.StatusServiceUnavailable, "not ready: the server is stopping")
	_, err = io.WriteString(conn, "1")
	require.NoError(t, err)
	require.Contains(t, s.wait(t), "listening on unix:"+socket+" for probes")
	require.NoFileExists(t, socket)
}

// TestProbesWhileStarting: a program that waits for its directory is alive, and not
// ready.
func TestProbesWhileStarting(t *testing.T) {
	needsSignals(t)
	dir := t.TempDir()
	settings := []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + dir, "SESSION_LOCK_WAIT=1m"}
	first := serve(t, settings, "--addr", "127.0.0.1:0", "--probe-addr", "127.0.0.1:0")
	socketDir, err := os.MkdirTemp("", "probes")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(socketDir) })
	socket := filepath.Join(socketDir, "s")
	second := command(t, settings, "run", "--addr", "127.0.0.1:0", "--probe-addr", "unix:"+socket)
	require.NoError(t, second.Start())
	t.Cleanup(func() { _ = second.Wait() })
	probes := askProbes(socket)
	probes.await(t, http.StatusServiceUnavailable, "not ready: the server is starting")
	status, body := probes.get("/healthz")
	require.Equal(t, http.StatusOK, status, body)
	said := first.stop(t, syscall.SIGTERM)
	require.Regexp(t, regexp.MustCompile(`listening on http://127.0.0.1:\d+ for probes`), said)
	probes.await(t, http.StatusOK, "ready")

	r := run(t, nil, "run", "--addr", "127.0.0.1:0", "--probe-addr", "unix:"+socket)
	require.Equal(t, 1, r.code)
	require.Contains(t, lastLine(r), "another program already listens on unix:"+socket)
	require.NoError(t, second.Process.Signal(syscall.SIGTERM))
}
