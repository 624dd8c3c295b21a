package tenant_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/tenant"
)

var ctx = context.Background()

// events keeps what a host tells.
type events struct {
	mu  sync.Mutex
	all []tenant.Event
}

func (e *events) add(event tenant.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// kinds returns what was told about a tenant, and forgets it.
func (e *events) kinds(name string) (list []tenant.EventKind) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var rest []tenant.Event
	for _, event := range e.all {
		if event.Tenant == name {
			list = append(list, event.Kind)
		} else {
			rest = append(rest, event)
		}
	}
	e.all = rest
	return list
}

func (e *events) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = nil
}

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

// newHost makes a host that is closed with the test.
func newHost(t testing.TB, config tenant.HostConfig) (*tenant.Host, *events) {
	t.Helper()
	told := new(events)
	config.Events = told.add
	if config.Logger == nil {
		config.Logger = discard
	}
	h, err := tenant.NewHost(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close(ctx) })
	return h, told
}

func deploy(t testing.TB, h *tenant.Host, m tenant.Manifest) *tenant.Tenant {
	t.Helper()
	made, err := h.Deploy(ctx, m)
	require.NoError(t, err)
	return made
}

// named is a manifest of a tenant with a small guest, which opens in no time, and a host
// name.
func named(name string) tenant.Manifest {
	return tenant.Manifest{Name: name, Hosts: []string{name + ".localhost"}, Plugin: tenant.Source{Bytes: small(), SHA256: tenant.Sum(small())},
		Limits: tenant.Limits{Memory: 64 << 20}}
}

var small = sync.OnceValue(func() []byte {
	b, err := os.ReadFile("../../examples/guests/c/store.wasm")
	if err != nil {
		panic(err)
	}
	return b
})

// bundled is a manifest of a tenant with a bundled engine.
func bundled(name, engine string) tenant.Manifest {
	m := named(name)
	m.Plugin = tenant.Source{Bundled: engine}
	return m
}

// guest returns an example guest, by language.
func guest(t testing.TB, language string) []byte {
	t.Helper()
	return readFile(t, filepath.Join("../../examples/guests", language, "store.wasm"))
}

// source is a plugin that a manifest brings itself.
func source(wasm []byte) tenant.Source { return tenant.Source{Bytes: wasm, SHA256: tenant.Sum(wasm)} }

// fixture returns a guest of package plugin's tests.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	return readFile(t, filepath.Join("../plugin/testdata", name+".wasm"))
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return b
}

var visits = session.NewKey[int]("visits")

// counter counts a visitor's visits. /peek tells them without counting.
func counter() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		if r.URL.Path == "/peek" {
			n, err := visits.Get(s)
			s.Check(err)
			fmt.Fprintf(w, "%s %d", tenant.From(r).Name(), n)
			return
		}
		n, err := session.Increment(s, visits, 1)
		s.Check(err)
		fmt.Fprintf(w, "%s %d", tenant.From(r).Name(), n)
	})
}

// site is a server of a host's tenants.
type site struct {
	*httptest.Server
}

func serve(t testing.TB, h *tenant.Host, find tenant.Find, next http.Handler) site {
	t.Helper()
	server := httptest.NewServer(h.Handler(find, next))
	t.Cleanup(server.Close)
	return site{server}
}

// visitor is a browser.
type visitor struct {
	site   site
	client *http.Client
}

func (s site) visitor() *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{s, &http.Client{Jar: jar, Timeout: time.Minute, Transport: s.Client().Transport}}
}

// get asks a tenant's host for a path.
func (v *visitor) get(host, path string) (status int, body string, header http.Header, err error) {
	// The jar keeps cookies by the address, so each visitor visits one host.
	r, _ := http.NewRequest(http.MethodGet, v.site.URL+path, nil)
	r.Host = host
	response, err := v.client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(b)), response.Header, err
}

// ok asks and requires an answer.
func (v *visitor) ok(t testing.TB, host, path, want string) {
	t.Helper()
	status, body, _, err := v.get(host, path)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, want, body)
}

const (
	minute = time.Minute
	tick   = 2 * time.Millisecond
)

func isKind(err, kind error) bool { return errors.Is(err, kind) }

// without takes an export away from a module by changing its name.
func without(t testing.TB, wasm []byte, export string) []byte {
	t.Helper()
	require.Equal(t, 1, bytes.Count(wasm, []byte(export)))
	return bytes.Replace(wasm, []byte(export), append([]byte("x"), export[1:]...), 1)
}
