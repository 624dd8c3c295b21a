package echosession_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/echosession"
	"github.com/waddle-sessions/waddle/host/session"
)

// around returns a middleware before or behind that of the sessions.
func around(outside bool, other, sessions echo.MiddlewareFunc) []echo.MiddlewareFunc {
	if outside {
		return []echo.MiddlewareFunc{other, sessions}
	}
	return []echo.MiddlewareFunc{sessions, other}
}

func overSides(t *testing.T, test func(t *testing.T, outside bool)) {
	t.Run("outside", func(t *testing.T) { test(t, true) })
	t.Run("inside", func(t *testing.T) { test(t, false) })
}

// TestGzip: pages, answers without a body, and errors of the storage. A response of
// echo is compressed once.
func TestGzip(t *testing.T) {
	overSides(t, func(t *testing.T, outside bool) {
		overStores(t, session.Settings{OnError: echosession.OnError}, func(t *testing.T, s *site) {
			saw := make(chan seen, 1)
			e := newEcho()
			e.Use(observe(saw))
			e.Use(around(outside, middleware.Gzip(), echosession.New(s.Manager))...)
			long := strings.Repeat("hello ", 1000)
			for path, answer := range map[string]echo.HandlerFunc{
				"/page":  func(c *echo.Context) error { return c.String(201, long) },
				"/empty": func(c *echo.Context) error { return c.NoContent(204) },
				"/error": func(c *echo.Context) error { return echo.NewHTTPError(403, "no") },
			} {
				e.GET(path, func(c *echo.Context) error {
					if err := name.Set(echosession.From(c), "ada"); err != nil {
						return err
					}
					return answer(c)
				})
			}
			server := serve(t, e)
			page := func(path string, cookies ...*http.Cookie) answer {
				r, err := http.NewRequest("GET", server.URL+path, nil)
				require.NoError(t, err)
				r.Header.Set("Accept-Encoding", "gzip")
				for _, c := range cookies {
					r.AddCookie(c)
				}
				return send(t, server, r)
			}
			got := page("/page")
			require.Equal(t, 201, got.StatusCode)
			require.Equal(t, "gzip", got.Header.Get("Content-Encoding"))
			unzipped, err := gzip.NewReader(strings.NewReader(got.body))
			require.NoError(t, err)
			body, err := io.ReadAll(unzipped)
			require.NoError(t, err)
			require.Equal(t, long, string(body))
			require.Equal(t, "ada", s.stored(t, got.cookie))
			require.Equal(t, seen{status: 201, size: got.size, committed: true}, <-saw)

			got = page("/empty")
			require.Equal(t, 204, got.StatusCode)
			require.Equal(t, "ada", s.stored(t, got.cookie))
			<-saw
			got = page("/error")
			require.Equal(t, 403, got.StatusCode)
			require.Equal(t, "ada", s.stored(t, got.cookie))
			<-saw

			s.broken.Store(true)
			defer s.broken.Store(false)
			got = page("/page", got.cookie)
			require.Equal(t, 503, got.StatusCode)
			require.Empty(t, got.Header.Get("Content-Encoding"), "echo answers when its middlewares have returned")
			require.Contains(t, got.body, "not available")
			require.Equal(t, 503, echo.StatusCode((<-saw).err))
		})
	})
}

// TestBodyDump: what is dumped is what the client got.
func TestBodyDump(t *testing.T) {
	overSides(t, func(t *testing.T, outside bool) {
		overStores(t, session.Settings{}, func(t *testing.T, s *site) {
			dumped := make(chan string, 1)
			dump := middleware.BodyDump(func(_ *echo.Context, _, response []byte, _ error) { dumped <- string(response) })
			e := newEcho()
			e.Use(around(outside, dump, echosession.New(s.Manager))...)
			e.GET("/", func(c *echo.Context) error {
				require.NoError(t, name.Set(echosession.From(c), "ada"))
				return c.String(200, "hello")
			})
			got := ask(t, serve(t, e), "GET", "/")
			require.Equal(t, "hello", got.body)
			require.Equal(t, "hello", <-dumped)
			require.Equal(t, "ada", s.stored(t, got.cookie))
		})
	})
}

// TestContextTimeout: echo answers 503 for what took too long, and what was changed
// before is saved.
func TestContextTimeout(t *testing.T) {
	overSides(t, func(t *testing.T, outside bool) {
		overStores(t, session.Settings{}, func(t *testing.T, s *site) {
			e := newEcho()
			e.Use(around(outside, middleware.ContextTimeout(20*time.Millisecond), echosession.New(s.Manager))...)
			e.GET("/", func(c *echo.Context) error {
				require.NoError(t, name.Set(echosession.From(c), "ada"))
				require.NoError(t, echosession.From(c).Save())
				<-c.Request().Context().Done()
				return c.Request().Context().Err()
			})
			got := ask(t, serve(t, e), "GET", "/")
			require.Equal(t, 503, got.StatusCode)
			require.Equal(t, "ada", s.stored(t, got.cookie))
		})
	})
}

// TestRequestLogger: the log tells the status that the client got, and knows the
// session.
func TestRequestLogger(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		e := newEcho()
		e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
			LogStatus: true, LogResponseSize: true, HandleError: true,
			LogValuesFunc: func(c *echo.Context, v middleware.RequestLoggerValues) error {
				who, _ := name.Get(echosession.From(c))
				logger.Info("request", "status", v.Status, "size", v.ResponseSize, "name", who)
				return nil
			},
		}), echosession.New(s.Manager))
		e.GET("/", func(c *echo.Context) error {
			if err := name.Set(echosession.From(c), "ada"); err != nil {
				return err
			}
			return c.String(201, "hello")
		})
		e.GET("/error", func(c *echo.Context) error {
			_, err := name.Get(echosession.From(c))
			return errors.Join(echo.ErrNotFound, err)
		})
		server := serve(t, e)
		cookie := ask(t, server, "GET", "/").cookie
		require.Contains(t, log.String(), "status=201 size=5 name=ada")
		require.Equal(t, 404, ask(t, server, "GET", "/error", cookie).StatusCode)
		require.Contains(t, log.String(), "status=404")
		s.broken.Store(true)
		defer s.broken.Store(false)
		ask(t, server, "GET", "/")
		require.Contains(t, log.String(), "status=503 size=56")
	})
}

// TestProtect: echo can wrap the manager's other middleware.
func TestProtect(t *testing.T) {
	overStores(t, session.Settings{OnError: echosession.OnError}, func(t *testing.T, s *site) {
		saw := make(chan seen, 1)
		e := newEcho()
		e.Use(observe(saw), echosession.New(s.Manager), echo.WrapMiddleware(s.Protect(nil)))
		e.POST("/", func(c *echo.Context) error {
			if err := name.Set(echosession.From(c), "ada"); err != nil {
				return err
			}
			return c.String(201, "hello")
		})
		server := serve(t, e)
		for site, status := range map[string]int{"same-origin": 201, "cross-site": 403} {
			r, err := http.NewRequest("POST", server.URL, nil)
			require.NoError(t, err)
			r.Header.Set("Sec-Fetch-Site", site)
			got := send(t, server, r)
			require.Equal(t, status, got.StatusCode)
			require.Equal(t, status == 201, s.stored(t, got.cookie) == "ada")
			require.Equal(t, seen{status: status, size: got.size, committed: true}, <-saw)
		}
		require.NoError(t, s.failures())
	})
}

// TestUploads: an uploaded file is removed when the handler has returned, even if it
// was parsed on a copy of the request, as ContextTimeout makes.
func TestUploads(t *testing.T) {
	s := newSite(t, nil, session.Settings{})
	t.Setenv("TMPDIR", t.TempDir())
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "name.txt")
	require.NoError(t, err)
	_, err = part.Write(bytes.Repeat([]byte("x"), 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	e := echo.NewWithConfig(echo.Config{FormParseMaxMemory: 1})
	e.Use(echosession.New(s.Manager), middleware.ContextTimeout(time.Minute))
	found := make(chan int, 1)
	files := func() int {
		entries, err := os.ReadDir(os.TempDir())
		require.NoError(t, err)
		return len(entries)
	}
	e.POST("/", func(c *echo.Context) error {
		_, err := c.MultipartForm()
		found <- files()
		return err
	})
	for _, copies := range []bool{false, true} {
		h := http.Handler(e)
		if copies { // net/http removes the files of its own request only
			h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				e.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), t, true)))
			})
		}
		server := serve(t, h)
		r, err := http.NewRequest("POST", server.URL, bytes.NewReader(form.Bytes()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", w.FormDataContentType())
		require.Equal(t, 200, send(t, server, r).StatusCode)
		require.Equal(t, 1, <-found)
		server.Close()
		require.Zero(t, files())
	}
}
