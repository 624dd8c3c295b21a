package echosession_test

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var name = session.NewKey[string]("name")

// engine is started once, since starting takes longer than a test.
var engine = sync.OnceValues(func() (*plugin.Plugin, error) {
	p, err := memory.Open(context.Background(), plugin.Config{Logger: slog.New(slog.DiscardHandler)})
	started = p
	return p, err
})

var started *plugin.Plugin

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil && started.Close(context.Background()) != nil {
		code = 1
	}
	os.Exit(code)
}

// site is a manager, what happened to its sessions, and a store that can fail.
type site struct {
	*session.Manager
	broken atomic.Bool
	mu     sync.Mutex
	failed []error
}

func (s *site) failures() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.failed...)
}

// faulty is a store that is unavailable while its site says so.
type faulty struct {
	store.Store
	site *site
}

var errDown = errors.Join(store.ErrUnavailable, errors.New("a fault for tests"))

func (f *faulty) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if f.site.broken.Load() {
		return nil, errDown
	}
	return f.Store.Get(ctx, key, now)
}

func (f *faulty) Set(ctx context.Context, w store.Write) error {
	if f.site.broken.Load() {
		return errDown
	}
	return f.Store.Set(ctx, w)
}

// overStores runs a test over the native store and the WebAssembly engine.
func overStores(t *testing.T, settings session.Settings, test func(t *testing.T, s *site)) {
	t.Run("native", func(t *testing.T) { test(t, newSite(t, store.NewMemory(), settings)) })
	t.Run("engine", func(t *testing.T) {
		p, err := engine()
		require.NoError(t, err)
		test(t, newSite(t, p, settings))
	})
}

func newSite(t *testing.T, over store.Store, settings session.Settings) *site {
	if over == nil {
		over = store.NewMemory()
	}
	t.Helper()
	s := new(site)
	settings.OnEvent = func(_ context.Context, e session.Event) {
		if e.Kind == session.EventFailed {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.failed = append(s.failed, e.Err)
		}
	}
	var err error
	s.Manager, err = session.New(&faulty{over, s}, settings)
	require.NoError(t, err)
	return s
}

// stored returns the name in the session of an answer's cookie, "" without one.
func (s *site) stored(t *testing.T, cookie *http.Cookie) string {
	t.Helper()
	if cookie == nil {
		return ""
	}
	n, err := name.Get(s.Session(t.Context(), cookie.Value))
	require.NoError(t, err)
	return n
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server
}

// answer is what a client got.
type answer struct {
	*http.Response
	body   string // without white space at its ends
	size   int64
	cookie *http.Cookie
}

func ask(t *testing.T, server *httptest.Server, method, path string, cookies ...*http.Cookie) answer {
	t.Helper()
	r, err := http.NewRequest(method, server.URL+path, nil)
	require.NoError(t, err)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return send(t, server, r)
}

func send(t *testing.T, server *httptest.Server, r *http.Request) answer {
	t.Helper()
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	a := answer{Response: resp, body: strings.TrimSpace(string(body)), size: int64(len(body))}
	for _, c := range resp.Cookies() {
		if c.Name == "session_id" {
			require.Nil(t, a.cookie, "one cookie")
			a.cookie = c
		}
	}
	return a
}

func newEcho() *echo.Echo {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	return e
}

// seen is what a middleware outside of the sessions sees of a response.
type seen struct {
	status    int
	size      int64
	committed bool
	err       error
}

// observe returns a middleware that sends what it sees after each response.
func observe(to chan<- seen) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			err := next(c)
			r, unwrapped := echo.UnwrapResponse(c.Response())
			if unwrapped != nil {
				return unwrapped
			}
			to <- seen{r.Status, r.Size, r.Committed, err}
			return err
		}
	}
}
