package session_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// clock is a clock that tests move.
type clock struct{ ms atomic.Int64 }

const clockStart = 1767225600000 // 2026-01-01T00:00:00Z

func newClock() *clock {
	c := new(clock)
	c.ms.Store(clockStart)
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) millis() store.Millis    { return store.Millis(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }
func (c *clock) at(d time.Duration) time.Time {
	return time.UnixMilli(clockStart + d.Milliseconds())
}

// app is an application with sessions behind a real HTTP server.
type app struct {
	t       *testing.T
	clock   *clock
	store   *spy
	manager *session.Manager
	server  *httptest.Server

	mu       sync.Mutex
	handlers map[string]http.Handler
	events   []session.Event
}

func newApp(t *testing.T, s store.Store, change ...func(*session.Settings)) *app {
	t.Helper()
	a := &app{t: t, clock: newClock(), store: &spy{Store: s}, handlers: make(map[string]http.Handler)}
	settings := session.Defaults()
	settings.Now = a.clock.Now
	settings.OnEvent = func(_ context.Context, e session.Event) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, e)
	}
	for _, f := range change {
		f(&settings)
	}
	var err error
	a.manager, err = session.New(a.store, settings)
	require.NoError(t, err)
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		h := a.handlers[r.URL.Path]
		a.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(a.server.Close)
	return a
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

// browser keeps cookies by name as a browser does, using the application's
// clock.
type browser struct {
	a   *app
	jar map[string]stored
}

type stored struct {
	value   string
	expires time.Time // zero: until the browser closes
}

func (a *app) browser() *browser { return &browser{a: a, jar: make(map[string]stored)} }

// close closes the browser's window and opens a new one.
func (b *browser) close() {
	for name, c := range b.jar {
		if c.expires.IsZero() {
			delete(b.jar, name)
		}
	}
}

// id is the session cookie that the browser would send.
func (b *browser) id() string {
	c, ok := b.jar["session_id"]
	if !ok || !c.expires.IsZero() && !b.a.clock.Now().Before(c.expires) {
		return ""
	}
	return c.value
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
	for name, c := range b.jar {
		if c.expires.IsZero() || b.a.clock.Now().Before(c.expires) {
			r.AddCookie(&http.Cookie{Name: name, Value: c.value})
		}
	}
	return b.keep(fetch(b.a.t, b.a.server.Client(), r))
}

func (b *browser) keep(got *reply) *reply {
	for _, c := range got.Cookies() {
		switch {
		case c.MaxAge < 0:
			delete(b.jar, c.Name)
		case c.MaxAge > 0:
			b.jar[c.Name] = stored{c.Value, b.a.clock.Now().Add(time.Duration(c.MaxAge) * time.Second)}
		default:
			b.jar[c.Name] = stored{value: c.Value}
		}
	}
	return got
}

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
func (b *browser) values() map[string]any {
	b.a.t.Helper()
	all := map[string]any{}
	b.do(func(s *session.Session) {
		keys, err := s.Keys()
		require.NoError(b.a.t, err)
		for _, key := range keys {
			var v any
			ok, err := s.Get(key, &v)
			require.NoError(b.a.t, err)
			require.True(b.a.t, ok)
			all[key] = v
		}
	})
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
