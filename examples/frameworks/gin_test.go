package frameworks_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/frameworks"
	"github.com/waddle-sessions/waddle/host/session"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// mounts are the right ways to put sessions into gin.
var mounts = map[string]func(s *site, engine *gin.Engine) http.Handler{
	"around everything": func(s *site, engine *gin.Engine) http.Handler { return s.Handler(engine) },
	"in a group": func(s *site, engine *gin.Engine) http.Handler {
		engine.Use(frameworks.Gin(s.Manager))
		return engine
	},
	"both": func(s *site, engine *gin.Engine) http.Handler {
		engine.Use(frameworks.Gin(s.Manager))
		return s.Handler(engine)
	},
}

func overMounts(t *testing.T, f func(t *testing.T, s *site, serveWith func(routes func(*gin.Engine)) http.Handler)) {
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			f(t, s, func(routes func(*gin.Engine)) http.Handler {
				engine := gin.New()
				engine.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusInternalServerError) }))
				h := mount(s, engine)
				routes(engine)
				return h
			})
			require.NoError(t, s.failures())
		})
	}
}

// TestGin: however a handler answers, the session is saved first.
func TestGin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(file, []byte("contents"), 0o600))
	overMounts(t, func(t *testing.T, s *site, serveWith func(func(*gin.Engine)) http.Handler) {
		answers := map[string]struct {
			handler gin.HandlerFunc
			status  int
			body    string
		}{
			"/string":   {func(c *gin.Context) { c.String(http.StatusCreated, "hello") }, 201, "hello"},
			"/json":     {func(c *gin.Context) { c.JSON(http.StatusOK, 1) }, 200, "1"},
			"/status":   {func(c *gin.Context) { c.Status(http.StatusNoContent) }, 204, ""},
			"/nothing":  {func(*gin.Context) {}, 200, ""},
			"/redirect": {func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/") }, 303, "*"},
			"/abort":    {func(c *gin.Context) { c.AbortWithStatus(http.StatusForbidden) }, 403, ""},
			"/file":     {func(c *gin.Context) { c.File(file) }, 200, "contents"},
			"/write":    {func(c *gin.Context) { _, _ = c.Writer.WriteString("a"); _, _ = c.Writer.Write([]byte("b")) }, 200, "ab"},
			"/now":      {func(c *gin.Context) { c.Status(http.StatusAccepted); c.Writer.WriteHeaderNow() }, 202, ""},
			"/http":     {func(c *gin.Context) { http.Error(c.Writer, "no", http.StatusTeapot) }, 418, "no\n"},
		}
		server := serve(t, serveWith(func(engine *gin.Engine) {
			for path, a := range answers {
				engine.GET(path, func(c *gin.Context) {
					require.NoError(t, user.Set(session.From(c.Request), "ada"))
					a.handler(c)
				})
			}
			engine.GET("/panic", func(c *gin.Context) {
				require.NoError(t, user.Set(session.From(c.Request), "bob"))
				panic("a fault for tests")
			})
		}))
		for path, a := range answers {
			resp, body, cookie := get(t, server, path)
			require.Equal(t, a.status, resp.StatusCode, path)
			if a.body != "*" {
				require.Equal(t, a.body, body, path)
			}
			require.Equal(t, "ada", s.user(t, cookie), path)
			require.Len(t, resp.Cookies(), 1, path)
		}
		resp, _, _ := get(t, server, "/panic")
		require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	})
}

// TestGinPanicSavesNothing: the sessions are inside gin's Recovery.
func TestGinPanicSavesNothing(t *testing.T) {
	s := newSite(t)
	engine := gin.New()
	engine.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, _ any) { c.String(http.StatusInternalServerError, "sorry") }))
	engine.Use(frameworks.Gin(s.Manager))
	engine.GET("/", func(c *gin.Context) {
		require.NoError(t, user.Set(session.From(c.Request), "bob"))
		panic("a fault for tests")
	})
	resp, body, cookie := get(t, serve(t, engine), "/")
	require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	require.Equal(t, "sorry", body)
	require.Nil(t, cookie)
}

// TestGinStreams: c.Stream asks for CloseNotify and Flush, and c.SSEvent writes
// the stream. A client that disconnects is noticed.
func TestGinStreams(t *testing.T) {
	overMounts(t, func(t *testing.T, s *site, serveWith func(func(*gin.Engine)) http.Handler) {
		next, gone := make(chan int), make(chan struct{})
		server := serve(t, serveWith(func(engine *gin.Engine) {
			engine.GET("/", func(c *gin.Context) {
				require.NoError(t, user.Set(session.From(c.Request), "ada"))
				left := c.Stream(func(io.Writer) bool {
					select {
					case i := <-next:
						c.SSEvent("count", i)
					case <-c.Request.Context().Done():
					}
					return true
				})
				require.True(t, left)
				close(gone)
			})
		}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		go func() { next <- 0 }()
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, "ada", s.user(t, resp.Cookies()[0]), "before the first event")
		event := events(t, resp.Body)
		for i := range 3 {
			require.Equal(t, "event:count", event())
			require.Equal(t, "data:"+string(rune('0'+i)), event())
			if i < 2 {
				next <- i + 1
			}
		}
		cancel()
		<-gone
	})
}

// TestGinHijack: the session is saved before a connection is taken over.
func TestGinHijack(t *testing.T) {
	overMounts(t, func(t *testing.T, s *site, serveWith func(func(*gin.Engine)) http.Handler) {
		server := serve(t, serveWith(func(engine *gin.Engine) {
			engine.GET("/", func(c *gin.Context) {
				session := session.From(c.Request)
				require.NoError(t, user.Set(session, "ada"))
				require.NoError(t, session.Save())
				conn, _, err := c.Writer.Hijack()
				require.NoError(t, err)
				defer conn.Close()
				answer := http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: c.Writer.Header()}
				require.NoError(t, answer.Write(conn))
			})
		}))
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, "ada", s.user(t, resp.Cookies()[0]))
	})
}

// TestNaiveGin: in the obvious middleware, gin goes on writing to its own writer.
// Cookies of new sessions cannot go out, and an error says so.
func TestNaiveGin(t *testing.T) {
	s := newSite(t)
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
	})
	engine.GET("/", func(c *gin.Context) {
		require.NoError(t, user.Set(session.From(c.Request), "ada"))
		c.String(http.StatusOK, "hello")
	})
	_, body, cookie := get(t, serve(t, engine), "/")
	require.Equal(t, "hello", body)
	require.Nil(t, cookie)
	require.Len(t, s.failed, 1)
	require.ErrorIs(t, s.failed[0], session.ErrHeadersSent)
	require.ErrorContains(t, s.failed[0], "make the framework write to that one, or put Handler around the whole framework")
}
