package fibersession_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v3"
	fiberlog "github.com/gofiber/fiber/v3/log"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	name   = session.NewKey[string]("name")
	visits = session.NewKey[int]("visits")
	notes  = session.NewFlash[string]("notes")
)

// stores are the stores over which the behaviour is tested.
var stores = map[string]func(t *testing.T) store.Store{
	"native": func(*testing.T) store.Store { return store.NewMemory() },
	"memory engine": func(t *testing.T) store.Store {
		p, err := memory.Open(context.Background(), plugin.Config{Logger: slog.New(slog.DiscardHandler), SweepInterval: -1})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
		return p
	},
}

// site is an app that runs on a port of its own, and its sessions.
type site struct {
	*sessiontest.Sessions
	App *fiber.App
	URL string

	t      *testing.T
	mu     sync.Mutex
	events []session.Event
}

// newSite prepares a site whose handlers have sessions. Its routes come before open.
func newSite(t *testing.T, change ...func(*session.Settings)) *site {
	return newSiteOver(t, store.NewMemory(), fiber.Config{}, change...)
}

func newSiteOver(t *testing.T, over store.Store, config fiber.Config, change ...func(*session.Settings)) *site {
	t.Helper()
	s := &site{t: t, App: fiber.New(config)}
	heard := func(set *session.Settings) {
		set.OnEvent = func(_ context.Context, e session.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		}
	}
	s.Sessions = sessiontest.NewOver(t, over, append([]func(*session.Settings){heard}, change...)...)
	return s
}

// use puts the sessions in place, behind the middleware that was added before.
func (s *site) use() *site {
	s.App.Use(fibersession.New(s.Manager))
	return s
}

// open serves the app until the test ends.
func (s *site) open() *site {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	s.serve(listener)
	s.URL = "http://" + listener.Addr().String()
	return s
}

func (s *site) serve(listener net.Listener) {
	ended := make(chan error, 1)
	go func() { ended <- s.App.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	s.t.Cleanup(func() {
		require.NoError(s.t, s.App.Shutdown())
		require.NoError(s.t, <-ended)
	})
}

// of returns the events of a kind.
func (s *site) of(kind session.EventKind) (found []session.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// visitor is a browser that keeps cookies and follows no redirect.
type visitor struct {
	*http.Client
	site *site
}

func (s *site) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{site: s, Client: &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// reply is a response with its whole body.
type reply struct {
	*http.Response
	text string
}

func (r *reply) cookie(named string) *http.Cookie {
	for _, c := range r.Cookies() {
		if c.Name == named {
			return c
		}
	}
	return nil
}

func (v *visitor) get(path string, header ...string) *reply {
	v.site.t.Helper()
	return v.send(http.MethodGet, path, "", header...)
}

// send sends a request with header fields given as "Name: value".
func (v *visitor) send(method, path, body string, header ...string) *reply {
	v.site.t.Helper()
	r, err := http.NewRequest(method, v.site.URL+path, strings.NewReader(body))
	require.NoError(v.site.t, err)
	for _, line := range header {
		field, value, _ := strings.Cut(line, ": ")
		r.Header.Add(field, value)
	}
	response, err := v.Do(r)
	require.NoError(v.site.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(v.site.t, err)
	return &reply{response, string(text)}
}

// put is a handler that sets a value of the session.
func put(c fiber.Ctx) error {
	name.Put(fibersession.From(c), c.Query("name", "ada"))
	return c.SendString("put")
}

// show is a handler that shows it.
func show(c fiber.Ctx) error { return c.SendString(name.Value(fibersession.From(c))) }

func TestMain(m *testing.M) {
	fiberlog.SetOutput(io.Discard) // fiber reports the panics that tests cause
	os.Exit(m.Run())
}
