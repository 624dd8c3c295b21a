package echo4session_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/echo4session"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestFailures: whenever the storage fails, the client gets one answer, by OnError or
// by echo, and a middleware outside sees it.
func TestFailures(t *testing.T) {
	fails := map[string]echo.HandlerFunc{
		"/returned": func(c echo.Context) error { _, err := name.Get(echo4session.From(c)); return err },
		"/wrapped": func(c echo.Context) error {
			_, err := name.Get(echo4session.From(c))
			return fmt.Errorf("who is it: %w", err)
		},
		"/kept": func(c echo.Context) error { return c.String(200, name.Value(echo4session.From(c))) },
		"/at the write": func(c echo.Context) error {
			if err := name.Set(echo4session.From(c), "ada"); err != nil {
				return err
			}
			c.Response().Header().Set("ETag", `"x"`)
			return c.String(201, "hello")
		},
		"/json":       func(c echo.Context) error { name.Put(echo4session.From(c), "ada"); return c.JSON(201, "hello") },
		"/at the end": func(c echo.Context) error { return name.Set(echo4session.From(c), "ada") },
		"/with an error": func(c echo.Context) error {
			if err := name.Set(echo4session.From(c), "ada"); err != nil {
				return err
			}
			return echo.NewHTTPError(403, "no")
		},
	}
	const text = "The session storage is not available. Please try again."
	for by, onError := range map[string]func(http.ResponseWriter, *http.Request, error){"default": nil, "echo": echo4session.OnError} {
		for _, handleError := range []bool{false, true} {
			t.Run(fmt.Sprint(by, " ", handleError), func(t *testing.T) {
				overStores(t, session.Settings{OnError: onError}, func(t *testing.T, s *site) {
					saw := make(chan seen, 1)
					e := newEcho()
					e.Use(observe(saw), echo4session.NewWithConfig(echo4session.Config{Manager: s.Manager, HandleError: handleError}))
					var handled []error
					e.HTTPErrorHandler = func(err error, c echo.Context) {
						if c.Response().Committed {
							return
						}
						handled = append(handled, err)
						e.DefaultHTTPErrorHandler(err, c)
					}
					e.POST("/begin", func(c echo.Context) error { return name.Set(echo4session.From(c), "ada") })
					for path, h := range fails {
						e.GET(path, h)
					}
					server := serve(t, e)
					cookie := ask(t, server, "POST", "/begin").cookie
					<-saw
					s.broken.Store(true)
					defer s.broken.Store(false)
					for path := range fails {
						got := ask(t, server, "GET", path, cookie)
						require.Nil(t, got.cookie, path)
						saw := <-saw
						require.Equal(t, 503, got.StatusCode, path)
						require.Equal(t, "1", got.Header.Get("Retry-After"), path)
						require.Equal(t, "no-store", got.Header.Get("Cache-Control"), path)
						require.Empty(t, got.Header.Get("ETag"), path)
						if by == "echo" {
							require.JSONEq(t, `{"message":"`+text+`"}`, got.body, path)
							require.Equal(t, 503, code(saw.err), path)
							require.ErrorIs(t, saw.err, store.ErrUnavailable, path)
							require.Same(t, saw.err, handled[len(handled)-1], path)
						} else {
							require.Equal(t, text, got.body, path)
							require.True(t, saw.committed, path)
							require.Equal(t, 503, saw.status, path)
							require.Equal(t, got.size, saw.size, path)
						}
					}
				})
			})
		}
	}
}

// TestOwnAnswers: errors that are not the session's, or have a status, are echo's to
// answer, and the session is saved.
func TestOwnAnswers(t *testing.T) {
	s := newSite(t, nil, session.Settings{})
	e := newEcho()
	e.Use(echo4session.New(s.Manager))
	for path, err := range map[string]error{
		"/status": echo.NewHTTPError(409, "busy").WithInternal(session.ErrConflict),
		"/other":  errors.New("other"),
	} {
		e.GET(path, func(c echo.Context) error {
			require.NoError(t, name.Set(echo4session.From(c), "ada"))
			return err
		})
	}
	server := serve(t, e)
	for path, status := range map[string]int{"/status": 409, "/other": 500} {
		got := ask(t, server, "GET", path)
		require.Equal(t, status, got.StatusCode, path)
		require.Equal(t, "ada", s.stored(t, got.cookie), path)
	}
}

// TestLateErrors: an error of the session that a handler returns when it has answered
// changes nothing: the answer stays, and the session is saved.
func TestLateErrors(t *testing.T) {
	s := newSite(t, nil, session.Settings{})
	e := newEcho()
	e.Use(echo4session.New(s.Manager))
	e.GET("/", func(c echo.Context) error {
		require.NoError(t, name.Set(echo4session.From(c), "ada"))
		require.NoError(t, c.String(201, "hello"))
		require.NoError(t, name.Set(echo4session.From(c), "bob"))
		return session.ErrConflict
	})
	got := ask(t, serve(t, e), "GET", "/")
	require.Equal(t, 201, got.StatusCode)
	require.Equal(t, "hello", got.body)
	require.Equal(t, "bob", s.stored(t, got.cookie))
	require.NoError(t, s.failures())
}

// TestHandleError: an error handler can read and change the session, and nothing of
// it gets lost.
func TestHandleError(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		e := newEcho()
		e.Use(echo4session.NewWithConfig(echo4session.Config{Manager: s.Manager, HandleError: true}))
		e.GET("/", func(echo.Context) error { return echo.ErrNotFound })
		e.HTTPErrorHandler = func(err error, c echo.Context) {
			if c.Response().Committed {
				return
			}
			n := session.From(c.Request())
			before := name.Value(n)
			name.Put(n, "ada")
			_ = c.String(code(err), "hello "+before)
		}
		server := serve(t, e)
		got := ask(t, server, "GET", "/")
		require.Equal(t, 404, got.StatusCode)
		require.Equal(t, "ada", s.stored(t, got.cookie))
		require.Equal(t, "hello ada", ask(t, server, "GET", "/", got.cookie).body)
		require.NoError(t, s.failures())
	})
}

// TestWriteError: a handler may answer for an error at once.
func TestWriteError(t *testing.T) {
	for by, onError := range map[string]func(http.ResponseWriter, *http.Request, error){"default": nil, "echo": echo4session.OnError} {
		t.Run(by, func(t *testing.T) {
			s := newSite(t, nil, session.Settings{OnError: onError})
			saw := make(chan seen, 1)
			e := newEcho()
			e.Use(observe(saw), echo4session.New(s.Manager))
			e.GET("/", func(c echo.Context) error {
				require.NoError(t, name.Set(echo4session.From(c), "ada"))
				s.WriteError(c.Response(), c.Request(), session.ErrTooLarge)
				return nil
			})
			got := ask(t, serve(t, e), "GET", "/")
			require.Equal(t, 507, got.StatusCode)
			require.Equal(t, "ada", s.stored(t, got.cookie))
			require.Equal(t, seen{status: 507, size: got.size, committed: true}, <-saw)
		})
	}
}

// TestStatuses: OnError answers with the statuses that the session package has.
func TestStatuses(t *testing.T) {
	m := newSite(t, nil, session.Settings{})
	for _, err := range []error{
		store.ErrUnavailable, store.ErrNoSpace, store.ErrDenied, store.ErrClosed, store.ErrCorrupt, session.ErrConflict,
		session.ErrCrossSite, session.ErrCSRF, session.ErrTooLarge, session.ErrGone, session.ErrRenewed, session.ErrEncode,
	} {
		want, got := httptest.NewRecorder(), httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		m.WriteError(want, r, err)
		echo4session.OnError(got, r, err)
		require.Equal(t, want.Code, got.Code, err)
		require.Equal(t, want.Header().Get("Retry-After"), got.Header().Get("Retry-After"), err)
	}
}
