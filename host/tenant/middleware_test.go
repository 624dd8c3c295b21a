package tenant_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func TestFindByHost(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	deploy(t, h, named("alice"))
	m := named("six")
	m.Hosts = nil
	deploy(t, h, m)
	for host, want := range map[string]string{
		"alice.localhost": "alice", "alice.localhost:8080": "alice", "ALICE.LocalHost": "alice",
		"alice.localhost.": "alice", "alice.localhost.:80": "alice",
		"": "", "alice": "", "bob.localhost": "", "x.alice.localhost": "", "alice.localhost..": "",
		":": "", "[": "", "[::1": "", "[::1]:80": "", "alice.localhost:80:80": "", "alice.localhost/": "", "alice.localhost\x00": "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		name, ok := h.FindByHost(r)
		require.Equal(t, want, name, "%q", host)
		require.Equal(t, want != "", ok, "%q", host)
	}
}

func TestFindByHeader(t *testing.T) {
	find := tenant.FindByHeader("x-tenant")
	for _, c := range []struct {
		values []string
		name   string
		ok     bool
	}{{nil, "", false}, {[]string{"alice"}, "alice", true}, {[]string{"alice", "bob"}, "", false}, {[]string{"alice", "alice"}, "", false}} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, v := range c.values {
			r.Header.Add("X-Tenant", v)
		}
		name, ok := find(r)
		require.Equal(t, c.name, name)
		require.Equal(t, c.ok, ok)
	}
}

// A request that is nobody's touches nothing.
func TestUnknownTenant(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	alice := deploy(t, h, named("alice"))
	for name, find := range map[string]tenant.Find{
		"by host": nil, "by header": tenant.FindByHeader("X-Tenant"),
		"empty name": func(*http.Request) (string, bool) { return "", true },
		"no":         func(*http.Request) (string, bool) { return "alice", false },
		"another":    func(*http.Request) (string, bool) { return "bob", true },
	} {
		t.Run(name, func(t *testing.T) {
			reached := false
			web := serve(t, h, find, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
			before := alice.Stats()
			told.kinds("alice")
			status, _, header, err := web.visitor().get("bob.localhost", "/")
			require.NoError(t, err)
			require.Equal(t, http.StatusNotFound, status)
			require.Empty(t, header.Values("Set-Cookie"))
			require.Empty(t, header.Values("Vary"))
			require.False(t, reached)
			after := alice.Stats()
			require.Equal(t, before.Calls, after.Calls)
			require.Equal(t, before.Requests, after.Requests)
			require.Empty(t, told.kinds("alice"))
		})
	}

	h, _ = newHost(t, tenant.HostConfig{Unknown: http.RedirectHandler("https://example.com/", http.StatusSeeOther)})
	w := httptest.NewRecorder()
	h.Handler(nil, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://bob.localhost/", nil))
	require.Equal(t, http.StatusSeeOther, w.Code)
}

// A finder that panics ends its request alone.
func TestFinderPanics(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	alice := deploy(t, h, named("alice"))
	handler := h.Handler(func(r *http.Request) (string, bool) {
		if r.URL.Path == "/panic" {
			panic("finder")
		}
		return "alice", true
	}, counter())
	require.PanicsWithValue(t, "finder", func() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/panic", nil))
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "alice 1", w.Body.String())
	require.Equal(t, uint64(1), alice.Stats().Requests)
	require.Zero(t, alice.Stats().Running)
}

// A handler that panics ends its request, and a removal does not wait for it.
func TestHandlerPanics(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	alice := deploy(t, h, named("alice"))
	handler := h.Handler(nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	require.Panics(t, func() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://alice.localhost/", nil))
	})
	require.Zero(t, alice.Stats().Running)
	require.NoError(t, h.Remove(ctx, "alice"))
}

// The cookie is for the tenant's host alone, unless its manifest says otherwise.
func TestCookiesAreTheTenants(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	deploy(t, h, named("alice"))
	m := named("bob")
	m.Session = map[string]string{"SESSION_COOKIE_NAME": "sid"}
	deploy(t, h, m)
	_, _, header, err := web.visitor().get("alice.localhost", "/")
	require.NoError(t, err)
	require.Contains(t, header.Get("Set-Cookie"), "session_id=")
	require.NotContains(t, header.Get("Set-Cookie"), "Domain")
	_, _, header, err = web.visitor().get("bob.localhost", "/")
	require.NoError(t, err)
	require.Contains(t, header.Get("Set-Cookie"), "sid=")
	require.NotContains(t, header.Get("Set-Cookie"), "Domain")
}

// One process has several handlers for the same tenants, and they share a session.
func TestSeveralHandlers(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	deploy(t, h, named("alice"))
	mux := http.NewServeMux()
	mux.Handle("/a/", h.Handler(nil, counter()))
	mux.Handle("/b/{what}", h.Handler(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counter().ServeHTTP(w, r)
	})))
	server := httptest.NewServer(mux)
	defer server.Close()
	v := site{server}.visitor()
	v.ok(t, "alice.localhost", "/a/", "alice 1")
	v.ok(t, "alice.localhost", "/b/x", "alice 2")
}

// What a handler learns about its request is known around the middleware.
func TestRequestIsHandedBack(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	deploy(t, h, named("alice"))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(_ http.ResponseWriter, r *http.Request) {
		session.From(r)
		require.Equal(t, "1", r.FormValue("x"))
	})
	r := httptest.NewRequest(http.MethodGet, "http://alice.localhost/page?x=1", nil)
	h.Handler(nil, mux).ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, "GET /page", r.Pattern)
	require.Equal(t, "1", r.Form.Get("x"))
}

func TestFromOutside(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	require.PanicsWithValue(t, "tenant: the request has no tenant: wrap the handler with (*tenant.Host).Handler", func() { tenant.From(r) })
	_, ok := tenant.FromContext(ctx)
	require.False(t, ok)
}
