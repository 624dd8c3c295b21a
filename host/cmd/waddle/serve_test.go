package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving/certtest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// sessionServer is "waddle serve" while it runs.
type sessionServer struct {
	*exec.Cmd
	client *http.Client
	socket string
	stderr *lockedBuffer
	stdout *bufio.Reader
}

// socketDir returns a directory whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func overSocket(path string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		MaxIdleConnsPerHost: 32,
	}}
}

func serveSessions(t *testing.T, socket string, settings []string, args ...string) *sessionServer {
	t.Helper()
	cmd := command(t, settings, append([]string{"serve", "--addr", "unix:" + socket}, args...)...)
	s := &sessionServer{Cmd: cmd, socket: socket, stderr: new(lockedBuffer), client: overSocket(socket)}
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.stdout = bufio.NewReader(out)
	line, err := s.stdout.ReadString('\n')
	require.NoError(t, err, "the program ended before it listened: %s", s.stderr)
	require.Contains(t, line, "listening on unix:"+socket)
	return s
}

// said returns what the program writes until it ends, which it must do well.
func (s *sessionServer) said(t *testing.T) string {
	t.Helper()
	rest, err := io.ReadAll(s.stdout)
	require.NoError(t, err)
	require.NoError(t, s.Wait(), "%s", s.stderr)
	return string(rest)
}

// kept is as much of an answer as these tests look at.
type kept struct {
	Session struct {
		ID       string
		Revision uint64
		User     string
		Values   map[string]json.RawMessage
	}
	Sessions json.RawMessage
	Error    struct{ Code string }
}

func ask(client *http.Client, path, form string, args ...any) (status int, answer kept, err error) {
	r, err := client.Post("http://waddle"+path, "application/json", strings.NewReader(fmt.Sprintf(form, args...)))
	if err != nil {
		return 0, answer, err
	}
	defer r.Body.Close()
	return r.StatusCode, answer, json.NewDecoder(r.Body).Decode(&answer)
}

func (s *sessionServer) ask(t *testing.T, path, form string, args ...any) kept {
	t.Helper()
	status, answer, err := ask(s.client, path, form, args...)
	require.NoError(t, err, "%s", s.stderr)
	require.Equal(t, 200, status, "%s", s.stderr)
	return answer
}

// TestServe keeps sessions over restarts, and removes its socket.
func TestServe(t *testing.T) {
	needsSignals(t)
	socket := filepath.Join(socketDir(t), "s")
	settings := []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + t.TempDir(), "SESSION_COOKIE_NAME=duck"}
	s := serveSessions(t, socket, settings)
	info, err := os.Lstat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	id := s.ask(t, "/v1/commit", `{"id":"","set":{"n":1}}`).Session.ID
	r, err := s.client.Get("http://waddle/v1/settings")
	require.NoError(t, err)
	about, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Contains(t, string(about), `"name":"duck"`)

	other := run(t, settings, "serve", "--addr", "unix:"+socket)
	require.Equal(t, 1, other.code)
	require.Contains(t, other.stderr, "another program listens on this socket")
	other = run(t, settings, "serve", "--addr", "unix:"+socket+"2")
	require.Equal(t, 1, other.code, "the directory is in use")
	require.Contains(t, other.stderr, "another")
	require.NoFileExists(t, socket+"2", "what failed leaves nothing behind")

	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	require.Contains(t, s.said(t), "stopped, sessions saved")
	require.NoFileExists(t, socket)
	s = serveSessions(t, socket, settings)
	require.Equal(t, "1", string(s.ask(t, "/v1/load", `{"id":%q}`, id).Session.Values["n"]))
}

// TestServeIsKilled: after a kill, what was answered is there, and the socket that was
// left is replaced.
func TestServeIsKilled(t *testing.T) {
	needsSignals(t)
	socket := filepath.Join(socketDir(t), "s")
	settings := []string{"SESSION_STORAGE=keyfolder", "SESSION_DIR=" + t.TempDir(), "SESSION_DURABILITY=commit"}
	s := serveSessions(t, socket, settings)
	id := s.ask(t, "/v1/commit", `{"id":"","set":{"begun":true}}`).Session.ID
	answered := []string{}
	for range 3 {
		const clients = 4
		var mu sync.Mutex
		var wait sync.WaitGroup
		var done atomic.Int64
		for i := range clients {
			wait.Go(func() {
				for j := 0; ; j++ {
					name := fmt.Sprintf("%d %d %d", len(answered), i, j)
					status, _, err := ask(s.client, "/v1/commit", `{"id":%q,"set":{%q:1}}`, id, name)
					if err != nil {
						return // the server is gone
					}
					if status == 200 {
						mu.Lock()
						answered = append(answered, name)
						mu.Unlock()
						done.Add(1)
					}
				}
			})
		}
		require.Eventually(t, func() bool { return done.Load() > 20 }, patience, time.Millisecond)
		require.NoError(t, s.Process.Kill())
		_ = s.Wait()
		wait.Wait()
		require.FileExists(t, socket)
		s = serveSessions(t, socket, settings)
		values := s.ask(t, "/v1/load", `{"id":%q}`, id).Session.Values
		for _, name := range answered {
			require.Contains(t, values, name)
		}
	}
}

// TestServeOnAServer: two servers on one Redis have the same sessions, and lose no
// change of clients of both.
func TestServeOnAServer(t *testing.T) {
	needsSignals(t)
	redis := backend.Redis(t, backend.RedisOptions{})
	dir := socketDir(t)
	var both [2]*sessionServer
	for i := range both {
		both[i] = serveSessions(t, filepath.Join(dir, fmt.Sprint(i)), []string{"SESSION_STORAGE=redis://" + redis.Addr()})
	}
	id := both[0].ask(t, "/v1/commit", `{"id":"","set":{"n":0},"log_in":{"user":"ada"}}`).Session.ID
	const times = 25
	var wait sync.WaitGroup
	for i, s := range both {
		for range 2 {
			wait.Go(func() {
				for done := 0; done < times; {
					_, now, err := ask(s.client, "/v1/load", `{"id":%q}`, id)
					if err != nil {
						t.Error(err)
						return
					}
					var n int
					_ = json.Unmarshal(now.Session.Values["n"], &n)
					status, answer, err := ask(s.client, "/v1/commit", `{"id":%q,"revision":%d,"on_conflict":"fail","set":{"n":%d,"%d %d":true}}`, id, now.Session.Revision, n+1, i, n)
					switch {
					case err == nil && status == 200:
						done++
					case err != nil || status != http.StatusConflict:
						t.Errorf("found %d, %v, %v", status, answer, err)
						return
					}
				}
			})
		}
	}
	wait.Wait()
	require.Equal(t, fmt.Sprint(4*times), string(both[1].ask(t, "/v1/load", `{"id":%q}`, id).Session.Values["n"]))
	both[1].ask(t, "/v1/users/revoke-all", `{"user":"ada"}`)
	status, _, err := ask(both[0].client, "/v1/commit", `{"id":%q,"set":{"n":0}}`, id)
	require.NoError(t, err)
	require.Equal(t, http.StatusGone, status, "ended on the other server")
}

// TestServeDrains: at the end the operator hears first that it is not ready, and requests
// in progress are answered and saved.
func TestServeDrains(t *testing.T) {
	needsSignals(t)
	dir := socketDir(t)
	settings := []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + t.TempDir()}
	s := serveSessions(t, filepath.Join(dir, "s"), settings, "--admin-addr", "unix:"+filepath.Join(dir, "o"), "--drain-delay", "300ms")
	operator := overSocket(filepath.Join(dir, "o"))
	ready := func() int {
		r, err := operator.Get("http://waddle/readyz")
		if err != nil {
			return 0
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	require.Equal(t, 200, ready())
	id := s.ask(t, "/v1/commit", `{"id":""}`).Session.ID

	// A request whose body comes late, and clients that go on until nobody listens.
	conn, err := net.Dial("unix", s.socket)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	body := fmt.Sprintf(`{"id":%q,"set":{"late":true}}`, id)
	_, err = fmt.Fprintf(conn, "POST /v1/commit HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	var saved sync.Map
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for j := 0; ; j++ {
				status, answer, err := ask(s.client, "/v1/commit", `{"id":%q,"set":{"%d %d":true}}`, id, i, j)
				if err != nil {
					return
				}
				if status != 200 {
					t.Errorf("found %d, %v", status, answer)
					return
				}
				saved.Store(fmt.Sprintf("%d %d", i, j), true)
			}
		})
	}
	signalled := time.Now()
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return ready() == http.StatusServiceUnavailable }, patience, time.Millisecond)
	if _, _, err = ask(overSocket(s.socket), "/v1/load", `{"id":%q}`, id); err != nil {
		require.Greater(t, time.Since(signalled), 300*time.Millisecond, "it still takes requests when it is not ready: %v", err)
	}
	wait.Wait()
	require.Eventually(t, func() bool { _, err := net.Dial("unix", s.socket); return err != nil }, patience, time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, ready(), "the operator is answered as long as requests run")
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	_, err = reader.ReadString('\n')
	require.NoError(t, err)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode)
	require.NoError(t, response.Body.Close())
	require.Contains(t, s.said(t), "stopped, sessions saved")
	require.NotContains(t, s.stderr.String(), "cut off")

	s = serveSessions(t, filepath.Join(dir, "s"), settings)
	values := s.ask(t, "/v1/load", `{"id":%q}`, id).Session.Values
	require.Contains(t, values, "late")
	saved.Range(func(name, _ any) bool { require.Contains(t, values, name); return true })
}

// TestServeTLS: an address takes clients by their certificates, and certificates are read
// again after a signal.
func TestServeTLS(t *testing.T) {
	needsSignals(t)
	ca, next := certtest.NewAuthority(t), certtest.NewAuthority(t)
	cert, key, clients := ca.Files(t, t.TempDir())
	dir := socketDir(t)
	s := serveSessions(t, filepath.Join(dir, "s"), nil, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--tls-cert", cert, "--tls-key", key, "--client-ca", clients, "--client", "shop", "--admin-client", "ops")
	var addresses [2]string
	for i := range addresses {
		line, err := s.stdout.ReadString('\n')
		require.NoError(t, err)
		addresses[i] = regexp.MustCompile(`https://\S+`).FindString(line)
	}
	status := func(by *certtest.Authority, name, address string) int {
		transport := &http.Transport{TLSClientConfig: ca.Client(by.Issue(t, name, time.Hour)), ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		r, err := (&http.Client{Transport: transport, Timeout: patience}).Get(address)
		if err != nil {
			return 0
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	require.Equal(t, 200, status(ca, "shop", addresses[0]+"/v1/settings"))
	require.Equal(t, 403, status(ca, "mail", addresses[0]+"/v1/settings"))
	require.Equal(t, 200, status(ca, "ops", addresses[1]+"/readyz"))
	require.Equal(t, 403, status(ca, "shop", addresses[1]+"/readyz"))
	require.Zero(t, status(next, "shop", addresses[0]+"/v1/settings"))
	require.NoError(t, os.WriteFile(clients, next.PEM, 0o600))
	require.NoError(t, s.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return status(next, "shop", addresses[0]+"/v1/settings") == 200 }, patience, 10*time.Millisecond)
	require.Zero(t, status(ca, "shop", addresses[0]+"/v1/settings"))
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	require.Contains(t, s.said(t), "stopped")
}

// TestServeSecondSignal does not wait for a client that does not go on.
func TestServeSecondSignal(t *testing.T) {
	needsSignals(t)
	s := serveSessions(t, filepath.Join(socketDir(t), "s"), nil)
	conn, err := net.Dial("unix", s.socket)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /v1/load HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { _, err := net.Dial("unix", s.socket); return err != nil }, patience, time.Millisecond)
	require.NoError(t, s.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	require.True(t, errors.As(s.Wait(), &exit))
}

// TestServeArguments: mistakes are told before anything is served.
func TestServeArguments(t *testing.T) {
	dir := socketDir(t)
	socket := "unix:" + filepath.Join(dir, "s")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("no certificate"), 0o600))
	withTLS := []string{"--tls-cert", file, "--tls-key", file, "--client-ca", file}
	for name, c := range map[string]struct {
		settings, args []string
		says           string
	}{
		"no address":          {nil, nil, "--addr is missing"},
		"an argument":         {nil, []string{"x", "--addr", socket}, "takes no argument"},
		"no port":             {nil, []string{"--addr", "here"}, "HOST:PORT"},
		"no TLS":              {nil, []string{"--addr", "127.0.0.1:0"}, "must have mutual TLS; give --tls-cert, --tls-key and --client-ca"},
		"half of TLS":         {nil, []string{"--addr", "127.0.0.1:0", "--tls-cert", file, "--tls-key", file}, "must have mutual TLS"},
		"no certificate":      {nil, append([]string{"--addr", "127.0.0.1:0"}, withTLS...), "the certificates cannot be used"},
		"TLS on a socket":     {nil, append([]string{"--addr", socket}, withTLS...), "no effect on a unix socket"},
		"operator for all":    {nil, append([]string{"--addr", socket, "--admin-addr", "127.0.0.1:0"}, withTLS...), "must have --admin-client"},
		"operator without":    {nil, []string{"--addr", socket, "--admin-addr", "127.0.0.1:0"}, "must have mutual TLS"},
		"a mode":              {nil, []string{"--addr", socket, "--socket-mode", "rw"}, "a mode in octal"},
		"a useless mode":      {nil, []string{"--addr", socket, "--socket-mode", "0444"}, "lets the owner write"},
		"no connection":       {nil, []string{"--addr", socket, "--max-connections", "0"}, "at least 1"},
		"no grace":            {nil, []string{"--addr", socket, "--grace", "0s"}, "--grace"},
		"a delay for nobody":  {nil, []string{"--addr", socket, "--drain-delay", "1s"}, "no effect without --admin-addr"},
		"a setting":           {[]string{"SESSION_DURATION=soon"}, []string{"--addr", socket}, "SESSION_DURATION"},
		"a storage":           {[]string{"SESSION_STORAGE=none"}, []string{"--addr", socket}, "SESSION_STORAGE"},
		"settings that clash": {[]string{"SESSION_IDLE_TIMEOUT=10h", "SESSION_DURATION=1h"}, []string{"--addr", socket}, "SESSION_IDLE_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, c.settings, append([]string{"serve"}, c.args...)...)
			require.Equal(t, 2, got.code, got.stderr)
			require.Contains(t, got.stderr, c.says)
			require.Empty(t, got.stdout)
		})
	}
}
