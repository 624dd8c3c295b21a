package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hosting is "waddle host" while it runs.
type hosting struct {
	*exec.Cmd
	dir, site, admin string
	stderr           *lockedBuffer
	stdout           *bufio.Reader
}

const bundledManifest = `{"name": %q, "hosts": ["%[1]s.localhost"], "plugin": {"bundled": "memory"}, "persist": true}`

func hostTenants(t *testing.T, dir string, settings []string, args ...string) *hosting {
	t.Helper()
	cmd := command(t, settings, append([]string{"host", dir, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args...)...)
	h := &hosting{Cmd: cmd, dir: dir, stderr: new(lockedBuffer)}
	cmd.Stderr = h.stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	h.stdout = bufio.NewReader(out)
	for _, to := range []*string{&h.site, &h.admin} {
		line, err := h.stdout.ReadString('\n')
		require.NoError(t, err, "the program ended before it listened: %s", h.stderr)
		*to = regexp.MustCompile(`http://(\S+)`).FindStringSubmatch(line)[1]
	}
	return h
}

// ask sends a request and returns the status and the headers.
func (h *hosting) ask(t *testing.T, method, host, address string, header http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+address, nil)
	require.NoError(t, err)
	r.Host = host
	if header != nil {
		r.Header = header
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp
}

func (h *hosting) await(t *testing.T, tenant string, status int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return h.ask(t, "GET", tenant+".localhost", h.site+"/api/session", nil).StatusCode == status
	}, patience, 10*time.Millisecond, "%s: %s", tenant, h.stderr)
}

func writeManifest(t *testing.T, dir, name string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), fmt.Appendf(nil, bundledManifest, name), 0o644))
}

func (h *hosting) end(t *testing.T) {
	t.Helper()
	require.NoError(t, h.Process.Signal(syscall.SIGTERM))
	rest, err := h.stdout.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, rest, "stopped")
	require.NoError(t, h.Wait(), "%s", h.stderr)
}

// TestHost: manifests come, change and go while the program runs, and what a tenant keeps
// is there after a restart.
func TestHost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the test ends programs with signals")
	}
	dir := t.TempDir()
	writeManifest(t, dir, "alice")
	h := hostTenants(t, dir, nil)
	h.await(t, "alice", http.StatusOK)
	h.await(t, "bob", http.StatusNotFound)
	writeManifest(t, dir, "bob")
	require.NoError(t, h.Process.Signal(syscall.SIGHUP))
	h.await(t, "bob", http.StatusOK)
	require.NoError(t, os.Remove(filepath.Join(dir, "bob.json")))
	h.await(t, "bob", http.StatusNotFound)

	token, err := os.ReadFile(filepath.Join(dir, ".admin-token"))
	require.NoError(t, err)
	bearer := http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}}
	require.Equal(t, http.StatusOK, h.ask(t, "GET", "", h.admin+"/metrics", bearer).StatusCode)
	require.Equal(t, http.StatusUnauthorized, h.ask(t, "GET", "", h.admin+"/metrics", nil).StatusCode)
	require.Equal(t, http.StatusMisdirectedRequest, h.ask(t, "GET", "alice.localhost", h.admin+"/metrics", bearer).StatusCode)
	require.NotContains(t, h.stderr.String(), strings.TrimSpace(string(token)))

	// A second process would spoil what the first keeps.
	second := run(t, nil, "host", dir, "--addr", "127.0.0.1:0", "--admin-addr", "off")
	require.Equal(t, 1, second.code)
	require.Contains(t, second.stderr, "another process already serves")

	set := h.ask(t, "POST", "alice.localhost", h.site+"/api/session/visits/increment", nil)
	cookie := set.Header.Get("Set-Cookie")
	require.NotEmpty(t, cookie)
	h.end(t)
	h = hostTenants(t, dir, nil)
	h.await(t, "alice", http.StatusOK)
	again := h.ask(t, "POST", "alice.localhost", h.site+"/api/session/visits/increment", http.Header{"Cookie": {strings.Split(cookie, ";")[0]}})
	require.Equal(t, http.StatusOK, again.StatusCode)
	require.Empty(t, again.Header.Get("Set-Cookie"), "it goes on with the session from before")
	h.end(t)
}

// TestHostArguments: mistakes are told before anything is served.
func TestHostArguments(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 40)
	open := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(open, []byte(long), 0o600))
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Chmod(open, 0o644))
	}
	for name, c := range map[string]struct {
		settings, args []string
		says           string
	}{
		"no directory":      {nil, nil, "takes one directory"},
		"two":               {nil, []string{dir, dir}, "takes one directory"},
		"none there":        {nil, []string{filepath.Join(dir, "none")}, "mkdir"},
		"a file":            {nil, []string{open}, "not a directory"},
		"an address":        {nil, []string{dir, "--addr", "here"}, "HOST:PORT"},
		"an admin address":  {[]string{"WADDLE_ADMIN_ADDR=here"}, []string{dir, "--addr", "127.0.0.1:0"}, "admin"},
		"a short token":     {[]string{"WADDLE_ADMIN_TOKEN=secret"}, []string{dir, "--addr", "127.0.0.1:0"}, "at least 32"},
		"two tokens":        {[]string{"WADDLE_ADMIN_TOKEN=" + long, "WADDLE_ADMIN_TOKEN_FILE=" + open}, []string{dir, "--addr", "127.0.0.1:0"}, "one of them"},
		"no keys":           {nil, []string{dir, "--trusted-keys", filepath.Join(dir, "none")}, "none"},
		"no range":          {nil, []string{dir, "--network", "--private", "10.1.2.3"}, `--private is "10.1.2.3"`},
		"no network":        {nil, []string{dir, "--socket", "/run/redis.sock"}, "have no effect without --network"},
		"a negative memory": {nil, []string{dir, "--memory", "-1"}, "at least 1 byte"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, c.settings, append([]string{"host"}, c.args...)...)
			require.Equal(t, 2, got.code, got.stderr)
			require.Contains(t, got.stderr, c.says)
			require.NotContains(t, got.stderr, "secret ")
			require.Empty(t, got.stdout)
		})
	}
	if runtime.GOOS != "windows" {
		got := run(t, []string{"WADDLE_ADMIN_TOKEN_FILE=" + open}, "host", dir, "--addr", "127.0.0.1:0")
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stderr, "chmod 600")
	}
}
