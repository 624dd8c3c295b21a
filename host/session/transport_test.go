package session_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const tokenHeader = "X-Session-Token"

func tokens(s *session.Settings) { s.TokenHeader = tokenHeader }

// token sends a request that brings its id in the header.
func (a *app) token(id string, f func(s *session.Session)) *reply {
	a.t.Helper()
	return a.headers(http.Header{tokenHeader: {id}}, f)
}

func (a *app) headers(h http.Header, f func(s *session.Session)) *reply {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodGet, a.route(func(_ http.ResponseWriter, r *http.Request) { f(session.From(r)) }), nil)
	require.NoError(a.t, err)
	r.Header = h
	return fetch(a.t, a.server.Client(), r)
}

func TestTokenTransport(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, tokens)
		got := a.token("", func(s *session.Session) { require.NoError(t, s.Set("user", "ada")) })
		id := got.Header.Get(tokenHeader)
		require.Len(t, id, 43)
		require.Empty(t, got.Header["Set-Cookie"])
		require.Equal(t, []string{"Cookie", tokenHeader}, got.Header["Vary"])
		require.Equal(t, "private, no-store", got.Header.Get("Cache-Control"))

		got = a.token(id, func(s *session.Session) {
			var user string
			_, err := s.Get("user", &user)
			require.NoError(t, err)
			require.Equal(t, "ada", user)
			require.NoError(t, s.Set("n", 1))
		})
		require.Empty(t, got.Header[tokenHeader], "told once")
		require.Empty(t, got.Header["Set-Cookie"])
		a.clock.advance(6 * day)
		got = a.token(id, func(s *session.Session) {
			require.NoError(t, s.Set("n", 2))
			require.NoError(t, s.SetExpiry(30*day))
		})
		require.Empty(t, got.Header[tokenHeader], "a token has no end that the client would have to know")

		t.Run("late changes need no header", func(t *testing.T) {
			r, err := http.NewRequest(http.MethodGet, a.route(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("begun"))
				require.NoError(t, session.From(r).SetExpiry(20*day))
				require.NoError(t, session.From(r).Save())
			}), nil)
			require.NoError(t, err)
			r.Header.Set(tokenHeader, id)
			require.Equal(t, "begun", fetch(t, a.server.Client(), r).body)
		})
		got = a.token(id, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		renewed := got.Header.Get(tokenHeader)
		require.Len(t, renewed, 43)
		require.NotEqual(t, id, renewed)
		require.Empty(t, a.peek(id))
		got = a.token(renewed, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		require.Equal(t, []string{""}, got.Header[tokenHeader], "forget it")
		require.Empty(t, got.Header["Set-Cookie"])
		require.Empty(t, a.peek(renewed))
		got = a.token("", func(s *session.Session) {
			require.NoError(t, s.Set("user", "ada"))
			require.NoError(t, s.Save())
			require.NoError(t, s.Destroy())
		})
		require.Empty(t, got.Header.Get(tokenHeader), "taken back")
	})
}

// TestTransportsAreKeptApart: an id that came one way opens nothing the other.
func TestTransportsAreKeptApart(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, tokens)
		cookie := a.login("by cookie")
		token := a.token("", func(s *session.Session) { require.NoError(t, s.Set("user", "by token")) }).Header.Get(tokenHeader)
		open := saveNew(t, a.manager, "any")
		for _, c := range []struct {
			name   string
			header http.Header
			user   string
			event  bool
		}{
			{"cookie as cookie", http.Header{"Cookie": {"session_id=" + cookie}}, "by cookie", false},
			{"token as token", http.Header{tokenHeader: {token}}, "by token", false},
			{"cookie as token", http.Header{tokenHeader: {cookie}}, "", true},
			{"token as cookie", http.Header{"Cookie": {"session_id=" + token}}, "", true},
			{"both, the token counts", http.Header{"Cookie": {"session_id=" + cookie}, tokenHeader: {token}}, "by token", false},
			{"an empty token and a cookie", http.Header{"Cookie": {"session_id=" + cookie}, tokenHeader: {""}}, "", false},
			{"a bad token and a cookie", http.Header{"Cookie": {"session_id=" + cookie}, tokenHeader: {"x"}}, "", true},
			{"an unknown token and a cookie", http.Header{"Cookie": {"session_id=" + cookie}, tokenHeader: {strings.Repeat("A", 43)}}, "", false},
			{"two tokens", http.Header{tokenHeader: {token, token}}, "", true},
			{"a token in quotes", http.Header{tokenHeader: {`"` + token + `"`}}, "", true},
			{"a bearer token", http.Header{"Authorization": {"Bearer " + token}}, "", false},
		} {
			t.Run(c.name, func(t *testing.T) {
				a.kinds()
				var user string
				got := a.headers(c.header, func(s *session.Session) {
					_, err := s.Get("user", &user)
					require.NoError(t, err)
				})
				require.Equal(t, c.user, user)
				require.Equal(t, []string{"Cookie", tokenHeader}, got.Header["Vary"])
				if c.event {
					require.Equal(t, []session.EventKind{session.EventRejected}, a.kinds())
				} else {
					require.Empty(t, a.kinds())
				}
			})
		}
		t.Run("what a refused one sets goes into a new session of its own way", func(t *testing.T) {
			got := a.token(cookie, func(s *session.Session) { require.NoError(t, s.Set("user", "new")) })
			require.Empty(t, got.Header["Set-Cookie"])
			require.NotEmpty(t, got.Header.Get(tokenHeader))
			require.NotEqual(t, cookie, got.Header.Get(tokenHeader))
			got = a.at(token, func(s *session.Session) { require.NoError(t, s.Set("user", "new")) })
			require.NotNil(t, got.cookie())
			require.Empty(t, got.Header[tokenHeader])
			require.Equal(t, "by cookie", a.peek(cookie))
			require.Equal(t, "by token", a.peek(token))
		})
		t.Run("a refused one ends nothing", func(t *testing.T) {
			for _, every := range []func(*session.Settings){tokens, func(s *session.Settings) { tokens(s); rotating(s) }} {
				other := newApp(t, s, every)
				other.at(token, func(s *session.Session) { require.NoError(t, s.Destroy()) })
				other.token(cookie, func(s *session.Session) { require.NoError(t, s.Destroy()) })
				require.Equal(t, "by cookie", a.peek(cookie))
				require.Equal(t, "by token", a.peek(token))
			}
		})
		t.Run("one that Open made travels as the application likes", func(t *testing.T) {
			for _, send := range []func(string, func(*session.Session)) *reply{a.token, a.at} {
				send(open, func(s *session.Session) {
					ok, err := s.Has("secret")
					require.NoError(t, err)
					require.True(t, ok)
				})
			}
		})
		t.Run("without the setting the header is none", func(t *testing.T) {
			plain := newApp(t, s)
			got := plain.headers(http.Header{tokenHeader: {"x"}, "Cookie": {"session_id=" + cookie}}, func(s *session.Session) {
				ok, err := s.Has("user")
				require.NoError(t, err)
				require.True(t, ok)
			})
			require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
		})
	})
}

func TestTokenHeaderSetting(t *testing.T) {
	for name, ok := range map[string]bool{
		"": true, "X-Session-Token": true, "Session": true, "X-1": true,
		"x-session-token": false, "X-SESSION": false, "X Session": false, "X-Session:": false, "X-Séance": false, "X-A\r\nB": false,
		"Cookie": false, "Set-Cookie": false, "Authorization": false, "Vary": false, "Cache-Control": false, "Content-Length": false,
		"Transfer-Encoding": false, "Location": false, "Host": false, "Connection": false, "X-Csrf-Token": false, "X-Forwarded-Proto": false,
	} {
		s := session.Defaults()
		s.TokenHeader = name
		if ok {
			require.NoError(t, s.Check(), "%q", name)
		} else {
			require.ErrorIs(t, s.Check(), session.ErrSettings, "%q", name)
		}
	}
}

// TestSecureAuto says for each kind of connection whether the cookie is Secure.
func TestSecureAuto(t *testing.T) {
	proxies := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:192.168.0.0/112"),
		netip.MustParsePrefix("fe80::/10"),
	}
	const proxy = "10.1.2.3:1234"
	proto := func(lines ...string) http.Header { return http.Header{"X-Forwarded-Proto": lines} }
	forwarded := func(lines ...string) http.Header { return http.Header{"Forwarded": lines} }
	for _, c := range []struct {
		name   string
		peer   string
		tls    bool
		header http.Header
		secure bool
	}{
		{"plain", "192.0.2.1:1", false, nil, false},
		{"TLS of our own", "192.0.2.1:1", true, nil, true},
		{"TLS from a proxy that says otherwise", proxy, true, proto("http"), true},
		{"proxy, HTTPS", proxy, false, proto("https"), true},
		{"proxy, HTTP", proxy, false, proto("http"), false},
		{"proxy, silent", proxy, false, nil, false},
		{"proxy, capitals and spaces", proxy, false, proto(" HTTPS "), true},
		{"proxy, something longer", proxy, false, proto("httpsx"), false},
		{"proxy, list, the last counts", proxy, false, proto("http, https"), true},
		{"proxy, list that the client began", proxy, false, proto("https, http"), false},
		{"proxy, lines, the last counts", proxy, false, proto("https", "http"), false},
		{"proxy, empty last entry", proxy, false, proto("https,"), false},
		{"stranger who says HTTPS", "192.0.2.1:1", false, proto("https"), false},
		{"stranger by RFC 7239", "192.0.2.1:1", false, forwarded("proto=https"), false},
		{"stranger next to the proxies", "11.0.0.1:1", false, proto("https"), false},
		{"proxy by IPv6", "[2001:db8::1]:1", false, proto("https"), true},
		{"stranger by IPv6", "[2001:db9::1]:1", false, proto("https"), false},
		{"proxy, IPv4 mapped to IPv6", "[::ffff:10.1.2.3]:1", false, proto("https"), true},
		{"stranger, IPv4 mapped to IPv6", "[::ffff:11.1.2.3]:1", false, proto("https"), false},
		{"proxy whose prefix is written as mapped", "192.168.0.7:1", false, proto("https"), true},
		{"the same by a mapped address", "[::ffff:192.168.0.7]:1", false, proto("https"), true},
		{"outside of that prefix", "192.169.0.7:1", false, proto("https"), false},
		{"proxy on a link", "[fe80::1%eth0]:1", false, proto("https"), true},
		{"address that is none", "@", false, proto("https"), false},
		{"no address", "", false, proto("https"), false},
		{"RFC 7239", proxy, false, forwarded("for=192.0.2.60;proto=https;by=203.0.113.43"), true},
		{"RFC 7239, HTTP", proxy, false, forwarded("proto=http"), false},
		{"RFC 7239, quoted", proxy, false, forwarded(`for="[2001:db8::9]:80"; Proto="HTTPS"`), true},
		{"RFC 7239, list, the last counts", proxy, false, forwarded("proto=http, proto=https"), true},
		{"RFC 7239, list that the client began", proxy, false, forwarded("proto=https, for=1.2.3.4;proto=http"), false},
		{"RFC 7239, scheme only for another", proxy, false, forwarded("proto=https, for=1.2.3.4"), false},
		{"RFC 7239, a scheme within quotes", proxy, false, forwarded(`host="a,b;proto=https";proto=http`), false},
		{"RFC 7239, an escaped quote", proxy, false, forwarded(`host="a\",b;proto=https";proto=http`), false},
		{"RFC 7239, a quote without end", proxy, false, forwarded(`for="x, proto=https`), false},
		{"RFC 7239, nothing", proxy, false, forwarded(""), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := session.Defaults()
			settings.CookieSecureAuto, settings.TrustedProxies = true, proxies
			m, err := session.New(store.NewMemory(), settings)
			require.NoError(t, err)
			request := func(cookie *http.Cookie, f func(s *session.Session) error) *http.Cookie {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.RemoteAddr = c.peer
				for name, lines := range c.header {
					r.Header[name] = lines
				}
				if c.tls {
					r.TLS = &tls.ConnectionState{}
				}
				if cookie != nil {
					r.AddCookie(cookie)
				}
				w := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { require.NoError(t, f(session.From(r))) })).ServeHTTP(w, r)
				cookies := w.Result().Cookies()
				require.Len(t, cookies, 1)
				return cookies[0]
			}
			made := request(nil, func(s *session.Session) error { return s.Set("a", 1) })
			require.Equal(t, c.secure, made.Secure)
			gone := request(made, func(s *session.Session) error { return s.Destroy() })
			require.Equal(t, c.secure, gone.Secure, "removed as it was made")
		})
	}
}

func TestSecureSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		says   string
	}{
		{"both", func(s *session.Settings) { s.CookieSecure, s.CookieSecureAuto = true, true }, "choose one"},
		{"auto is not enough for None", func(s *session.Settings) {
			s.CookieSecureAuto, s.CookieSameSite = true, http.SameSiteNoneMode
		}, "needs CookieSecure"},
		{"nor for Partitioned", func(s *session.Settings) { s.CookieSecureAuto, s.CookiePartitioned = true, true }, "needs CookieSecure"},
		{"nor for __Host-", func(s *session.Settings) { s.CookieSecureAuto, s.CookieName = true, "__Host-id" }, "needs CookieSecure"},
		{"nor for __Secure-", func(s *session.Settings) { s.CookieSecureAuto, s.CookieName = true, "__Secure-id" }, "needs CookieSecure"},
		{"a proxy that is none", func(s *session.Settings) {
			s.CookieSecureAuto, s.TrustedProxies = true, []netip.Prefix{{}}
		}, "TrustedProxies"},
	} {
		s := session.Defaults()
		c.change(&s)
		require.ErrorIs(t, s.Check(), session.ErrSettings, c.name)
		require.ErrorContains(t, s.Check(), c.says, c.name)
	}
}

func TestTransportFromEnv(t *testing.T) {
	s, err := session.FromEnv([]string{
		"SESSION_COOKIE_SECURE=Auto", "SESSION_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1,::ffff:10.1.2.3 , 2001:db8::/32",
		"SESSION_TOKEN_HEADER=X-Session-Token", "SESSION_ROTATE_EVERY=600", "SESSION_ROTATE_GRACE=1m", "SESSION_SEEN_EVERY=60",
	})
	require.NoError(t, err)
	require.True(t, s.CookieSecureAuto)
	require.False(t, s.CookieSecure)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParsePrefix("::ffff:10.1.2.3/128"), netip.MustParsePrefix("2001:db8::/32"),
	}, s.TrustedProxies)
	require.Equal(t, []any{"X-Session-Token", every, grace, grace}, []any{s.TokenHeader, s.RotateEvery, s.RotateGrace, s.SeenEvery})
	for _, bad := range []string{
		"SESSION_TRUSTED_PROXIES=10.0.0.0/33", "SESSION_TRUSTED_PROXIES=10.0.0.1,", "SESSION_TRUSTED_PROXIES=proxy",
		"SESSION_TOKEN_HEADER=X Token", "SESSION_COOKIE_SECURE=automatic", "SESSION_ROTATE_EVERY=x",
	} {
		_, err := session.FromEnv([]string{bad})
		require.ErrorIs(t, err, session.ErrSettings, bad)
	}
}
