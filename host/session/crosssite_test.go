package session_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// from sends a request as a browser does for a page of another site.
func (a *app) from(site, method, cookie string, do func(s *session.Session)) *reply {
	a.t.Helper()
	r, err := http.NewRequest(method, a.route(func(_ http.ResponseWriter, r *http.Request) { do(session.From(r)) }), nil)
	require.NoError(a.t, err)
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return fetch(a.t, a.server.Client(), r)
}

// TestCrossSitePost: if the browser held back the cookie, the request must not
// give it another one.
func TestCrossSitePost(t *testing.T) {
	begin := func(s *session.Session) { _ = s.Set("n", 1) }
	none := func(s *session.Settings) {
		s.CookieSameSite, s.CookieSecure = http.SameSiteNoneMode, session.SecureAlways
	}
	strict := func(s *session.Settings) { s.CookieSameSite = http.SameSiteStrictMode }
	lax := func(*session.Settings) {}
	for _, c := range []struct {
		name         string
		settings     func(*session.Settings)
		site, method string
		cookie       string
		refused      bool
	}{
		{"cross-site POST", lax, "cross-site", "POST", "", true},
		{"cross-site POST, Strict", strict, "cross-site", "POST", "", true},
		{"cross-site PUT", lax, "cross-site", "PUT", "", true},
		{"cross-site POST with cookies of others", lax, "cross-site", "POST", "theme=dark", true},
		{"cross-site POST, None", none, "cross-site", "POST", "", false},
		{"a link from elsewhere", lax, "cross-site", "GET", "", false},
		{"a link from elsewhere, Strict", strict, "cross-site", "GET", "", false},
		{"a form of a subdomain", lax, "same-site", "POST", "", false},
		{"a form of its own", lax, "same-origin", "POST", "", false},
		{"a form that nobody has", lax, "none", "POST", "", false},
		{"a program", lax, "", "POST", "", false},
		{"with a cookie that is none of ours by its value", lax, "cross-site", "POST", "session_id=made-up", false},
		{"with the cookie of a session that is over", lax, "cross-site", "POST", "session_id=" + strings.Repeat("A", 43), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, c.settings)
				got := a.from(c.site, c.method, c.cookie, begin)
				if !c.refused {
					require.Equal(t, http.StatusOK, got.StatusCode, got.body)
					require.NotNil(t, got.cookie())
					return
				}
				require.Equal(t, http.StatusForbidden, got.StatusCode)
				require.Nil(t, got.cookie())
				require.Contains(t, got.body, "did not send the session's cookie")
				require.Contains(t, got.body, "SameSite")
				require.Contains(t, got.body, "host/session/README.md")
				require.Empty(t, a.store.take(), "nothing is asked of the storage")
				require.NotContains(t, a.kinds(), session.EventUnavailable)
			})
		})
	}
}

// TestCrossSitePostEveryWay: everything that would begin a session reports why
// it does not.
func TestCrossSitePostEveryWay(t *testing.T) {
	n := session.NewKey[int]("n")
	for name, do := range map[string]func(s *session.Session) error{
		"Save":        func(s *session.Session) error { _ = s.Set("n", 1); return s.Save() },
		"SetModified": func(s *session.Session) error { s.SetModified(); return s.Save() },
		"Update":      func(s *session.Session) error { _, err := n.Update(s, plusOne); return err },
		"Renew":       func(s *session.Session) error { return s.Renew() },
		"LogIn":       func(s *session.Session) error { return s.LogIn("ada", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			var err error
			got := a.from("cross-site", "POST", "", func(s *session.Session) {
				err = do(s)
				require.ErrorIs(t, err, session.ErrCrossSite)
				require.ErrorContains(t, err, "SameSite=Lax")
			})
			require.Nil(t, got.cookie())
			require.Empty(t, a.store.take())
			if name == "Renew" || name == "LogIn" || name == "Update" {
				require.Equal(t, http.StatusOK, got.StatusCode, "nothing is pending")
			} else {
				require.Equal(t, http.StatusForbidden, got.StatusCode)
			}
		})
	}
	t.Run("after the first byte", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		r, err := http.NewRequest("POST", a.route(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("begun"))
			_ = session.From(r).Set("n", 1)
		}), nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(t, "begun", fetch(t, a.server.Client(), r).body)
		events := a.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventFailed, events[0].Kind)
		require.ErrorIs(t, events[0].Err, session.ErrHeadersSent)
	})
}

// TestCrossSitePostWithoutASession: such a request can do everything that needs
// no session.
func TestCrossSitePostWithoutASession(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.TokenHeader = "X-Session-Token" })
	got := a.from("cross-site", "POST", "", func(s *session.Session) {
		look(s)
		require.NoError(t, s.Clear())
		require.NoError(t, s.Destroy())
		require.NoError(t, s.Save())
	})
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Nil(t, got.cookie(), "what the browser kept back stays with it")

	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("X-Session-Token", "")
	w := httptest.NewRecorder()
	a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("n", 1))
	})).ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.NotEmpty(t, w.Header().Get("X-Session-Token"), "a token replaces no cookie")
}
