package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait of a test. It measures nothing.
const patience = time.Minute

// program is the command, built from this folder.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "waddle")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "waddle")
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building waddle: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// command returns the program with arguments and with only the given settings in
// its environment.
func command(t *testing.T, settings []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SESSION_") && !strings.HasPrefix(v, "WADDLE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, settings...)
	return cmd
}

// result is the outcome of a program that has ended.
type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, settings []string, args ...string) result {
	t.Helper()
	cmd := command(t, settings, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// serving is the program while it runs.
type serving struct {
	cmd     *exec.Cmd
	address string // with http://
	rest    chan string
	stderr  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, settings []string, args ...string) *serving {
	t.Helper()
	cmd := command(t, settings, append([]string{"run"}, args...)...)
	s := &serving{cmd: cmd, rest: make(chan string, 1), stderr: new(lockedBuffer)}
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	require.NoError(t, err, "the program ended before it listened: %s", s.stderr)
	s.address = regexp.MustCompile(`listening on (http://\S+)`).FindStringSubmatch(line)[1]
	go func() {
		all, _ := io.ReadAll(lines)
		s.rest <- string(all)
	}()
	return s
}

// stop asks the program to end and returns its output since the last read.
func (s *serving) stop(t *testing.T, signal os.Signal) string {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(signal))
	return s.wait(t)
}

func (s *serving) wait(t *testing.T) string {
	t.Helper()
	rest := <-s.rest
	require.NoError(t, s.cmd.Wait(), "%s", s.stderr)
	require.Equal(t, 0, s.cmd.ProcessState.ExitCode())
	return rest
}

func get(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get(address)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, "%s", body)
	return string(body)
}

func needsSignals(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: a program cannot be sent these signals on Windows")
	}
}

func TestRun(t *testing.T) {
	needsSignals(t)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		s := serve(t, nil, "--addr", "127.0.0.1:0")
		require.Contains(t, get(t, s.address+"/"), "<title>Waddle playground</title>")
		require.Contains(t, get(t, s.address+"/api/session"), `"values":{}`)
		about := get(t, s.address+"/api/about")
		require.Contains(t, about, `"name":"memory"`)
		require.Contains(t, about, "WebAssembly")
		said := s.stop(t, signal)
		require.Contains(t, said, "stopped, and the sessions are lost")
		require.NotContains(t, said, "saved")
		require.NotContains(t, s.stderr.String(), "warning")
	}
}

// An accepted request is answered and its session saved, even if the program was
// told to end in the middle of it.
func TestRunFinishesRequests(t *testing.T) {
	needsSignals(t)
	s := serve(t, []string{"WADDLE_ADDR=127.0.0.1:0"})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.address, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	const body = `"finished"`
	_, err = fmt.Fprintf(conn, "PUT /api/session/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "the handler waits for the body")
	_, err = reader.ReadString('\n')
	require.NoError(t, err)

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.address, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	}, patience, 5*time.Millisecond, "it takes no more requests")

	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, "%s", answer)
	require.Contains(t, string(answer), `"k":"finished"`)
	require.Contains(t, response.Header.Get("Server-Timing"), "stored")
	require.Contains(t, s.wait(t), "waddle: stopped")
}

// The second signal does not wait.
func TestRunSecondSignal(t *testing.T) {
	needsSignals(t)
	s := serve(t, nil, "--addr", "127.0.0.1:0")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.address, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PUT /api/session/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.address, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	}, patience, 5*time.Millisecond)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.Empty(t, <-s.rest)
	require.Error(t, s.cmd.Wait())
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGTERM, status.Signal(), "%v", s.cmd.ProcessState)
}

func TestRunStorage(t *testing.T) {
	needsSignals(t)
	guest := filepath.Join(t.TempDir(), "engine.wasm")
	require.NoError(t, os.WriteFile(guest, moduleBytes(t), 0o600))
	for _, c := range []struct {
		name     string
		settings []string
		args     []string
		says     string
	}{
		{"by name", []string{"SESSION_STORAGE=memory"}, nil, "bundled"},
		{"in memory", nil, nil, `"keeps":"in memory, until the program ends"`},
		{"in memory, by file", nil, []string{guest}, `"keeps":"in memory, until the program ends"`},
		{"in memory, with snapshots", []string{"SESSION_DIR=" + filepath.Join(t.TempDir(), "a")}, nil, `"keeps":"in memory, saved to SESSION_DIR"`},
		{"in files", []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + filepath.Join(t.TempDir(), "b")}, nil, `"keeps":"in files in SESSION_DIR"`},
		{"in files, durable at the default", []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + filepath.Join(t.TempDir(), "c")}, nil, `"SESSION_DURABILITY","value":"interval"`},
		{"with a directory, by file", []string{"SESSION_DIR=" + filepath.Join(t.TempDir(), "d")}, []string{guest}, `"keeps":"as the plugin does, with SESSION_DIR for files"`},
		{"by file", nil, []string{guest}, "from a file"},
		{"by setting", []string{"SESSION_STORAGE=" + guest}, nil, "from a file"},
		{"argument before setting", []string{"SESSION_STORAGE=nothing-such.wasm"}, []string{guest}, "from a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Flags may stand behind the file.
			s := serve(t, c.settings, append(c.args, "--addr=127.0.0.1:0")...)
			require.Contains(t, get(t, s.address+"/api/about"), c.says)
			response, err := http.Post(s.address+"/api/session/n/increment", "", nil)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, "{\"value\":1}\n", string(body))
			s.stop(t, syscall.SIGTERM)
		})
	}
}

func TestRunSettings(t *testing.T) {
	needsSignals(t)
	s := serve(t, []string{"SESSION_COOKIE_NAME=duck", "SESSION_COOKIE_AGE=60", "SESSION_COOKIE_SAMESITE=Strict", "SESSION_MANAGER=local/desktop:@/tmp"}, "--addr", "localhost:0")
	response, err := http.Post(s.address+"/api/session/n/increment", "", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	cookie := response.Cookies()[0]
	require.Equal(t, "duck", cookie.Name)
	require.Equal(t, 60, cookie.MaxAge)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	s.stop(t, os.Interrupt)
}

func TestRunWarns(t *testing.T) {
	needsSignals(t)
	for _, c := range []struct {
		name     string
		settings []string
		addr     string
		says     string
	}{
		{"everybody", nil, ":0", "SESSION_COOKIE_SECURE"},
		{"everybody, with a secure cookie", []string{"SESSION_COOKIE_SECURE=yes"}, "0.0.0.0:0", ""},
		{"everybody, by a proxy that is believed", []string{"SESSION_COOKIE_SECURE=auto", "SESSION_TRUSTED_PROXIES=10.0.0.1"}, "0.0.0.0:0", ""},
		{"everybody, by a proxy that is not", []string{"SESSION_COOKIE_SECURE=auto"}, "0.0.0.0:0", "SESSION_TRUSTED_PROXIES"},
		{"only this machine", nil, "[::1]:0", ""},
		{"cookie elsewhere", []string{"SESSION_COOKIE_PATH=/shop"}, "127.0.0.1:0", "SESSION_COOKIE_PATH"},
		{"cookie for the interface", []string{"SESSION_COOKIE_PATH=/api/"}, "127.0.0.1:0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.addr, "::1") {
				l, err := net.Listen("tcp", c.addr)
				if err != nil {
					t.Skip("SKIPPED: no IPv6 here")
				}
				l.Close()
			}
			s := serve(t, c.settings, "--addr", c.addr)
			get(t, s.address+"/")
			s.stop(t, syscall.SIGTERM)
			if c.says == "" {
				require.NotContains(t, s.stderr.String(), "warning")
			} else {
				require.Contains(t, s.stderr.String(), "waddle: warning: ")
				require.Contains(t, s.stderr.String(), c.says)
			}
		})
	}
}

// The stack of a plugin's trap is shown in readable form.
func TestRunShowsStacks(t *testing.T) {
	needsSignals(t)
	s := serve(t, nil, "--addr", "127.0.0.1:0", "-v", hostileGuest("named"))
	response, err := http.Post(s.address+"/api/session/n/increment", "", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	cookie := response.Header.Get("Set-Cookie")
	request, err := http.NewRequest(http.MethodGet, s.address+"/api/session", nil)
	require.NoError(t, err)
	request.Header.Set("Cookie", cookie)
	response, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Contains(t, s.stderr.String(), "  trace:\n    sample.inner(i64) i64\n    sample.outer(i64) i64\n")
}
