package sessiontest_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
)

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(b)
}

func count(w http.ResponseWriter, r *http.Request) {
	n, err := session.Increment(session.From(r), visits, 1)
	fmt.Fprint(w, n, err)
}

// A browser is the same with a handler and with a server.
func overBoth(t *testing.T, change func(*session.Settings), h func(*sessiontest.Sessions) http.Handler,
	f func(t *testing.T, s *sessiontest.Sessions, b func(...sessiontest.Option) *sessiontest.Browser)) {
	t.Helper()
	t.Run("handler", func(t *testing.T) {
		s := sessiontest.New(t, change)
		f(t, s, func(o ...sessiontest.Option) *sessiontest.Browser { return s.Browser(h(s), o...) })
	})
	t.Run("server", func(t *testing.T) {
		s := sessiontest.New(t, change)
		server := httptest.NewTLSServer(h(s))
		t.Cleanup(server.Close)
		f(t, s, func(o ...sessiontest.Option) *sessiontest.Browser { return s.BrowserOf(server, o...) })
	})
}

func TestBrowserKeepsItsSession(t *testing.T) {
	overBoth(t, func(s *session.Settings) { s.CookieName, s.CookieSecure = "__Host-id", session.SecureAlways },
		func(s *sessiontest.Sessions) http.Handler { return s.Handler(http.HandlerFunc(count)) },
		func(t *testing.T, s *sessiontest.Sessions, open func(...sessiontest.Option) *sessiontest.Browser) {
			ada, bob := open(), open(sessiontest.WithKey(visits, 10))
			exists, err := ada.Session().Exists()
			require.NoError(t, err)
			require.False(t, exists)
			for n := range 3 {
				require.Equal(t, fmt.Sprint(n+1, " <nil>"), body(t, ada.Get("/")))
				require.Equal(t, fmt.Sprint(n+11, " <nil>"), body(t, bob.Get("/somewhere/else")))
			}
			require.Equal(t, 3, sessiontest.Value(t, ada.Session(), visits))
			require.Equal(t, 13, sessiontest.Value(t, bob.Session(), visits))
		})
}

// Cookies go by the test's clock, and those without a time with the window.
func TestBrowserForgets(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		what     func(*sessiontest.Sessions, *sessiontest.Browser)
		keeps    bool
	}{
		{"before its time", nil, func(s *sessiontest.Sessions, _ *sessiontest.Browser) {
			s.Clock.Advance(s.Settings.Lifetime - time.Second)
		}, true},
		{"at its time", nil, func(s *sessiontest.Sessions, _ *sessiontest.Browser) {
			s.Clock.Advance(s.Settings.Lifetime)
		}, false},
		{"never with the window", nil, func(_ *sessiontest.Sessions, b *sessiontest.Browser) { b.Restart() }, true},
		{"with the window", func(s *session.Settings) { s.ExpireAtBrowserClose = true },
			func(_ *sessiontest.Sessions, b *sessiontest.Browser) { b.Restart() }, false},
		{"not without", func(s *session.Settings) { s.ExpireAtBrowserClose = true },
			func(s *sessiontest.Sessions, _ *sessiontest.Browser) { s.Clock.Advance(time.Hour) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			overBoth(t, func(s *session.Settings) {
				if c.settings != nil {
					c.settings(s)
				}
			}, func(s *sessiontest.Sessions) http.Handler {
				return s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, err := r.Cookie(s.Settings.CookieName)
					fmt.Fprint(w, err == nil)
				}))
			}, func(t *testing.T, s *sessiontest.Sessions, open func(...sessiontest.Option) *sessiontest.Browser) {
				b := open(sessiontest.With("a", 1))
				require.Equal(t, "true", body(t, b.Get("/")))
				c.what(s, b)
				require.Equal(t, fmt.Sprint(c.keeps), body(t, b.Get("/")))
				exists, err := b.Session().Exists()
				require.NoError(t, err)
				require.Equal(t, c.keeps, exists)
			})
		})
	}
}

// Cookies of the application's own go where they belong, and no further.
func TestBrowserKeepsCookiesApart(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   []string // Set-Cookie lines of https://example.com/a/b
		after time.Duration
		sent  map[string]string // Cookie lines by address
	}{
		{"path", []string{"x=1; Path=/a"}, 0, map[string]string{"/a/c": "x=1", "/": ""}},
		{"default path", []string{"x=1"}, 0, map[string]string{"/a/c": "x=1", "/": ""}},
		{"default path, age", []string{"x=1; Max-Age=10"}, time.Minute, map[string]string{"/a/c": ""}},
		{"replaced", []string{"x=1; Path=/", "x=2; Path=/"}, 0, map[string]string{"/": "x=2"}},
		{"a lifetime taken back", []string{"x=1; Max-Age=10", "x=2; Path=/a"}, time.Minute, map[string]string{"/a/": "x=2"}},
		{"removed by age", []string{"x=1; Path=/", "x=; Path=/; Max-Age=0"}, 0, map[string]string{"/": ""}},
		{"removed by date", []string{"x=1; Path=/", "x=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT"}, 0, map[string]string{"/": ""}},
		{"age", []string{"x=1; Path=/; Max-Age=10"}, 10 * time.Second, map[string]string{"/": ""}},
		{"age not reached", []string{"x=1; Path=/; Max-Age=10"}, 9 * time.Second, map[string]string{"/": "x=1"}},
		{"date, by the test's clock", []string{"x=1; Path=/; Expires=Thu, 01 Jan 2026 00:01:00 GMT"}, time.Minute, map[string]string{"/": ""}},
		{"date not reached", []string{"x=1; Path=/; Expires=Thu, 01 Jan 2026 00:01:00 GMT"}, 59 * time.Second, map[string]string{"/": "x=1"}},
		{"age counts before date", []string{"x=1; Path=/; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:01 GMT"}, 0, map[string]string{"/": "x=1"}},
		{"no age above 400 days", []string{"x=1; Path=/; Max-Age=99999999"}, 400 * 24 * time.Hour, map[string]string{"/": ""}},
		{"no date above 400 days", []string{"x=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT"}, 400 * 24 * time.Hour, map[string]string{"/": ""}},
		{"400 days not reached", []string{"x=1; Path=/; Max-Age=99999999"}, 400*24*time.Hour - time.Second, map[string]string{"/": "x=1"}},
		{"secure", []string{"x=1; Path=/; Secure"}, 0, map[string]string{"/": "x=1", "http://example.com/": ""}},
		{"host only", []string{"x=1; Path=/"}, 0, map[string]string{"https://www.example.com/": ""}},
		{"domain", []string{"x=1; Path=/; Domain=example.com"}, 0, map[string]string{"https://www.example.com/": "x=1"}},
		{"a stranger's domain", []string{"x=1; Path=/; Domain=example.org"}, 0, map[string]string{"/": "", "https://example.org/": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sessiontest.New(t)
			b := s.Browser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/a/b" {
					w.Header()["Set-Cookie"] = c.set
				}
				fmt.Fprint(w, r.Header.Get("Cookie"))
			}))
			b.Get("/a/b")
			s.Clock.Advance(c.after)
			for address, want := range c.sent {
				require.Equal(t, want, body(t, b.Get(address)), address)
			}
		})
	}
}

// Cookies of one name are told apart by their hosts, also when they expire.
func TestBrowserVisitsSeveralHosts(t *testing.T) {
	s := sessiontest.New(t)
	b := s.Browser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if line := r.URL.Query().Get("set"); line != "" {
			w.Header().Set("Set-Cookie", line)
		}
		fmt.Fprint(w, r.Header.Get("Cookie"))
	}))
	b.Get("https://a.example/?set=" + url.QueryEscape("x=a; Path=/; Max-Age=10"))
	b.Get("https://b.example/?set=" + url.QueryEscape("x=b; Path=/"))
	require.Equal(t, "x=a", body(t, b.Get("https://a.example/")))
	s.Clock.Advance(time.Minute)
	require.Empty(t, body(t, b.Get("https://a.example/")))
	require.Equal(t, "x=b", body(t, b.Get("https://b.example/")))
	b.Restart()
	require.Empty(t, body(t, b.Get("https://b.example/")))
}

func TestBrowserGoesWhereItsSessionIs(t *testing.T) {
	s := sessiontest.New(t, func(s *session.Settings) { s.CookiePath = "/shop/" })
	b := s.Browser(s.Handler(http.HandlerFunc(count)), sessiontest.WithKey(visits, 5))
	require.Equal(t, "6 <nil>", body(t, b.Get("/shop/")))
	require.Equal(t, "1 <nil>", body(t, b.Get("/")), "the cookie stays where it belongs")
}

// A cookie that a browser refuses is no session of it.
func TestBrowserRefusesACookieOfAnotherDomain(t *testing.T) {
	s := sessiontest.New(t, func(s *session.Settings) { s.CookieDomain = "example.org" })
	b := s.Browser(s.Handler(http.HandlerFunc(count)))
	require.Equal(t, "1 <nil>", body(t, b.Get("/")))
	require.Zero(t, sessiontest.Value(t, b.Session(), visits))
	require.Equal(t, "1 <nil>", body(t, b.Get("https://www.example.org/")))
	require.Equal(t, 1, sessiontest.Value(t, b.Session(), visits))
}

// A handler sees what a server would show it.
func TestBrowserRequests(t *testing.T) {
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Host", r.Host)
		if r.URL.Path == "/307" {
			http.Redirect(w, r, "/then", http.StatusTemporaryRedirect)
			return
		}
		err := r.ParseForm()
		fmt.Fprint(w, r.Method, " ", r.URL, " ", r.RequestURI, " ", r.TLS != nil, " ", r.Form.Encode(), " ",
			r.Header.Get("Accept-Language"), " ", r.RemoteAddr != "", " ", err)
	})
	overBoth(t, func(*session.Settings) {}, func(*sessiontest.Sessions) http.Handler { return show },
		func(t *testing.T, _ *sessiontest.Sessions, open func(...sessiontest.Option) *sessiontest.Browser) {
			b := open()
			require.Equal(t, "GET /a?b=c /a?b=c true b=c  true <nil>", body(t, b.Get("/a?b=c")))
			b.Header.Set("Accept-Language", "cy")
			form := url.Values{"x": {"1 2"}}
			require.Equal(t, "POST /then /then true x=1+2 cy true <nil>", body(t, b.PostForm("/307", form)))

			r := httptest.NewRequest("PUT", "/made/for/a/server", strings.NewReader("x=3"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Accept-Language", "br")
			response := b.Do(r)
			require.Equal(t, "PUT /made/for/a/server /made/for/a/server true x=3 br true <nil>", body(t, response))
			require.Equal(t, response.Request.URL.Host, response.Header.Get("X-Host"))
			require.Equal(t, b.Get("/").Header.Get("X-Host"), response.Header.Get("X-Host"))

			head, err := http.NewRequest(http.MethodHead, "/", nil)
			require.NoError(t, err)
			require.Empty(t, body(t, b.Do(head)))

			b.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			require.Equal(t, http.StatusTemporaryRedirect, b.Get("/307").StatusCode)
		})
}

// Other panics of a handler are the test's to see.
func TestBrowserLetsPanicsThrough(t *testing.T) {
	b := sessiontest.New(t).Browser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a mistake") }))
	require.PanicsWithValue(t, "a mistake", func() { b.Get("/") })
}

// A server's stream arrives with the cookie while the handler goes on.
func TestBrowserOfStreams(t *testing.T) {
	s := sessiontest.New(t)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) }) // also when the test fails, or closing the server waits for ever
	server := httptest.NewServer(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set("a", 1)(w, r)
		fmt.Fprintln(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-release
		fmt.Fprintln(w, "second")
	})))
	defer server.Close()
	defer free()
	b := s.BrowserOf(server)
	response, err := b.Client.Get(server.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)
	require.Equal(t, map[string]any{"a": int64(1)}, sessiontest.Values(t, b.Session()))
	free()
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "second\n", line)
}
