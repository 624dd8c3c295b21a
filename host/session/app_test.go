package session_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// at returns the time on the clock of a test that began a while ago.
func at(since time.Duration) time.Time { return sessiontest.Start.Add(since).Local() }

// clockStart is the time at which tests begin, as stores take it.
var clockStart = store.At(sessiontest.Start)

// app is an application with sessions behind a real HTTP server.
type app struct {
	t        *testing.T
	clock    *sessiontest.Clock
	store    *spy
	manager  *session.Manager
	sessions *sessiontest.Sessions
	server   *httptest.Server

	mu       sync.Mutex
	handlers map[string]http.Handler
	events   []session.Event
}

func newApp(t *testing.T, s store.Store, change ...func(*session.Settings)) *app {
	t.Helper()
	a := &app{t: t, store: &spy{Store: s}, handlers: make(map[string]http.Handler)}
	watch := func(s *session.Settings) {
		s.OnEvent = func(_ context.Context, e session.Event) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.events = append(a.events, e)
		}
	}
	a.sessions = sessiontest.NewOver(t, a.store, append([]func(*session.Settings){watch}, change...)...)
	a.clock, a.manager = a.sessions.Clock, a.sessions.Manager
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		h := a.handlers[r.URL.Path]
		a.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(a.server.Close)
	return a
}

// follow makes an application live by the clock of another one.
func (a *app) follow(other *app) {
	a.t.Helper()
	s := a.sessions
	s.Clock, s.Settings.Now = other.clock, other.clock.Now
	var err error
	s.Manager, err = session.New(s.Store, s.Settings)
	require.NoError(a.t, err)
	a.clock, a.manager = s.Clock, s.Manager
}

// route serves a handler with sessions and returns its address.
func (a *app) route(h http.HandlerFunc) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := "/" + strconv.Itoa(len(a.handlers))
	a.handlers[path] = a.manager.Handler(h)
	return a.server.URL + path
}

// kinds returns the kinds of the events since the last call of kinds.
func (a *app) kinds() []session.EventKind {
	kinds := []session.EventKind{}
	for _, e := range a.takeEvents() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (a *app) takeEvents() []session.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	events := a.events
	a.events = nil
	return events
}

// browser is a browser whose requests the test answers itself.
type browser struct {
	*sessiontest.Browser
	a *app
}

func (a *app) browser() *browser { return &browser{a.sessions.BrowserOf(a.server), a} }

// id is the session cookie that the browser would send.
func (b *browser) id() string { return b.cookie("session_id") }

// cookie is the value of a cookie that the browser would send, or empty.
func (b *browser) cookie(name string) string {
	for _, c := range b.cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) cookies() []*http.Cookie { return b.Client.Jar.Cookies(b.home()) }

// plant puts a cookie into the browser that no response gave it.
func (b *browser) plant(name, value string) {
	b.Client.Jar.SetCookies(b.home(), []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

func (b *browser) home() *url.URL {
	home, err := url.Parse(b.a.server.URL + "/")
	require.NoError(b.a.t, err)
	return home
}

// reply is a response with its body read.
type reply struct {
	*http.Response
	body string
}

func (r *reply) cookie() *http.Cookie {
	for _, c := range r.Cookies() {
		if c.Name == "session_id" {
			return c
		}
	}
	return nil
}

// serve sends a request for a handler and returns the reply.
func (b *browser) serve(h http.HandlerFunc) *reply {
	b.a.t.Helper()
	return b.send(http.MethodGet, b.a.route(h))
}

func (b *browser) send(method, address string) *reply {
	b.a.t.Helper()
	r, err := http.NewRequest(method, address, nil)
	require.NoError(b.a.t, err)
	return readReply(b.a.t, b.Do(r))
}

// keep makes the browser keep the cookies of a response to somebody else's
// request.
func (b *browser) keep(got *reply) { b.Client.Jar.SetCookies(got.Request.URL, got.Cookies()) }

// do runs f with the session of a request.
func (b *browser) do(f func(s *session.Session)) *reply {
	b.a.t.Helper()
	return b.serve(func(_ http.ResponseWriter, r *http.Request) { f(session.From(r)) })
}

// set puts a value into the browser's session.
func (b *browser) set(key string, v any) *reply {
	b.a.t.Helper()
	got := b.do(func(s *session.Session) { require.NoError(b.a.t, s.Set(key, v)) })
	require.Equal(b.a.t, http.StatusOK, got.StatusCode)
	return got
}

// values returns all values of the browser's session.
func (b *browser) values() (all map[string]any) {
	b.a.t.Helper()
	b.do(func(s *session.Session) { all = sessiontest.Values(b.a.t, s) })
	return all
}

// with sends one request with the given Cookie lines unchanged.
func (a *app) with(cookies []string, f func(s *session.Session)) *reply {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodGet, a.route(func(_ http.ResponseWriter, r *http.Request) { f(session.From(r)) }), nil)
	require.NoError(a.t, err)
	if len(cookies) > 0 {
		r.Header["Cookie"] = cookies
	}
	return fetch(a.t, a.server.Client(), r)
}

// login makes a session with a user in it and returns its id.
func (a *app) login(user string) string {
	a.t.Helper()
	b := a.browser()
	b.set("user", user)
	require.NotEmpty(a.t, b.id())
	return b.id()
}

// peek reads the user under an id without leaving a trace.
func (a *app) peek(id string) (user string) {
	a.t.Helper()
	_, err := a.manager.Session(context.Background(), id).Get("user", &user)
	require.NoError(a.t, err)
	return user
}

func fetch(t *testing.T, client *http.Client, r *http.Request) *reply {
	t.Helper()
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	return readReply(t, resp)
}

func readReply(t *testing.T, resp *http.Response) *reply {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return &reply{resp, string(body)}
}

// on returns a fault for operations of the given name.
func on(name string, err error) func(operation) error {
	return func(o operation) error {
		if o.name == name {
			return err
		}
		return nil
	}
}

var errFault = errors.New("a fault for tests")
