package frameworks_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	user   = session.NewKey[string]("user")
	visits = session.NewKey[int]("visits")
)

// site is a manager and its events.
type site struct {
	*session.Manager
	mu     sync.Mutex
	failed []error
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := new(site)
	settings := session.Defaults()
	settings.OnEvent = func(_ context.Context, e session.Event) {
		if e.Kind == session.EventFailed {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.failed = append(s.failed, e.Err)
		}
	}
	var err error
	s.Manager, err = session.New(store.NewMemory(), settings)
	require.NoError(t, err)
	return s
}

func (s *site) failures() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.failed...)
}

// user returns the user that a cookie's session belongs to.
func (s *site) user(t *testing.T, cookie *http.Cookie) string {
	t.Helper()
	require.NotNil(t, cookie)
	name, err := user.Get(s.Session(t.Context(), cookie.Value))
	require.NoError(t, err)
	return name
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

// get asks for a page and returns the answer, its body and its session's cookie.
func get(t *testing.T, server *httptest.Server, path string, cookies ...*http.Cookie) (*http.Response, string, *http.Cookie) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
	require.NoError(t, err)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, c := range resp.Cookies() {
		if c.Name == "session_id" {
			return resp, string(body), c
		}
	}
	return resp, string(body), nil
}

// TestEcho includes echo's own answer to an error that a handler returns.
func TestEcho(t *testing.T) {
	for name, around := range map[string]bool{"a group": false, "around everything": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			e := echo.New()
			if !around {
				e.Use(echo.WrapMiddleware(s.Handler))
			}
			e.GET("/log-in", func(c echo.Context) error {
				require.NoError(t, user.Set(session.From(c.Request()), "ada"))
				return c.JSON(http.StatusCreated, "hello")
			})
			e.GET("/no", func(c echo.Context) error {
				require.NoError(t, user.Set(session.From(c.Request()), "bob"))
				return echo.NewHTTPError(http.StatusForbidden, "no")
			})
			e.GET("/stream", func(c echo.Context) error {
				n, err := visits.Update(session.From(c.Request()), func(n int) (int, error) { return n + 1, nil })
				require.NoError(t, err)
				for range n {
					_, _ = io.WriteString(c.Response(), "data: x\n\n")
					c.Response().Flush()
				}
				return nil
			})
			var h http.Handler = e
			if around {
				h = s.Handler(e)
			}
			server := serve(t, h)
			resp, _, cookie := get(t, server, "/log-in")
			require.Equal(t, http.StatusCreated, resp.StatusCode)
			require.Equal(t, "ada", s.user(t, cookie))
			resp, body, none := get(t, server, "/no", cookie)
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
			require.JSONEq(t, `{"message":"no"}`, body)
			require.Nil(t, none)
			require.Equal(t, "bob", s.user(t, cookie))
			_, body, _ = get(t, server, "/stream", cookie)
			require.Equal(t, "data: x\n\n", body)
			require.NoError(t, s.failures())
		})
	}
}
