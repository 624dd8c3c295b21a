package visit

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Build builds the program of the current folder and returns the path of its
// file.
func Build(t testing.TB) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: there are no signals to send on Windows")
	}
	program := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// Program is a server that runs as a process of its own.
type Program struct {
	t     testing.TB
	cmd   *exec.Cmd
	addr  string
	ended chan string // everything that it logged
}

// Start starts a program that takes -addr and logs where it listens.
func Start(t testing.TB, program string, arguments ...string) *Program {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-addr", "127.0.0.1:0"}, arguments...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	p := &Program{t: t, cmd: cmd, ended: make(chan string, 1)}
	listening := regexp.MustCompile(`listening on http://(\S+)/`)
	var logged strings.Builder
	lines := bufio.NewReader(stderr)
	for p.addr == "" {
		line, err := lines.ReadString('\n')
		logged.WriteString(line)
		require.NoError(t, err, "it ended before it listened: %s", logged.String())
		if found := listening.FindStringSubmatch(line); found != nil {
			p.addr = found[1]
		}
	}
	go func() {
		_, _ = io.Copy(&logged, lines)
		p.ended <- logged.String()
	}()
	return p
}

// NewJar returns a jar for cookies.
func NewJar(t testing.TB) http.CookieJar {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return jar
}

// Get asks for the front page under a host name and returns the answer.
func (p *Program) Get(jar http.CookieJar, host string) string {
	p.t.Helper()
	client := http.Client{Jar: jar}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.addr+"/", nil)
	require.NoError(p.t, err)
	r.Host = host
	answer, err := client.Do(r)
	require.NoError(p.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(p.t, err)
	return string(body)
}

// Terminate sends the signal that service managers send, and requires the
// program to end without an error, after it has closed everything.
func (p *Program) Terminate() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	logged := <-p.ended
	require.NoError(p.t, p.cmd.Wait(), "%s", logged)
	require.True(p.t, strings.HasSuffix(logged, "stopped\n"), "%s", logged)
	require.Equal(p.t, os.ErrProcessDone, p.cmd.Process.Signal(syscall.Signal(0)))
}
