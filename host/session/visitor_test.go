package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const visitorName = "session_id_csrf"

func visitorCookie(got *reply) *http.Cookie {
	for _, c := range got.Cookies() {
		if c.Name == visitorName {
			return c
		}
	}
	return nil
}

// TestTokenOfAVisitorStoresNothing: a page with a form creates no session,
// however many visitors and programs read it.
func TestTokenOfAVisitorStoresNothing(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		page := func(b *browser) (token string, got *reply) {
			got = b.do(func(s *session.Session) {
				var err error
				token, err = s.CSRFToken()
				require.NoError(t, err)
				require.NoError(t, s.CheckCSRF(token), "at once")
				exists, err := s.Exists()
				require.NoError(t, err)
				require.False(t, exists)
				require.False(t, s.Modified())
			})
			return token, got
		}
		for range 20 {
			page(a.browser())
		}
		token, got := page(b)
		require.Empty(t, a.store.take(), "nobody has a session, nobody's is asked for")
		require.Nil(t, got.cookie())
		c := visitorCookie(got)
		require.NotNil(t, c)
		require.Len(t, c.Value, 43)
		require.NotContains(t, token, c.Value)
		require.Equal(t, []any{"/", "", true, http.SameSiteLaxMode, 0}, []any{c.Path, c.Domain, c.HttpOnly, c.SameSite, c.MaxAge})
		require.Equal(t, "private, no-store", got.Header.Get("Cache-Control"))
		require.Equal(t, "Cookie", got.Header.Get("Vary"))

		again, got := page(b)
		require.Empty(t, got.Cookies(), "it has one")
		require.Equal(t, "private", got.Header.Get("Cache-Control"))
		require.NotEqual(t, token, again)
		require.NoError(t, b.check(token))
		require.NoError(t, b.check(again))
		require.ErrorIs(t, b.check(""), session.ErrCSRF)
		require.ErrorIs(t, b.check(flip(token)), session.ErrCSRF)
		other := a.browser()
		require.ErrorIs(t, other.check(token), session.ErrCSRF, "a visitor without the cookie")
		page(other)
		require.ErrorIs(t, other.check(token), session.ErrCSRF, "another visitor")
		require.Empty(t, a.store.take())

		b.plant(visitorName, c.Value+"x")
		require.ErrorIs(t, b.check(token), session.ErrCSRF)
		_, got = page(b)
		require.NotNil(t, visitorCookie(got), "junk is replaced")
	})
}

// TestTokensOfAVisitorWhoGetsASession says which pages stay valid after which
// event.
func TestTokensOfAVisitorWhoGetsASession(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, renewing, seal)
		t.Run("by a form", func(t *testing.T) {
			b := a.browser()
			first := b.csrfToken()
			b.do(func(s *session.Session) {
				require.NoError(t, s.CheckCSRF(first))
				require.NoError(t, s.Set("cart", 1))
			})
			require.NotEmpty(t, b.id())
			require.NoError(t, b.check(first), "back, and once more")
			require.NoError(t, b.check(b.csrfToken()))
			a.clock.Advance(every)
			require.NoError(t, b.check(first), "timed renewal keeps it")
			require.NoError(t, b.check(first))
			b.set("cart", 2)
			require.NoError(t, b.check(first))

			for name, end := range map[string]func(s *session.Session) error{
				"log in": func(s *session.Session) error { return s.LogIn("ada", nil) },
				"renew":  func(s *session.Session) error { return s.Renew() },
			} {
				before := b.csrfToken()
				b.do(func(s *session.Session) { require.NoError(t, end(s)) })
				require.ErrorIs(t, b.check(first), session.ErrCSRF, name)
				require.ErrorIs(t, b.check(before), session.ErrCSRF, name)
			}
		})
		for name, end := range map[string]func(s *session.Session) error{
			"log in": func(s *session.Session) error { return s.LogIn("ada", nil) },
			"renew":  func(s *session.Session) error { s.SetModified(); return s.Renew() },
		} {
			t.Run("by "+name, func(t *testing.T) {
				b := a.browser()
				before := b.csrfToken()
				planted := b.cookie(visitorName)
				var early, late string
				got := b.do(func(s *session.Session) {
					require.NoError(t, s.CheckCSRF(before), "the form of the log-in")
					var err error
					early, err = s.CSRFToken()
					require.NoError(t, err)
					require.NoError(t, end(s))
					require.ErrorIs(t, s.CheckCSRF(before), session.ErrCSRF)
					late, err = s.CSRFToken()
					require.NoError(t, err)
					require.NoError(t, s.CheckCSRF(late))
				})
				require.NotEmpty(t, b.id())
				require.Negative(t, visitorCookie(got).MaxAge, "it is taken back")
				for range 2 {
					require.ErrorIs(t, b.check(before), session.ErrCSRF)
					require.ErrorIs(t, b.check(early), session.ErrCSRF)
					require.NoError(t, b.check(late))
					b.plant(visitorName, planted) // somebody puts it back
				}
				a.clock.Advance(every)
				require.NoError(t, b.check(late))
				require.ErrorIs(t, b.check(before), session.ErrCSRF, "also by timed renewal")

				got = b.do(func(s *session.Session) {
					require.NoError(t, s.Destroy())
					require.ErrorIs(t, s.CheckCSRF(late), session.ErrCSRF)
					require.ErrorIs(t, s.CheckCSRF(before), session.ErrCSRF)
				})
				require.Negative(t, visitorCookie(got).MaxAge)
				require.Empty(t, b.cookies())
				require.ErrorIs(t, b.check(before), session.ErrCSRF)
				require.ErrorIs(t, b.check(late), session.ErrCSRF)
			})
		}
		t.Run("the page after a log-out", func(t *testing.T) {
			b := a.browser()
			b.set("user", "ada")
			var token string
			got := b.do(func(s *session.Session) {
				require.NoError(t, s.Destroy())
				var err error
				token, err = s.CSRFToken()
				require.NoError(t, err)
			})
			require.Empty(t, b.id())
			require.NotNil(t, visitorCookie(got))
			require.NoError(t, b.check(token))
		})
		t.Run("in the response of the page", func(t *testing.T) {
			for _, order := range []string{"token first", "value first", "saved between"} {
				b := a.browser()
				var token string
				got := b.do(func(s *session.Session) {
					var err error
					if order != "token first" {
						require.NoError(t, s.Set("cart", 1))
					}
					if order == "saved between" {
						require.NoError(t, s.Save())
					}
					token, err = s.CSRFToken()
					require.NoError(t, err)
					if order == "token first" {
						require.NoError(t, s.Set("cart", 1))
					}
				})
				require.NotEmpty(t, b.id(), order)
				require.Nil(t, visitorCookie(got), "the session knows: %s", order)
				require.NoError(t, b.check(token), order)
			}
		})
		t.Run("cleared before it is stored", func(t *testing.T) {
			b := a.browser()
			token := b.csrfToken()
			b.do(func(s *session.Session) {
				require.NoError(t, s.Set("cart", 1))
				require.NoError(t, s.Clear())
			})
			require.Empty(t, b.id())
			require.NoError(t, b.check(token))
		})
		t.Run("a session that ended by itself", func(t *testing.T) {
			b := a.browser()
			b.set("cart", 1)
			token := b.csrfToken()
			a.clock.Advance(8 * day)
			require.ErrorIs(t, b.check(token), session.ErrCSRF)
			require.NoError(t, b.check(b.csrfToken()))
		})
	})
}

// TestVisitorsCookieDoesNotCountBesideASession: anyone who can set a cookie in
// another's browser, as a host of the same domain can, gains no token for a
// session.
func TestVisitorsCookieDoesNotCountBesideASession(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		attacker := a.browser()
		known := attacker.csrfToken()
		for _, login := range []func(s *session.Session) error{
			func(s *session.Session) error { return s.LogIn("ada", nil) },
			func(s *session.Session) error { return s.Set("cart", 1) },
		} {
			b := a.browser()
			b.do(func(s *session.Session) { require.NoError(t, login(s)) })
			b.plant(visitorName, attacker.cookie(visitorName))
			require.ErrorIs(t, b.check(known), session.ErrCSRF)
			b.set("n", 1)
			require.ErrorIs(t, b.check(known), session.ErrCSRF)
			require.NoError(t, b.check(b.csrfToken()))
		}
	})
}

// TestVisitorsCookie: its name and attributes follow the settings.
func TestVisitorsCookie(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		proto  string
		want   http.Cookie
	}{
		{"plain", func(*session.Settings) {}, "", http.Cookie{Name: "session_id_csrf"}},
		{"Secure", func(s *session.Settings) { s.CookieSecure = session.SecureAlways }, "", http.Cookie{Name: "__Host-session_id_csrf", Secure: true}},
		{"auto over HTTPS", func(*session.Settings) {}, "https", http.Cookie{Name: "__Host-session_id_csrf", Secure: true}},
		{"auto over HTTP", func(*session.Settings) {}, "", http.Cookie{Name: "session_id_csrf"}},
		{"by CookieFor", func(s *session.Settings) {
			s.CookieFor = func(_ *http.Request, c session.CookieScope) session.CookieScope { c.Secure = true; return c }
		}, "", http.Cookie{Name: "__Host-session_id_csrf", Secure: true}},
		{"domain and path are the session's alone", func(s *session.Settings) {
			s.CookieSecure, s.CookieDomain, s.CookiePath = session.SecureAlways, "example.com", "/app"
		}, "", http.Cookie{Name: "__Host-session_id_csrf", Secure: true}},
		{"__Host-", func(s *session.Settings) { s.CookieSecure, s.CookieName = session.SecureAlways, "__Host-id" }, "", http.Cookie{Name: "__Host-id_csrf", Secure: true}},
		{"__Secure-", func(s *session.Settings) { s.CookieSecure, s.CookieName = session.SecureAlways, "__secure-id" }, "", http.Cookie{Name: "__Host-id_csrf", Secure: true}},
		{"Strict", func(s *session.Settings) { s.CookieSameSite = http.SameSiteStrictMode }, "", http.Cookie{Name: "session_id_csrf"}},
		{"embedded", func(s *session.Settings) {
			s.CookieSecure, s.CookieSameSite, s.CookiePartitioned = session.SecureAlways, http.SameSiteNoneMode, true
		}, "", http.Cookie{Name: "__Host-session_id_csrf", Secure: true, SameSite: http.SameSiteNoneMode, Partitioned: true}},
		{"for scripts, which this is not", func(s *session.Settings) { s.CookieScriptReadable = true }, "", http.Cookie{Name: "session_id_csrf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := session.Defaults()
			c.change(&settings)
			m, err := session.New(store.NewMemory(), settings)
			require.NoError(t, err)
			var token string
			send := func(cookies []*http.Cookie, f func(s *session.Session) error) []*http.Cookie {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if c.proto != "" {
					r.Header.Set("X-Forwarded-Proto", c.proto)
				}
				for _, cookie := range cookies {
					r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
				}
				w := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { require.NoError(t, f(session.From(r))) })).ServeHTTP(w, r)
				return w.Result().Cookies()
			}
			page := func(s *session.Session) (err error) { token, err = s.CSRFToken(); return err }
			made := send(nil, page)
			require.Len(t, made, 1)
			want := c.want
			want.Path, want.HttpOnly = "/", true
			if want.SameSite == 0 {
				want.SameSite = http.SameSiteLaxMode
			}
			got := *made[0]
			got.Value, got.Raw = "", ""
			require.Equal(t, want, got)
			require.Empty(t, send(made, func(s *session.Session) error { return s.CheckCSRF(token) }))

			gone := send(made, func(s *session.Session) error { s.SetModified(); return s.Renew() })
			require.Len(t, gone, 2)
			require.Negative(t, gone[1].MaxAge)
			got = *gone[1]
			got.Raw, got.MaxAge, got.RawExpires = "", 0, ""
			want.Expires = got.Expires
			require.Equal(t, want, got, "removed as it was made")
		})
	}
}

// TestTokenAfterTheFirstByte: a token that could never be valid is an error.
func TestTokenAfterTheFirstByte(t *testing.T) {
	a := newApp(t, store.NewMemory())
	late := func(b *browser, before func(s *session.Session)) (token string, err error) {
		b.serve(func(w http.ResponseWriter, r *http.Request) {
			before(session.From(r))
			_, _ = w.Write([]byte("begun"))
			token, err = session.From(r).CSRFToken()
		})
		return token, err
	}
	nothing := func(*session.Session) {}
	look := func(s *session.Session) { _, _ = s.Exists() }
	_, err := late(a.browser(), nothing)
	require.ErrorIs(t, err, session.ErrHeadersSent)
	_, err = late(a.browser(), look)
	require.ErrorIs(t, err, session.ErrHeadersSent)
	b := a.browser()
	b.csrfToken()
	token, err := late(b, look)
	require.NoError(t, err)
	require.NoError(t, b.check(token), "the visitor has the cookie")
	b = a.browser()
	token, err = late(b, func(s *session.Session) { require.NoError(t, s.Set("a", 1)) })
	require.NoError(t, err)
	require.NoError(t, b.check(token), "the session was stored")
	token, err = late(b, look)
	require.NoError(t, err)
	require.NoError(t, b.check(token))
}

// TestTokenWithoutCookies: clients of the token header keep no cookies, and
// Open has no response.
func TestTokenWithoutCookies(t *testing.T) {
	a := newApp(t, store.NewMemory(), tokens)
	var token string
	ask := func(s *session.Session) {
		var err error
		token, err = s.CSRFToken()
		require.NoError(t, err)
	}
	got := a.headers(http.Header{tokenHeader: {""}}, ask)
	require.Empty(t, got.Cookies())
	id := got.Header.Get(tokenHeader)
	require.NotEmpty(t, id)
	a.token(id, func(s *session.Session) { require.NoError(t, s.CheckCSRF(token)) })

	s := a.manager.Session(context.Background(), "")
	ask(s)
	require.NoError(t, s.CheckCSRF(token))
	require.NoError(t, s.Save())
	id, err := s.ID()
	require.NoError(t, err)
	require.NoError(t, a.manager.Session(context.Background(), id).CheckCSRF(token))
	require.ErrorIs(t, a.manager.Session(context.Background(), "").CheckCSRF(token), session.ErrCSRF)
}

// TestProtectOfVisitors: a browser that has seen a form and does not say where
// a request comes from must send the form's token, with or without a session.
func TestProtectOfVisitors(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.browser()
	token := b.csrfToken()
	for _, c := range []struct {
		name   string
		cookie string
		header http.Header
		passes bool
	}{
		{"no browser", "", http.Header{}, true},
		{"a browser with the token", b.cookie(visitorName), http.Header{session.CSRFHeader: {token}}, true},
		{"a browser without", b.cookie(visitorName), http.Header{}, false},
		{"a browser with another", b.cookie(visitorName), http.Header{session.CSRFHeader: {flip(token)}}, false},
		{"a browser that says where from", b.cookie(visitorName), http.Header{"Sec-Fetch-Site": {"same-origin"}}, true},
		{"another site", "", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
	} {
		reached := false
		h := a.manager.Handler(a.manager.Protect(nil)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })))
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header = c.header
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: visitorName, Value: c.cookie})
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, c.passes, reached, c.name)
	}
}
