package echo4session_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/echo4session"
	"github.com/waddle-sessions/waddle/host/session"
)

// TestAnswers: however a handler answers, the session is saved first, and a
// middleware outside sees what the client gets.
func TestAnswers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(file, []byte("contents"), 0o600))
	answers := map[string]struct {
		handler echo.HandlerFunc
		status  int
		body    string
	}{
		"/string":   {func(c echo.Context) error { return c.String(201, "hello") }, 201, "hello"},
		"/json":     {func(c echo.Context) error { return c.JSON(200, 1) }, 200, "1"},
		"/blob":     {func(c echo.Context) error { return c.Blob(202, "text/plain", []byte("blob")) }, 202, "blob"},
		"/empty":    {func(c echo.Context) error { return c.NoContent(204) }, 204, ""},
		"/nothing":  {func(echo.Context) error { return nil }, 200, ""},
		"/redirect": {func(c echo.Context) error { return c.Redirect(303, "/") }, 303, ""},
		"/file":     {func(c echo.Context) error { return c.File(file) }, 200, "contents"},
		"/stream":   {func(c echo.Context) error { return c.Stream(200, "text/plain", strings.NewReader("stream")) }, 200, "stream"},
		"/http":     {func(c echo.Context) error { http.Error(c.Response(), "no", http.StatusTeapot); return nil }, http.StatusTeapot, "no"},
		"/flush": {func(c echo.Context) error {
			c.Response().WriteHeader(203)
			c.Response().Flush()
			_, err := io.WriteString(c.Response(), "flushed")
			return err
		}, 203, "flushed"},
		"/wrapped": {echo.WrapHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session.From(r).Check(nil)
			w.WriteHeader(206)
		})), 206, ""},
		"/error":    {func(echo.Context) error { return echo.NewHTTPError(403, "no") }, 403, `{"message":"no"}`},
		"/plain":    {func(echo.Context) error { return errors.New("secret") }, 500, `{"message":"Internal Server Error"}`},
		"/notfound": {func(echo.Context) error { return echo.ErrNotFound }, 404, `{"message":"Not Found"}`},
	}
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		saw := make(chan seen, 1)
		e := newEcho()
		e.Use(observe(saw), echo4session.New(s.Manager))
		for path, a := range answers {
			e.GET(path, func(c echo.Context) error {
				require.NoError(t, name.Set(echo4session.From(c), path))
				return a.handler(c)
			})
		}
		server := serve(t, e)
		for path, want := range answers {
			got := ask(t, server, "GET", path)
			require.Equal(t, want.status, got.StatusCode, path)
			require.Equal(t, want.body, got.body, path)
			require.Equal(t, path, s.stored(t, got.cookie), path)
			if saw := <-saw; saw.err == nil {
				require.Equal(t, want.status, saw.status, path)
				require.Equal(t, got.size, saw.size, path)
				require.Equal(t, path != "/nothing", saw.committed, path)
			} else {
				require.False(t, saw.committed, "%s: echo answers when all middlewares have returned", path)
			}
		}
		require.NoError(t, s.failures())
	})
}

// TestHooks: each hook of echo's Responses runs once for a header or write. An outer
// Before sees the session's cookie, an inner one can change the session.
func TestHooks(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		var before, after, withCookie int
		e := newEcho()
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				r := c.Response()
				r.Before(func() {
					before++
					withCookie += len(r.Header()["Set-Cookie"])
					r.Header().Set("X-Hook", "outside")
				})
				return next(c)
			}
		}, echo4session.New(s.Manager))
		e.GET("/", func(c echo.Context) error {
			require.NoError(t, name.Set(echo4session.From(c), "ada"))
			r := c.Response()
			r.Before(func() {
				before++
				require.NoError(t, name.Set(echo4session.From(c), "hook"))
			})
			r.After(func() { after++ })
			return c.String(200, "hello")
		})
		got := ask(t, serve(t, e), "GET", "/")
		require.Equal(t, "outside", got.Header.Get("X-Hook"))
		require.Equal(t, [...]int{2, 1, 1}, [...]int{before, after, withCookie})
		require.Equal(t, "hook", s.stored(t, got.cookie))
	})
}

// TestSomeRoutes: groups and routes may have sessions of their own, and a Skipper
// leaves requests out.
func TestSomeRoutes(t *testing.T) {
	s := newSite(t, nil, session.Settings{})
	show := func(c echo.Context) error {
		_, has := session.FromContext(c.Request().Context())
		return c.JSON(200, has)
	}
	e := newEcho()
	e.GET("/open", show)
	e.GET("/route", show, echo4session.New(s.Manager))
	group := e.Group("/group", echo4session.NewWithConfig(echo4session.Config{
		Manager: s.Manager,
		Skipper: func(c echo.Context) bool { return c.Path() == "/group/skipped" },
	}))
	group.GET("/page", show)
	group.GET("/skipped", show)
	group.GET("/from", func(c echo.Context) error { return c.JSON(200, echo4session.From(c) == s.From(c.Request())) })
	server := serve(t, e)
	for path, want := range map[string]string{"/open": "false", "/route": "true", "/group/page": "true", "/group/skipped": "false", "/group/from": "true"} {
		require.Equal(t, want, ask(t, server, "GET", path).body, path)
	}
}

// TestNested: the same manager twice is one session, and handlers can flush.
func TestNested(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		saw := make(chan seen, 1)
		e := newEcho()
		e.Use(observe(saw), echo4session.New(s.Manager))
		e.GET("/", func(c echo.Context) error {
			require.NoError(t, name.Set(echo4session.From(c), "ada"))
			c.Response().Flush()
			return c.String(200, "hello")
		}, echo4session.New(s.Manager))
		for place, h := range map[string]http.Handler{"in echo": e, "around echo": s.Handler(e)} {
			got := ask(t, serve(t, h), "GET", "/")
			require.Equal(t, "hello", got.body, place)
			require.Equal(t, "ada", s.stored(t, got.cookie), place)
			require.Equal(t, seen{status: 200, size: 5, committed: true}, <-saw, place)
		}
		require.NoError(t, s.failures())
	})
}

// TestPanics: a handler that panics saves nothing, wherever echo's Recover is, and
// echo answers.
func TestPanics(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		panics := func(c echo.Context) error {
			require.NoError(t, name.Set(echo4session.From(c), "ada"))
			panic("a fault for tests")
		}
		e := newEcho()
		e.GET("/outside", panics, middleware.Recover(), echo4session.New(s.Manager))
		got := ask(t, serve(t, e), "GET", "/outside")
		require.Equal(t, 500, got.StatusCode)
		require.JSONEq(t, `{"message":"Internal Server Error"}`, got.body)
		require.Nil(t, got.cookie)
		require.NoError(t, s.failures())
	})
}

// TestPastTheWriter: a handler that writes to the outer Response goes past the
// session, and an event says so.
func TestPastTheWriter(t *testing.T) {
	s := newSite(t, nil, session.Settings{})
	e := newEcho()
	var outer *echo.Response
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			outer = c.Response()
			return next(c)
		}
	}, echo4session.New(s.Manager))
	e.GET("/", func(c echo.Context) error {
		require.NoError(t, name.Set(echo4session.From(c), "ada"))
		_, err := outer.Write([]byte("hello"))
		return err
	})
	got := ask(t, serve(t, e), "GET", "/")
	require.Equal(t, "hello", got.body)
	require.Nil(t, got.cookie)
	require.ErrorIs(t, s.failures(), session.ErrHeadersSent)
}

// TestMisuse: what is missing is said.
func TestMisuse(t *testing.T) {
	_, err := echo4session.Config{}.ToMiddleware()
	require.EqualError(t, err, "echo4session: Manager is nil: must be what session.New returned")
	require.PanicsWithError(t, err.Error(), func() { echo4session.New(nil) })
	e := newEcho()
	e.Use(middleware.Recover())
	found := make(chan any, 1)
	e.GET("/", func(c echo.Context) error {
		defer func() { found <- recover() }()
		echo4session.From(c)
		return nil
	})
	ask(t, serve(t, e), "GET", "/")
	require.Contains(t, <-found, "call e.Use(echo4session.New(manager)) first")
}

// TestInside: a middleware inside of the sessions sees what the client gets, as one
// outside does.
func TestInside(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		saw := make(chan seen, 1)
		e := newEcho()
		e.Use(echo4session.New(s.Manager), observe(saw))
		e.GET("/nothing", func(c echo.Context) error { return nil })
		e.GET("/page", func(c echo.Context) error {
			name.Put(echo4session.From(c), "ada")
			return c.String(201, "hello")
		})
		server := serve(t, e)
		ask(t, server, "GET", "/nothing")
		require.Equal(t, seen{status: 200}, <-saw)
		cookie := ask(t, server, "GET", "/page").cookie
		require.Equal(t, seen{status: 201, size: 5, committed: true}, <-saw)
		s.broken.Store(true)
		defer s.broken.Store(false)
		require.Equal(t, 503, ask(t, server, "GET", "/page", cookie).StatusCode)
		require.Equal(t, 503, (<-saw).status)
	})
}
