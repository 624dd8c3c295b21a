package sessiontest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

var visits = session.NewKey[int]("visits")

func set(name string, v any) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r).Set(name, v); err != nil {
			panic(err)
		}
	}
}

func serve(s *sessiontest.Sessions, r *http.Request, h http.HandlerFunc) *http.Response {
	w := httptest.NewRecorder()
	s.Handler(h).ServeHTTP(w, r)
	return w.Result()
}

// Whatever the settings, a request brings the session that it was given, and
// what the handler makes of it can be read.
func TestRequestBringsItsSession(t *testing.T) {
	keyring, err := session.NewKeyring("c2Vzc2lvbnRlc3QsIGEgc2VjcmV0IGZvciB0ZXN0cw")
	require.NoError(t, err)
	for name, change := range map[string]func(*session.Settings){
		"defaults":      func(*session.Settings) {},
		"host prefix":   func(s *session.Settings) { s.CookieName, s.CookieSecure = "__Host-id", session.SecureAlways },
		"never secure":  func(s *session.Settings) { s.CookieSecure = session.SecureNever },
		"zero":          func(s *session.Settings) { *s = session.Settings{} },
		"sealed":        func(s *session.Settings) { s.Keyring = keyring },
		"json":          func(s *session.Settings) { s.Codec = session.JSON },
		"path":          func(s *session.Settings) { s.CookiePath = "/shop/" },
		"domain":        func(s *session.Settings) { s.CookieDomain = "example.com" },
		"browser close": func(s *session.Settings) { s.ExpireAtBrowserClose = true },
		"token header":  func(s *session.Settings) { s.TokenHeader = "X-Session-Token" },
		"timed renewal": func(s *session.Settings) { s.RenewEvery = time.Minute },
		"a clock of its own": func(s *session.Settings) {
			s.Now = func() time.Time { return time.Unix(0, 0) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := sessiontest.New(t, change)
			r := s.Request("GET", "https://example.com/shop/", nil, sessiontest.LoggedIn("ada"),
				sessiontest.With("city", "London"), sessiontest.WithKey(visits, 41))
			before := s.After(r, nil)
			require.Equal(t, "London", sessiontest.Values(t, before)["city"])
			require.Len(t, sessiontest.Values(t, before), 2)
			expires, err := before.Expires()
			require.NoError(t, err)
			require.Equal(t, sessiontest.Start.Add(s.Settings.Lifetime), expires.UTC())

			s.Clock.Advance(2 * time.Minute)
			response := serve(s, r, func(_ http.ResponseWriter, r *http.Request) {
				user, err := session.From(r).User()
				require.NoError(t, err)
				require.Equal(t, "ada", user)
				_, err = session.Increment(session.From(r), visits, 1)
				require.NoError(t, err)
			})
			require.Equal(t, 42, sessiontest.Value(t, s.After(r, response), visits))
			list, err := s.Manager.UserSessions(context.Background(), "ada")
			require.NoError(t, err)
			require.Len(t, list, 1)
		})
	}
}

func TestRequestWithoutOptionsBringsNone(t *testing.T) {
	s := sessiontest.New(t)
	r := s.Request("GET", "/", nil)
	require.Empty(t, r.Cookies())
	require.Zero(t, s.Store.Calls())
	exists, err := s.After(r, nil).Exists()
	require.NoError(t, err)
	require.False(t, exists)
}

func TestOptionsAreFunctionsOfTheSession(t *testing.T) {
	s := sessiontest.New(t)
	r := s.Request("GET", "/", nil, func(begun *session.Session) error {
		begun.SetModified()
		return begun.SetExpiry(time.Minute)
	})
	exists, err := s.After(r, nil).Exists()
	require.NoError(t, err)
	require.True(t, exists)
	s.Clock.Advance(time.Minute)
	exists, err = s.After(r, nil).Exists()
	require.NoError(t, err)
	require.False(t, exists)
}

// After finds what the client has, however the response tells it.
func TestAfter(t *testing.T) {
	const header = "X-Session-Token"
	with := func(s *sessiontest.Sessions, options ...sessiontest.Option) *http.Request {
		return s.Request("GET", "/", nil, options...)
	}
	token := func(s *sessiontest.Sessions, options ...sessiontest.Option) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(header, "")
		if len(options) > 0 {
			r.Header.Set(header, s.Token(options...))
		}
		return r
	}
	old := sessiontest.With("old", true)
	for _, c := range []struct {
		name    string
		request func(*sessiontest.Sessions, ...sessiontest.Option) *http.Request
		before  []sessiontest.Option
		handler http.HandlerFunc
		want    map[string]any // nil: no session
	}{
		{"new", with, nil, set("new", true), map[string]any{"new": true}},
		{"untouched", with, []sessiontest.Option{old}, func(http.ResponseWriter, *http.Request) {}, map[string]any{"old": true}},
		{"changed", with, []sessiontest.Option{old}, set("new", true), map[string]any{"old": true, "new": true}},
		{"renewed", with, []sessiontest.Option{old}, func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Renew())
		}, map[string]any{"old": true}},
		{"destroyed", with, []sessiontest.Option{old}, func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Destroy())
		}, nil},
		{"destroyed and begun anew", with, []sessiontest.Option{old}, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Destroy())
			set("new", true)(w, r)
		}, map[string]any{"new": true}},
		{"other cookies around", func(s *sessiontest.Sessions, options ...sessiontest.Option) *http.Request {
			r := httptest.NewRequest("GET", "/", nil)
			r.AddCookie(&http.Cookie{Name: "session_id", Value: "junk"})
			r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
			for _, c := range with(s, options...).Cookies() {
				r.AddCookie(c)
			}
			return r
		}, []sessiontest.Option{old}, func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "theme", MaxAge: -1})
			set("new", true)(w, r)
		}, map[string]any{"old": true, "new": true}},
		{"token, new", token, nil, set("new", true), map[string]any{"new": true}},
		{"token, changed", token, []sessiontest.Option{old}, set("new", true), map[string]any{"old": true, "new": true}},
		{"token, renewed", token, []sessiontest.Option{old}, func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Renew())
		}, map[string]any{"old": true}},
		{"token, destroyed", token, []sessiontest.Option{old}, func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Destroy())
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sessiontest.New(t, func(s *session.Settings) { s.TokenHeader = header })
			r := c.request(s, c.before...)
			left := s.After(r, serve(s, r, c.handler))
			exists, err := left.Exists()
			require.NoError(t, err)
			require.Equal(t, c.want != nil, exists)
			if exists {
				require.Equal(t, c.want, sessiontest.Values(t, left))
			}
		})
	}
}

// Of several cookies of the name the last one counts, as it does with browsers.
func TestAfterSeveralCookies(t *testing.T) {
	s := sessiontest.New(t)
	id := func(n int) string {
		return s.Request("GET", "/", nil, sessiontest.WithKey(visits, n)).Cookies()[0].Value
	}
	r := s.Request("GET", "/", nil, sessiontest.WithKey(visits, 1))
	for _, c := range []struct {
		lines []string
		want  int
	}{
		{nil, 1},
		{[]string{"other=" + id(2)}, 1},
		{[]string{"session_id=" + id(2), "session_id=" + id(3), "other=4"}, 3},
		{[]string{"session_id=" + id(2), "session_id=" + id(3) + "; Max-Age=0"}, 0},
		{[]string{"session_id=" + id(2) + "; Max-Age=0", "session_id=" + id(3)}, 3},
	} {
		response := &http.Response{Header: http.Header{"Set-Cookie": c.lines}}
		require.Equal(t, c.want, sessiontest.Value(t, s.After(r, response), visits), c.lines)
	}
}

// A second manager over the same store and settings sees the same sessions.
func TestSettingsAndStoreAreForAnotherManager(t *testing.T) {
	s := sessiontest.New(t, func(s *session.Settings) { s.CookieName = "mine" })
	other, err := session.New(s.Store, s.Settings)
	require.NoError(t, err)
	r := s.Request("GET", "/", nil, sessiontest.WithKey(visits, 7))
	w := httptest.NewRecorder()
	other.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := visits.Get(session.From(r))
		fmt.Fprint(w, n, err)
	})).ServeHTTP(w, r)
	require.Equal(t, "7 <nil>", w.Body.String())
}

func TestNewClosesItsStoreAndNewOverDoesNot(t *testing.T) {
	ctx := context.Background()
	var own *sessiontest.Store
	given := store.NewMemory()
	t.Run("inner", func(t *testing.T) {
		own = sessiontest.New(t).Store
		sessiontest.NewOver(t, given)
		require.NoError(t, own.Save(ctx, 1))
	})
	require.ErrorIs(t, own.Save(ctx, 1), store.ErrClosed)
	require.NoError(t, given.Save(ctx, 1))
}

// What cannot work ends the test, with the reason.
func TestFailuresEndTheTest(t *testing.T) {
	broken := errors.New("a broken option")
	for _, c := range []struct {
		name, want string
		f          func(t testing.TB)
	}{
		{"settings", "SameSite", func(t testing.TB) {
			sessiontest.New(t, func(s *session.Settings) { s.CookieSameSite = http.SameSiteNoneMode })
		}},
		{"option", broken.Error(), func(t testing.TB) {
			sessiontest.New(t).Request("GET", "/", nil, func(*session.Session) error { return broken })
		}},
		{"value that has no encoding", "cannot be encoded", func(t testing.TB) {
			sessiontest.New(t).Request("GET", "/", nil, sessiontest.With("f", func() {}))
		}},
		{"store", store.ErrUnavailable.Error(), func(t testing.TB) {
			s := sessiontest.New(t)
			s.Store.Fail(store.ErrUnavailable)
			s.Request("GET", "/", nil, sessiontest.With("a", 1))
		}},
		{"token without header", "TokenHeader", func(t testing.TB) {
			sessiontest.New(t).Token(sessiontest.With("a", 1))
		}},
		{"token of nothing", "options", func(t testing.TB) {
			sessiontest.New(t, func(s *session.Settings) { s.TokenHeader = "X-Token" }).Token()
		}},
		{"value", store.ErrUnavailable.Error(), func(t testing.TB) {
			sessiontest.Value(t, failing(t), visits)
		}},
		{"values", store.ErrUnavailable.Error(), func(t testing.TB) {
			sessiontest.Values(t, failing(t))
		}},
		{"a domain that is not the browser's", "CookieDomain", func(t testing.TB) {
			s := sessiontest.New(t, func(s *session.Settings) { s.CookieDomain = "other.org" })
			s.Browser(http.NotFoundHandler(), sessiontest.With("a", 1))
		}},
		{"no server", "refused", func(t testing.TB) {
			server := httptest.NewServer(http.NotFoundHandler())
			server.Close()
			sessiontest.New(t).BrowserOf(server).Get("/")
		}},
		{"no address", "sessiontest: parse", func(t testing.TB) {
			sessiontest.New(t).Browser(http.NotFoundHandler()).Get("http://[")
		}},
		{"no response", "EOF", func(t testing.TB) {
			sessiontest.New(t).Browser(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				panic(http.ErrAbortHandler)
			})).Get("/")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, failure(t, c.f), c.want)
			require.Panics(t, func() { c.f(nil) })
		})
	}
}

// failing returns a session whose store is out of order.
func failing(t testing.TB) *session.Session {
	s := sessiontest.New(t)
	r := s.Request("GET", "/", nil, sessiontest.WithKey(visits, 1))
	left := s.After(r, nil)
	s.Store.Fail(store.ErrUnavailable)
	return left
}

// recorder is a test that a test watches.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure returns how f ends its test.
func failure(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	require.NotEmpty(t, r.said, "the test should have ended")
	return r.said
}
