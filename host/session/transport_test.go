package session_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const tokenHeader = "X-Session-Token"

func tokens(s *session.Settings) { s.TokenHeader = tokenHeader }

// token sends a request with the id in the header.
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
		a.clock.Advance(6 * day)
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

// TestTransportsAreKeptApart: an id that came one way opens nothing the other
// way.
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
			for _, every := range []func(*session.Settings){tokens, func(s *session.Settings) { tokens(s); renewing(s) }} {
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
		"Authorization": true, "Cookie": false, "Set-Cookie": false, "Proxy-Authorization": false, "authorization": false, "Authentication-Info": false, "Vary": false, "Cache-Control": false, "Content-Length": false,
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

func TestTransportFromEnv(t *testing.T) {
	s, err := session.FromEnv([]string{
		"SESSION_COOKIE_SECURE=Auto", "SESSION_TRUSTED_PROXIES=10.0.0.0/8, Unix, 192.0.2.1,::ffff:10.1.2.3 , 2001:db8::/32",
		"SESSION_TOKEN_HEADER=X-Session-Token", "SESSION_RENEW_EVERY=600", "SESSION_RENEW_GRACE=1m", "SESSION_LAST_SEEN_RESOLUTION=60",
	})
	require.NoError(t, err)
	require.Equal(t, session.SecureAuto, s.CookieSecure)
	require.True(t, s.TrustUnixSockets)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParsePrefix("::ffff:10.1.2.3/128"), netip.MustParsePrefix("2001:db8::/32"),
	}, s.TrustedProxies)
	require.Equal(t, []any{"X-Session-Token", every, grace, grace}, []any{s.TokenHeader, s.RenewEvery, s.RenewGrace, s.LastSeenResolution})
	for _, bad := range []string{
		"SESSION_TRUSTED_PROXIES=10.0.0.0/33", "SESSION_TRUSTED_PROXIES=10.0.0.1,", "SESSION_TRUSTED_PROXIES=proxy", "SESSION_TRUSTED_PROXIES=unix:/run/x",
		"SESSION_TOKEN_HEADER=X Token", "SESSION_COOKIE_SECURE=automatic", "SESSION_RENEW_EVERY=x",
	} {
		_, err := session.FromEnv([]string{bad})
		require.ErrorIs(t, err, session.ErrSettings, bad)
	}
}
