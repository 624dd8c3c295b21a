package session_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// plainWriter is what many middlewares put around a ResponseWriter. It counts,
// and does not reveal what it wraps.
type plainWriter struct {
	http.ResponseWriter
	status int
}

func (w *plainWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func wrapping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&plainWriter{ResponseWriter: w}, r.WithContext(context.WithValue(r.Context(), plainWriter{}, 1)))
	})
}

// buffering holds the answer back until the handler has returned.
func buffering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := httptest.NewRecorder()
		next.ServeHTTP(held, r)
		w.WriteHeader(held.Code)
		_, _ = w.Write(held.Body.Bytes())
	})
}

// withoutItsCookie removes the middleware's own cookie from the request.
func withoutItsCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.Clone(r.Context())
		inner.Header.Del("Cookie")
		for _, c := range r.Cookies() {
			if c.Name != "visitor" {
				inner.AddCookie(c)
			}
		}
		next.ServeHTTP(w, inner)
	})
}

// TestHandlerTwice: there is one session and one cookie, however often a
// manager's Handler is around a handler and whatever lies between.
func TestHandlerTwice(t *testing.T) {
	other := session.Defaults()
	other.CookieName = "admin_id"
	admin, err := session.New(store.NewMemory(), other)
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		between func(http.Handler) http.Handler
	}{
		{"at once", func(h http.Handler) http.Handler { return h }},
		{"with a middleware that wraps the writer", wrapping},
		{"with a middleware that holds the answer back", buffering},
		{"with a middleware that takes a cookie of its own away", withoutItsCookie},
		{"with another manager", admin.Handler},
		{"with another manager and a middleware", func(h http.Handler) http.Handler { return wrapping(admin.Handler(wrapping(h))) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			h := a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				require.Same(t, a.manager.From(r), session.From(r), "the innermost Handler is this manager's")
				n, err := session.NewKey[int]("n").Update(session.From(r), plusOne)
				require.NoError(t, err)
				_, _ = io.WriteString(w, string(rune('0'+n)))
			}))
			handler := c.between(h)
			b := a.browser()
			b.plant("visitor", "of another middleware")
			serve := func(w http.ResponseWriter, r *http.Request) {
				require.NoError(t, session.From(r).Set("outside", true))
				handler.ServeHTTP(w, r)
			}
			got := b.serve(serve)
			require.Len(t, got.Cookies(), 1)
			require.Equal(t, "1", got.body)
			require.Equal(t, []session.EventKind{session.EventCreated}, a.kinds())
			got = b.serve(serve)
			require.Equal(t, "2", got.body)
			require.Empty(t, got.Cookies())
			require.Len(t, b.values(), 2)
			require.Empty(t, a.kinds())
		})
	}
}

// TestHandlerTwiceSavesAtTheEnd: this includes changes after the response
// began.
func TestHandlerTwiceSavesAtTheEnd(t *testing.T) {
	a := newApp(t, store.NewMemory())
	h := a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		require.NoError(t, session.From(r).Set("user", "bob"))
	}))
	id := a.login("ada")
	b := a.browser()
	b.plant("session_id", id)
	b.serve(h.ServeHTTP)
	require.Equal(t, "bob", a.peek(id))
}

// TestRequestOfAHandler: a request that a handler makes with its own context
// shares the session only if it is the same visitor's and the first request can
// still save it.
func TestRequestOfAHandler(t *testing.T) {
	a := newApp(t, store.NewMemory())
	h := a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("inside", true))
	}))
	request := func(r *http.Request, cookie string) *http.Request {
		inner := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/", nil)
		if cookie != "" {
			inner.Header.Set("Cookie", cookie)
		}
		return inner
	}
	ada, bob := a.login("ada"), a.login("bob")
	has := func(id string) bool {
		ok, err := a.manager.Session(ctx, id).Has("inside")
		require.NoError(t, err)
		return ok
	}
	visitor := a.browser()
	visitor.plant("session_id", ada)

	visitor.serve(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(httptest.NewRecorder(), request(r, "session_id="+bob))
		require.True(t, has(bob), "it has its own")
	})
	require.False(t, has(ada))

	var first *http.Request
	visitor.serve(func(w http.ResponseWriter, r *http.Request) {
		first = r
		h.ServeHTTP(httptest.NewRecorder(), request(r, r.Header.Get("Cookie")))
		require.False(t, has(ada), "saved with the response, as all of it")
	})
	require.True(t, has(ada))

	require.NoError(t, a.manager.Session(ctx, ada).Destroy())
	carol := a.login("carol")
	first.Header.Set("Cookie", "session_id="+carol)
	h.ServeHTTP(httptest.NewRecorder(), request(first, "session_id="+carol))
	require.True(t, has(carol), "the first request is over, and would save nothing")
}

// clashes counts the events about two managers with one cookie.
type clashes struct {
	mu   sync.Mutex
	errs []error
}

func (c *clashes) settings(name, path string) session.Settings {
	settings := session.Defaults()
	settings.CookieName, settings.CookiePath = name, path
	settings.OnEvent = func(_ context.Context, e session.Event) {
		if e.Kind == session.EventClash {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.errs = append(c.errs, e.Err)
		}
	}
	return settings
}

func (c *clashes) manager(t *testing.T, name, path string) *session.Manager {
	t.Helper()
	m, err := session.New(store.NewMemory(), c.settings(name, path))
	require.NoError(t, err)
	return m
}

func newVisitor(_ http.ResponseWriter, r *http.Request) { _ = session.From(r).Set("n", 1) }

// TestManagersWithOneCookie: a nested pair, or one side by side at one server,
// is reported once, with both named. Harmless pairs are not reported.
func TestManagersWithOneCookie(t *testing.T) {
	h := http.HandlerFunc(newVisitor)
	for _, c := range []struct {
		name         string
		other, path  string
		nested, said bool
		visits       []string
		hosts        []string
	}{
		{name: "nested", other: "session_id", path: "/", nested: true, said: true, visits: []string{"/", "/"}},
		{name: "nested, with a path beneath", other: "session_id", path: "/admin", nested: true, said: true, visits: []string{"/"}},
		{name: "nested, with names of their own", other: "admin_id", path: "/", nested: true, visits: []string{"/", "/"}},
		{name: "side by side", other: "session_id", path: "/", said: true, visits: []string{"/", "/admin/", "/", "/admin/", "/", "/admin/"}},
		{name: "side by side, with a path beneath", other: "session_id", path: "/admin", said: true, visits: []string{"/", "/admin/", "/", "/admin/"}},
		{name: "side by side, with names of their own", other: "admin_id", path: "/", visits: []string{"/", "/admin/", "/", "/admin/"}},
		{name: "one in place of the other", other: "session_id", path: "/", visits: []string{"/", "/", "/admin/", "/admin/"}},
		{name: "one in place of the other, which ends a request", other: "session_id", path: "/", visits: []string{"/", "/admin/", "/", "/"}},
		{name: "for two sites", other: "session_id", path: "/", visits: []string{"/", "/admin/", "/", "/admin/"}, hosts: []string{"a.example", "b.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said clashes
			one, other := said.manager(t, "session_id", "/"), said.manager(t, c.other, c.path)
			mux := http.NewServeMux()
			if c.nested {
				mux.Handle("/", one.Handler(other.Handler(h)))
			} else {
				mux.Handle("/", one.Handler(h))
				mux.Handle("/admin/", other.Handler(h))
			}
			server := serveOver(t, false, mux)
			for _, path := range c.visits {
				r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
				require.NoError(t, err)
				if c.hosts != nil {
					r.Host = c.hosts[min(len(path)-1, 1)]
				}
				fetch(t, server.Client(), r)
			}
			if !c.said {
				require.Empty(t, said.errs)
				return
			}
			require.Len(t, said.errs, 1)
			require.ErrorIs(t, said.errs[0], session.ErrSettings)
			require.Regexp(t, `"session_id" \(path /, made at nested_test\.go:\d+\).*"session_id" \(path `+c.path+`, made at nested_test\.go:\d+\)|`+
				`"session_id" \(path `+c.path+`, made at nested_test\.go:\d+\).*"session_id" \(path /, made at nested_test\.go:\d+\)`, said.errs[0].Error())
		})
	}
}

// TestPathsOfTwoManagers: paths clash only if one request can have both
// cookies.
func TestPathsOfTwoManagers(t *testing.T) {
	h := http.HandlerFunc(newVisitor)
	for _, c := range []struct {
		a, b string
		said bool
	}{
		{"/a", "/b", false}, {"/a", "/ab", false}, {"/a", "/a", true}, {"/a", "/a/b", true}, {"/a/", "/a/b", true}, {"/a/b", "/a", true},
	} {
		var said clashes
		said.manager(t, "session_id", c.a).Handler(said.manager(t, "session_id", c.b).Handler(h)).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, c.said, len(said.errs) == 1, "%s and %s", c.a, c.b)

		// The same holds if the paths come from a function.
		said.errs = nil
		by := func(path string) http.Handler {
			settings := said.settings("session_id", "/x")
			settings.CookieFor = func(_ *http.Request, scope session.CookieScope) session.CookieScope {
				scope.Path = path
				return scope
			}
			m, err := session.New(store.NewMemory(), settings)
			require.NoError(t, err)
			return m.Handler(h)
		}
		one, other := by(c.a), by(c.b)
		server := serveOver(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/b" {
				other.ServeHTTP(w, r)
			} else {
				one.ServeHTTP(w, r)
			}
		}))
		for range 3 {
			for _, path := range []string{"/a", "/b"} {
				r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
				require.NoError(t, err)
				fetch(t, server.Client(), r)
			}
		}
		require.Equal(t, c.said, len(said.errs) == 1, "%s and %s, by CookieFor", c.a, c.b)
	}
}

// TestDomainsOfTwoManagers: a cookie for a domain reaches the hosts beneath it.
func TestDomainsOfTwoManagers(t *testing.T) {
	h := http.HandlerFunc(newVisitor)
	for _, c := range []struct {
		name         string
		a, b         string // domains
		hostA, hostB string
		said         bool
	}{
		{"the same, from two hosts", "example.com", "example.com", "a.example.com", "b.example.com", true},
		{"one of the host alone", "example.com", "", "a.example.com", "a.example.com", true},
		{"two domains", "a.example.com", "b.example.com", "a.example.com", "b.example.com", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said clashes
			made := func(domain string) http.Handler {
				settings := said.settings("session_id", "/")
				settings.CookieDomain = domain
				m, err := session.New(store.NewMemory(), settings)
				require.NoError(t, err)
				return m.Handler(h)
			}
			one, other := made(c.a), made(c.b)
			server := serveOver(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/b" {
					other.ServeHTTP(w, r)
				} else {
					one.ServeHTTP(w, r)
				}
			}))
			for range 3 {
				for path, host := range map[string]string{"/a": c.hostA, "/b": c.hostB} {
					r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
					require.NoError(t, err)
					r.Host = host
					fetch(t, server.Client(), r)
				}
			}
			require.Equal(t, c.said, len(said.errs) == 1, "%v", said.errs)
		})
	}
}

// TestManyManagersSayNothing: tests make many with the default name, each with
// its own server or none.
func TestManyManagersSayNothing(t *testing.T) {
	var said clashes
	h := http.HandlerFunc(newVisitor)
	var bare, served []http.Handler
	var servers []*httptest.Server
	for range 20 {
		bare = append(bare, said.manager(t, "session_id", "/").Handler(h))
		served = append(served, said.manager(t, "session_id", "/").Handler(h))
		servers = append(servers, serveOver(t, false, served[len(served)-1]))
	}
	for range 3 {
		for i := range bare {
			bare[i].ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			r, err := http.NewRequest(http.MethodGet, servers[i].URL, nil)
			require.NoError(t, err)
			r.Host = "example.com"
			fetch(t, servers[i].Client(), r)
		}
	}
	require.NoError(t, errors.Join(said.errs...))
}
