package ginsession_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/adapt/ginsession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	user   = session.NewKey[string]("user")
	visits = session.NewKey[int]("visits")
)

// site is a server with sessions, whose clients are browsers.
type site struct {
	*sessiontest.Sessions
	mu     sync.Mutex
	failed []error
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := new(site)
	s.Sessions = sessiontest.New(t, func(settings *session.Settings) {
		settings.OnEvent = func(_ context.Context, e session.Event) {
			if e.Kind == session.EventFailed {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.failed = append(s.failed, e.Err)
			}
		}
	})
	return s
}

func (s *site) failures() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.failed...)
}

// engine is gin with its recovery, its sessions, and one route.
func (s *site) engine(handler gin.HandlerFunc) *gin.Engine {
	engine := gin.New()
	engine.Use(gin.RecoveryWithWriter(io.Discard), ginsession.New(s.Manager))
	engine.GET("/", handler)
	return engine
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(data)
}

// However often the sessions are put around a handler, there is one session and one
// cookie.
func TestOneSession(t *testing.T) {
	for name, mount := range map[string]func(s *site, engine *gin.Engine) http.Handler{
		"around everything": func(s *site, engine *gin.Engine) http.Handler { return s.Handler(engine) },
		"in gin": func(s *site, engine *gin.Engine) http.Handler {
			engine.Use(ginsession.New(s.Manager))
			return engine
		},
		"twice in gin": func(s *site, engine *gin.Engine) http.Handler {
			engine.Use(ginsession.New(s.Manager), ginsession.New(s.Manager))
			return engine
		},
		"both": func(s *site, engine *gin.Engine) http.Handler {
			engine.Use(ginsession.New(s.Manager))
			return s.Handler(engine)
		},
		"another manager in between": func(s *site, engine *gin.Engine) http.Handler {
			settings := s.Settings
			settings.CookieName, settings.Namespace = "other", "other"
			other, err := session.New(s.Store, settings)
			require.NoError(t, err)
			engine.Use(ginsession.New(s.Manager), ginsession.New(other), ginsession.New(s.Manager))
			return engine
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			engine := gin.New()
			h := mount(s, engine)
			engine.GET("/", func(c *gin.Context) {
				user.Put(ginsession.From(c), "ada")
				require.Same(t, s.From(c.Request), ginsession.From(c))
				c.String(http.StatusCreated, "hello")
				require.Equal(t, 5, c.Writer.Size())
			})
			b := s.Browser(h)
			resp := b.Get("/")
			require.Equal(t, http.StatusCreated, resp.StatusCode)
			require.Equal(t, "hello", body(t, resp))
			require.Len(t, resp.Cookies(), 1)
			require.Equal(t, "ada", sessiontest.Value(t, b.Session(), user))
			require.NoError(t, s.failures())
		})
	}
}

// A handler, or a function that it calls with its context, finds the session.
func TestFrom(t *testing.T) {
	for _, fallback := range []bool{false, true} {
		s := newSite(t)
		engine := s.engine(func(c *gin.Context) {
			want := ginsession.From(c)
			type key struct{}
			for name, ctx := range map[string]context.Context{
				"gin's": c, "made from gin's": context.WithValue(c, key{}, 1), "the request's": c.Request.Context(), "a copy of gin's": c.Copy(),
			} {
				found, ok := ginsession.FromContext(ctx)
				require.True(t, ok, name)
				require.Same(t, want, found, name)
			}
			require.Same(t, want, session.From(c.Request))
			found, ok := session.FromContext(c)
			require.Equal(t, fallback, ok, "with gin's own context")
			if ok {
				require.Same(t, want, found)
			}
		})
		engine.ContextWithFallback = fallback
		require.Equal(t, http.StatusOK, s.Browser(engine).Get("/").StatusCode)
	}
	_, ok := ginsession.FromContext(t.Context())
	require.False(t, ok)
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	require.PanicsWithValue(t, "ginsession: the request has no session: put the middleware of ginsession.New before the handler",
		func() { ginsession.From(c) })
}

// gin's ways to write a response that the suite does not use.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		handler gin.HandlerFunc
		status  int
		body    string
	}{
		"abort":            {func(c *gin.Context) { c.AbortWithStatus(http.StatusForbidden) }, 403, ""},
		"abort with JSON":  {func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusForbidden, 1) }, 403, "1"},
		"abort with error": {func(c *gin.Context) { _ = c.AbortWithError(http.StatusTeapot, errors.New("no")) }, 418, ""},
		"pieces":           {func(c *gin.Context) { _, _ = c.Writer.WriteString("a"); _, _ = c.Writer.Write([]byte("b")) }, 200, "ab"},
		"status now":       {func(c *gin.Context) { c.Status(http.StatusAccepted); c.Writer.WriteHeaderNow() }, 202, ""},
		"flush":            {func(c *gin.Context) { c.Status(http.StatusAccepted); c.Writer.Flush() }, 202, ""},
		"net/http":         {func(c *gin.Context) { http.Error(c.Writer, "no", http.StatusTeapot) }, 418, "no\n"},
		"from a reader":    {func(c *gin.Context) { c.DataFromReader(http.StatusOK, 3, "text/plain", strings.NewReader("abc"), nil) }, 200, "abc"},
		"copied": {func(c *gin.Context) {
			n, err := c.Writer.(io.ReaderFrom).ReadFrom(strings.NewReader("abc"))
			require.NoError(t, err)
			require.EqualValues(t, 3, n)
		}, 200, "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			status, size, written := 0, 0, false
			engine := gin.New()
			engine.Use(func(outside *gin.Context) {
				outside.Next()
				status, size, written = outside.Writer.Status(), outside.Writer.Size(), outside.Writer.Written()
			}, ginsession.New(s.Manager))
			engine.GET("/", func(gin *gin.Context) {
				user.Put(ginsession.From(gin), "ada")
				require.False(t, gin.Writer.Written())
				require.Negative(t, gin.Writer.Size())
				c.handler(gin)
				require.Equal(t, c.status, gin.Writer.Status())
				require.True(t, gin.Writer.Written())
				require.Len(t, c.body, gin.Writer.Size())
				require.NotEmpty(t, gin.Writer.Header()["Set-Cookie"], "the session was saved before")
			})
			b := s.Browser(engine)
			resp := b.Get("/")
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.body, body(t, resp))
			require.Len(t, resp.Cookies(), 1)
			require.Equal(t, "ada", sessiontest.Value(t, b.Session(), user))
			require.Equal(t, c.status, status, "the status outside")
			require.Len(t, c.body, size, "the size outside")
			require.True(t, written)
			require.NoError(t, s.failures())
		})
	}
}

// Abort answers as the manager does, and gin knows the error.
func TestAbort(t *testing.T) {
	s := newSite(t)
	var known []string
	after := false
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		c.Next()
		known = c.Errors.Errors()
	}, ginsession.New(s.Manager), func(c *gin.Context) {
		if _, err := user.Get(ginsession.From(c)); err != nil {
			ginsession.Abort(c, err)
			return
		}
		ginsession.Abort(c, errors.New("something else"))
	})
	engine.GET("/", func(*gin.Context) { after = true })
	b := s.Browser(engine, sessiontest.WithKey(user, "ada"))
	s.Store.Fail(store.ErrUnavailable)
	resp := b.Get("/")
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Len(t, known, 1)
	s.Store.Fail(nil)
	require.Equal(t, http.StatusInternalServerError, b.Get("/").StatusCode)
	require.Equal(t, []string{"something else"}, known)
	require.False(t, after)
}

// A form of another site does not reach the handler.
func TestProtect(t *testing.T) {
	s := newSite(t)
	engine := gin.New()
	engine.Use(ginsession.New(s.Manager), ginsession.Protect(s.Manager, nil))
	reached := 0
	engine.POST("/", func(c *gin.Context) {
		reached++
		visits.Put(ginsession.From(c), reached)
		c.String(http.StatusOK, c.PostForm("field"))
	})
	b := s.Browser(engine, sessiontest.WithKey(user, "ada"))
	form := url.Values{"field": {"text"}}
	require.Equal(t, http.StatusForbidden, b.From("https://elsewhere.example/").PostForm("/", form).StatusCode)
	require.Equal(t, http.StatusForbidden, b.PostForm("/", form).StatusCode, "a client that says nothing of its origin, and has no token")
	require.Zero(t, reached)
	resp := b.From("https://example.com/").PostForm("/", form)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text", body(t, resp))
	require.Equal(t, 1, sessiontest.Value(t, b.Session(), visits))
	token, err := b.Session().CSRFToken()
	require.NoError(t, err)
	form.Set(session.CSRFField, token)
	require.Equal(t, http.StatusOK, b.PostForm("/", form).StatusCode)
}

// An error handler outside answers for errors that handlers have only noted.
func TestErrorHandlerOutside(t *testing.T) {
	s := newSite(t)
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		c.Next()
		if len(c.Errors) > 0 {
			c.String(http.StatusTeapot, c.Errors.Last().Error())
		}
	}, ginsession.New(s.Manager))
	engine.GET("/", func(c *gin.Context) {
		user.Put(ginsession.From(c), "ada")
		_ = c.Error(errors.New("noted"))
	})
	b := s.Browser(engine)
	resp := b.Get("/")
	require.Equal(t, http.StatusTeapot, resp.StatusCode)
	require.Equal(t, "noted", body(t, resp))
	require.Equal(t, "ada", sessiontest.Value(t, b.Session(), user))
	require.NoError(t, s.failures())
}

// c.Stream calls CloseNotify and Flush. A client that leaves is noticed.
func TestStream(t *testing.T) {
	s := newSite(t)
	next, gone := make(chan int), make(chan bool)
	address := adapttest.Serve(t, s.engine(func(c *gin.Context) {
		user.Put(ginsession.From(c), "ada")
		assert.NoError(t, http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}), "the server's own writer is reached")
		gone <- c.Stream(func(io.Writer) bool {
			select {
			case i := <-next:
				c.SSEvent("count", i)
			case <-c.Request.Context().Done():
			}
			return true
		})
	}), adapttest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	require.NoError(t, err)
	go func() { next <- 0 }()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "ada", sessiontest.Value(t, s.Session(t.Context(), resp.Cookies()[0].Value), user), "before the first event")
	in := bufio.NewReader(resp.Body)
	for i := range 3 {
		for _, want := range []string{"event:count\n", "data:" + string(rune('0'+i)) + "\n", "\n"} {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, want, line)
		}
		if i < 2 {
			next <- i + 1
		}
	}
	cancel()
	require.True(t, <-gone)
}

// A connection of HTTP/2 cannot be taken over. The handler learns that and answers.
func TestHijackOfHTTP2(t *testing.T) {
	s := newSite(t)
	server := httptest.NewUnstartedServer(s.engine(func(c *gin.Context) {
		_, _, err := c.Writer.Hijack()
		require.ErrorIs(t, err, http.ErrNotSupported)
		user.Put(ginsession.From(c), "ada")
		c.String(http.StatusOK, "an ordinary response")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	b := s.BrowserOf(server)
	resp := b.Get("/")
	require.Equal(t, 2, resp.ProtoMajor)
	require.Equal(t, "an ordinary response", body(t, resp))
	require.Equal(t, "ada", sessiontest.Value(t, b.Session(), user))
}

// In middleware that calls the manager's Handler and goes on, gin writes to its own
// writer. Cookies of new sessions cannot go out, and an error says so.
func TestWithoutThisPackage(t *testing.T) {
	s := newSite(t)
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
	})
	engine.GET("/", func(c *gin.Context) {
		user.Put(ginsession.From(c), "ada")
		c.String(http.StatusOK, "hello")
	})
	resp := s.Browser(engine).Get("/")
	require.Empty(t, resp.Cookies())
	require.ErrorIs(t, s.failures(), session.ErrHeadersSent)
	require.ErrorContains(t, s.failures(), "make the framework write to that one, or put Handler around the whole framework")
}

// The middleware allocates its writer beyond what the manager's Handler does.
func TestAllocations(t *testing.T) {
	s := newSite(t)
	id := s.Request(http.MethodGet, "/", nil, sessiontest.WithKey(user, "ada"))
	for name, do := range map[string]func(*session.Session){
		"unused": nil,
		"read":   func(s *session.Session) { _, _ = user.Get(s) },
		"write":  func(s *session.Session) { _ = visits.Set(s, 1) },
	} {
		use := func(s func() *session.Session) {
			if do != nil {
				do(s())
			}
		}
		plain := s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			use(func() *session.Session { return session.From(r) })
		}))
		without, with := gin.New(), gin.New()
		without.GET("/", func(*gin.Context) {})
		with.Use(ginsession.New(s.Manager))
		with.GET("/", func(c *gin.Context) { use(func() *session.Session { return ginsession.From(c) }) })
		w := &discard{header: make(http.Header)}
		allocated := func(h http.Handler) float64 {
			return fewest(func() {
				clear(w.header)
				h.ServeHTTP(w, id)
			})
		}
		require.LessOrEqual(t, allocated(with)-allocated(without)-allocated(plain), 1.0, name)
	}
}

// discard is a response that nobody reads, like that of a server.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func (d *discard) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}
func (d *discard) Flush()                   {}
func (d *discard) CloseNotify() <-chan bool { return nil }

// fewest returns the fewest allocations of a call. Under the race detector a
// sync.Pool drops some values at random.
func fewest(f func()) float64 {
	n := testing.AllocsPerRun(1, f)
	for range 100 {
		n = min(n, testing.AllocsPerRun(1, f))
	}
	return n
}
