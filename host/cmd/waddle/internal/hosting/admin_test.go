package hosting

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext/promtest"
	"github.com/waddle-sessions/waddle/host/tenant"
)

const testToken = "a-token-for-tests-that-nobody-uses-elsewhere"

// process is everything that "waddle host" runs, over real servers.
type process struct {
	*testing.T
	dir         string
	host        *tenant.Host
	directory   *Directory
	admin       *Admin
	site, panel *httptest.Server
	log         *strings.Builder
}

func start(t *testing.T, manifests ...string) *process {
	t.Helper()
	p := &process{T: t, dir: t.TempDir(), log: new(strings.Builder)}
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: p.log}, nil))
	var site Site
	host, err := tenant.NewHost(tenant.HostConfig{Dir: p.dir, Manager: site.Manager, Logger: log,
		Unknown: NotReady(func() *Directory { return p.directory })})
	require.NoError(t, err)
	p.host, p.directory = host, NewDirectory(p.dir, host, log)
	t.Cleanup(func() { require.NoError(t, host.Close(context.Background())) })
	for i, m := range manifests {
		p.write(fmt.Sprintf("%d.json", i), m)
	}
	p.scan()
	p.site = httptest.NewServer(site.Handler(host))
	t.Cleanup(p.site.Close)
	token, err := ParseToken(testToken)
	require.NoError(t, err)
	p.admin, err = NewAdmin(AdminConfig{Host: host, Directory: p.directory, Token: token, Log: log, Hosts: []string{"admin.example"}})
	require.NoError(t, err)
	p.panel = httptest.NewServer(p.admin)
	t.Cleanup(p.panel.Close)
	return p
}

func (p *process) write(name, content string) {
	p.Helper()
	require.NoError(p, os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644))
}

func (p *process) scan() {
	p.Helper()
	p.directory.Scan(context.Background())
	p.directory.running.Wait()
}

type reply struct {
	*http.Response
	body string
}

func send(t *testing.T, client *http.Client, r *http.Request) reply {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp, string(body)}
}

// ask sends a request to the interface for programs, with the token.
func (p *process) ask(method, path, body string) reply {
	p.Helper()
	r, err := http.NewRequest(method, p.panel.URL+path, strings.NewReader(body))
	require.NoError(p, err)
	r.Header.Set("Authorization", "Bearer "+testToken)
	return send(p.T, p.panel.Client(), r)
}

// visit sends a visitor's request to a tenant.
func (p *process) visit(client *http.Client, method, host, path string) reply {
	p.Helper()
	r, err := http.NewRequest(method, p.site.URL+path, nil)
	require.NoError(p, err)
	r.Host = host
	return send(p.T, client, r)
}

// visitor is a client with cookies. To its jar all tenants are one host, so it visits one.
func visitor(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar}
}

func decode[T any](t *testing.T, r reply) (v T) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.StatusCode, r.body)
	require.NoError(t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

func TestTenantsAreServed(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"), manifest("bob", "bob.localhost"))
	ada := visitor(t)
	for want := 1; want <= 3; want++ {
		got := p.visit(ada, "POST", "alice.localhost:8080", "/api/session/visits/increment")
		require.JSONEq(t, fmt.Sprintf(`{"value":%d}`, want), got.body)
		require.Contains(t, got.Header.Get("Server-Timing"), "set;dur=", "the page shows the plugin's calls")
	}
	require.JSONEq(t, `{"value":1}`, p.visit(ada, "POST", "bob.localhost", "/api/session/visits/increment").body, "another tenant's sessions are its own")
	page := p.visit(ada, "GET", "alice.localhost", "/")
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, page.body, "Waddle playground")
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "default-src 'none'")
	about := p.visit(ada, "GET", "alice.localhost", "/api/about")
	require.Contains(t, about.body, `"name":"memory"`)
	require.Contains(t, about.body, "SESSION_COOKIE_NAME")

	for host, want := range map[string]int{"carol.localhost": 404, "": 404, "alice.localhost.evil.example": 404, "127.0.0.1": 404} {
		got := p.visit(http.DefaultClient, "GET", host, "/")
		require.Equal(t, want, got.StatusCode, host)
		require.Empty(t, got.Header["Set-Cookie"])
	}
}

// TestTenantThatIsNotReady: 503 with a time, as long as a manifest has the host, and no
// cookie.
func TestTenantThatIsNotReady(t *testing.T) {
	sum := strings.Repeat("0", 64)
	p := start(t, `{"name": "alice", "hosts": ["alice.localhost"], "plugin": {"file": "missing.wasm", "sha256": "`+sum+`"}}`)
	got := p.visit(http.DefaultClient, "GET", "Alice.localhost:8080", "/")
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Empty(t, got.Header["Set-Cookie"])
	require.Equal(t, http.StatusNotFound, p.visit(http.DefaultClient, "GET", "bob.localhost", "/").StatusCode)

	p.directory.scanned = false
	require.Equal(t, http.StatusServiceUnavailable, p.visit(http.DefaultClient, "GET", "bob.localhost", "/").StatusCode, "nobody has looked yet")
}

func TestAdminForPrograms(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"), `{"name": "bad`)
	for range 3 {
		p.visit(visitor(t), "POST", "alice.localhost", "/api/session/visits/increment")
	}
	s := decode[Snapshot](t, p.ask("GET", "/api/tenants", ""))
	require.Len(t, s.Tenants, 1)
	require.EqualValues(t, 3, s.Tenants[0].Requests)
	require.Equal(t, "memory", s.Tenants[0].Plugin)
	require.Equal(t, []string{"alice.localhost"}, s.Tenants[0].Hosts)
	require.Len(t, s.Problems, 1)
	require.Equal(t, "1.json", s.Problems[0].File)

	// Deploy, replace, and see both served.
	require.Equal(t, http.StatusNoContent, p.ask("PUT", "/api/tenants/bob", manifest("bob", "bob.localhost")).StatusCode)
	require.Equal(t, http.StatusOK, p.visit(http.DefaultClient, "GET", "bob.localhost", "/").StatusCode)
	require.Equal(t, http.StatusNoContent, p.ask("PUT", "/api/tenants/bob", manifest("bob", "robert.localhost")).StatusCode)
	require.Equal(t, http.StatusNotFound, p.visit(http.DefaultClient, "GET", "bob.localhost", "/").StatusCode)
	require.Equal(t, http.StatusOK, p.visit(http.DefaultClient, "GET", "robert.localhost", "/").StatusCode)
	require.FileExists(t, filepath.Join(p.dir, "bob.json"))
	require.Equal(t, []string{"robert.localhost"}, decode[View](t, p.ask("GET", "/api/tenants/bob", "")).Hosts)

	// Sessions.
	list := decode[sessionList](t, p.ask("GET", "/api/tenants/alice/sessions?limit=2", ""))
	require.Equal(t, 3, list.Count)
	require.True(t, list.Complete)
	require.Len(t, list.Sessions, 2)
	end := "/api/tenants/alice/sessions/" + list.Sessions[0].Handle
	require.Equal(t, http.StatusNotFound, p.ask("DELETE", "/api/tenants/bob/sessions/"+list.Sessions[0].Handle, "").StatusCode, "it is another tenant's")
	require.Equal(t, http.StatusNoContent, p.ask("DELETE", end, "").StatusCode)
	require.Equal(t, http.StatusNotFound, p.ask("DELETE", end, "").StatusCode)
	require.Equal(t, 2, decode[sessionList](t, p.ask("GET", "/api/tenants/alice/sessions", "")).Count)

	// Sleep and wake.
	require.Equal(t, http.StatusNoContent, p.ask("POST", "/api/tenants/alice/sleep", "").StatusCode)
	require.Equal(t, tenant.StateAsleep, decode[View](t, p.ask("GET", "/api/tenants/alice", "")).State)
	require.Equal(t, 2, decode[sessionList](t, p.ask("GET", "/api/tenants/alice/sessions?limit=0", "")).Count)

	metrics := p.ask("GET", "/metrics", "")
	require.Equal(t, promtext.ContentType, metrics.Header.Get("Content-Type"))
	all, _ := promtest.Parse(t, metrics.body)
	require.EqualValues(t, 1, all["waddle_manifest_problems"])

	require.Equal(t, http.StatusNoContent, p.ask("DELETE", "/api/tenants/bob", "").StatusCode)
	require.Equal(t, http.StatusNotFound, p.ask("DELETE", "/api/tenants/bob", "").StatusCode)
	require.NoFileExists(t, filepath.Join(p.dir, "bob.json"))
	require.Equal(t, http.StatusNotFound, p.visit(http.DefaultClient, "GET", "robert.localhost", "/").StatusCode)
}

func TestAdminRefusesWhatIsWrong(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"))
	sum, junk := strings.Repeat("0", 64), []byte("this is no module")
	p.write("junk.wasm", string(junk))
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "/api/tenants/bob", "{", 400, "JSON"},
		{"PUT", "/api/tenants/bob", manifest("carol"), 400, "must be \\\"bob\\\""},
		{"PUT", "/api/tenants/bob", manifest("bob", "alice.localhost"), 409, "alice.localhost"},
		{"PUT", "/api/tenants/bob", `{"name": "bob", "plugin": {"file": "no.wasm", "sha256": "` + sum + `"}}`, 400, "no.wasm"},
		{"PUT", "/api/tenants/bob", `{"name": "bob", "plugin": {"file": "junk.wasm", "sha256": "` + tenant.Sum(junk) + `"}}`, 422, "not a WebAssembly module"},
		{"PUT", "/api/tenants/..%2f..%2fevil", manifest("evil"), 400, "evil"},
		{"PUT", "/api/tenants/x", `{"name": "../x", "plugin": {"bundled": "memory"}}`, 400, "name"},
		{"PUT", "/api/tenants/big", strings.Repeat(" ", maxManifest+1), 413, "too large"},
		{"GET", "/api/tenants/bob", "", 404, "bob"},
		{"POST", "/api/tenants/bob/sleep", "", 404, "bob"},
		{"GET", "/api/tenants/alice/sessions?limit=-1", "", 400, "limit"},
		{"GET", "/api/tenants/alice/sessions?limit=x", "", 400, "limit"},
		{"DELETE", "/api/tenants/alice/sessions/x", "", 404, "session"},
		{"GET", "/api/nothing", "", 404, "nothing"},
		{"POST", "/api/tenants/alice", "", 404, "POST"},
	} {
		got := p.ask(c.method, c.path, c.body)
		require.Equal(t, c.status, got.StatusCode, "%s %s: %s", c.method, c.path, got.body)
		require.Contains(t, got.body, c.says)
		require.True(t, json.Valid([]byte(got.body)), got.body)
	}
	entries, err := os.ReadDir(p.dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.Contains(t, []string{"0.json", "junk.wasm"}, e.Name(), "nothing is left of what was refused")
	}
}

// TestAdminNeedsTheToken: nothing is shown or done without it, and it is never logged.
func TestAdminNeedsTheToken(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"))
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", "Bearer " + testToken + "x", "Bearer " + testToken[:len(testToken)-1],
		testToken, "Basic " + testToken, "Bearer\x00" + testToken} {
		for _, c := range [][2]string{{"GET", "/metrics"}, {"GET", "/api/tenants"}, {"PUT", "/api/tenants/bob"}, {"DELETE", "/api/tenants/alice"}, {"GET", "/api/nothing"}} {
			r := httptest.NewRequest(c[0], "http://127.0.0.1"+c[1], strings.NewReader(manifest("bob")))
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			w := httptest.NewRecorder()
			p.admin.ServeHTTP(w, r)
			require.Equal(t, http.StatusUnauthorized, w.Code, "%q %v", header, c)
			require.NotContains(t, w.Body.String(), "alice")
		}
	}
	require.Len(t, p.host.Tenants(), 1)
	require.NotContains(t, p.log.String(), testToken[:10])
	require.Contains(t, p.log.String(), "refused a request")
	require.Less(t, strings.Count(p.log.String(), "refused a request"), 10, "guesses do not fill the log")
	all, _ := promtest.Parse(t, p.ask("GET", "/metrics", "").body)
	require.EqualValues(t, 45, all["waddle_admin_refused_total"])

	// A browser's cookie is not enough for the interface for programs: a page of another
	// site could use it.
	b := p.browser()
	b.logIn()
	require.Equal(t, http.StatusUnauthorized, b.get("/api/tenants").StatusCode)
	require.Equal(t, http.StatusUnauthorized, b.get("/metrics").StatusCode)
}

// TestAdminAnswersForItsHosts: a name of another site that leads here finds nothing.
func TestAdminAnswersForItsHosts(t *testing.T) {
	p := start(t, manifest("alice", "alice.localhost"))
	for host, want := range map[string]int{
		"127.0.0.1:8081": 200, "[::1]:8081": 200, "localhost": 200, "LOCALHOST.:1": 200, "admin.example": 200, "192.0.2.1": 200,
		"alice.localhost": 421, "evil.example": 421, "": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421,
	} {
		for _, path := range []string{"/login", "/api/tenants"} {
			r := httptest.NewRequest("GET", "http://x"+path, nil)
			r.Host = host
			r.Header.Set("Authorization", "Bearer "+testToken)
			w := httptest.NewRecorder()
			p.admin.ServeHTTP(w, r)
			require.Equal(t, want, w.Code, "%q", host)
		}
	}
}
