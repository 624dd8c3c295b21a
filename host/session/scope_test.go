package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestCookieDomains: domains that browsers reject are errors, which say what to
// do.
func TestCookieDomains(t *testing.T) {
	for domain, says := range map[string]string{
		"":                                "",
		"example.org":                     "",
		"Example.ORG":                     "",
		"app.example.org":                 "",
		"a_b.example.org":                 "which no domain can have",
		"xn--bcher-kva.example":           "",
		"example.co.uk":                   "",
		"me.github.io":                    "",
		"city.kawasaki.jp":                "", // an exception to *.kawasaki.jp
		"shop.internal":                   "",
		"example.local":                   "",
		"svc.cluster.local":               "",
		"0x.example":                      "",
		"1.example":                       "",
		"localhost":                       "must contain a dot",
		"com":                             "must contain a dot",
		"intranet":                        "must contain a dot",
		"co.uk":                           "anybody can have a domain",
		"CO.UK":                           "anybody can have a domain",
		"github.io":                       "anybody can have a domain",
		"herokuapp.com":                   "anybody can have a domain",
		"s3.amazonaws.com":                "anybody can have a domain",
		"foo.kawasaki.jp":                 "anybody can have a domain",
		"xn--55qx5d.cn":                   "anybody can have a domain",
		"127.0.0.1":                       "address",
		"127.0.0.1:80":                    "address",
		"127.1":                           "address",
		"2130706433":                      "address",
		"0x7f.1":                          "address",
		"example.0x7F":                    "address",
		"example.0x":                      "address",
		"[::1]":                           "address",
		"::1":                             "address",
		"[::1]:80":                        "address",
		"fe80::1%eth0":                    "address",
		".example.org":                    `write "example.org"`,
		"example.org:8080":                `write "example.org"`,
		"https://example.org":             `write "example.org"`,
		"example.org.":                    "1 to 63 characters",
		"a..example.org":                  "1 to 63 characters",
		strings.Repeat("a", 64) + ".org":  "1 to 63 characters",
		strings.Repeat("a.", 126) + "org": "at most 253 characters",
		"bücher.example":                  "ASCII",
		"example.org/app":                 "which no domain can have",
		"*.example.org":                   "which no domain can have",
		"a b.example":                     "which no domain can have",
		"-a.example":                      "hyphen",
		"a-.example":                      "hyphen",
	} {
		s := session.Defaults()
		s.CookieDomain = domain
		_, errEnv := session.FromEnv([]string{"SESSION_COOKIE_DOMAIN=" + domain})
		if says == "" {
			require.NoError(t, s.Check(), "%q", domain)
			require.NoError(t, errEnv, "%q", domain)
			continue
		}
		require.ErrorIs(t, s.Check(), session.ErrSettings, "%q", domain)
		require.ErrorContains(t, s.Check(), says, "%q", domain)
		require.ErrorContains(t, errEnv, says, "%q", domain)
	}
}

// TestDomainOfAnotherHost: a domain that does not cover the host being served
// is reported once.
func TestDomainOfAnotherHost(t *testing.T) {
	for _, c := range []struct {
		name   string
		host   string
		header http.Header
		said   bool
	}{
		{"the domain", "example.org", nil, false},
		{"capitals and a port", "EXAMPLE.org:8080", nil, false},
		{"with the dot of the root", "example.org.", nil, false},
		{"a subdomain", "shop.example.org", nil, false},
		{"one that ends alike", "badexample.org", nil, true},
		{"another", "example.com", nil, true},
		{"above it", "org", nil, true},
		{"an address", "127.0.0.1:8080", nil, true},
		{"a proxy asks for another", "backend:8080", http.Header{"X-Forwarded-Host": {"shop.example.org, inner"}}, false},
		{"a proxy by RFC 7239", "backend:8080", http.Header{"Forwarded": {`for=1.2.3.4;host="shop.example.org:443"`}}, false},
		{"a proxy of another domain", "backend:8080", http.Header{"X-Forwarded-Host": {"example.com"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory(), func(s *session.Settings) {
				s.CookieDomain, s.CookieSecure = "example.org", session.SecureAlways
			})
			for range 2 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Host = c.host
				for name, lines := range c.header {
					r.Header[name] = lines
				}
				w := httptest.NewRecorder()
				a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					require.NoError(t, session.From(r).Set("a", 1))
				})).ServeHTTP(w, r)
				require.Equal(t, "example.org", w.Result().Cookies()[0].Domain, "the proxy in front may have the right name")
			}
			if c.said {
				a.requireSaid(`"example.org"`)
			} else {
				a.requireSaid("")
			}
		})
	}
}

// TestCookieFor: two sites and an administration below a path, in one process.
func TestCookieFor(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) {
			s.CookieFor = func(r *http.Request, scope session.CookieScope) session.CookieScope {
				switch {
				case strings.HasSuffix(r.Host, "one.example"):
					scope.Domain = "one.example"
				case r.Host == "two.example":
					scope.Path, scope.Secure = "/app", true
				}
				return scope
			}
		})
		send := func(host, id string, f func(s *session.Session) error) *http.Cookie {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = host
			if id != "" {
				r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
			}
			w := httptest.NewRecorder()
			a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				require.NoError(t, f(session.From(r)))
			})).ServeHTTP(w, r)
			require.Len(t, w.Result().Cookies(), 1)
			return w.Result().Cookies()[0]
		}
		for host, want := range map[string]session.CookieScope{
			"www.one.example": {Domain: "one.example", Path: "/"},
			"two.example":     {Path: "/app", Secure: true},
			"three.example":   {Path: "/"},
		} {
			scope := func(c *http.Cookie) session.CookieScope {
				return session.CookieScope{Domain: c.Domain, Path: c.Path, Secure: c.Secure}
			}
			made := send(host, "", func(s *session.Session) error { return s.Set("user", host) })
			require.Equal(t, want, scope(made), host)
			renewed := send(host, made.Value, func(s *session.Session) error { return s.Renew() })
			require.Equal(t, want, scope(renewed), host)
			require.Equal(t, host, a.peek(renewed.Value))
			gone := send(host, renewed.Value, func(s *session.Session) error { return s.Destroy() })
			require.Equal(t, want, scope(gone), "removed as it was made")
			require.Negative(t, gone.MaxAge)
		}
		a.requireSaid("")
	})
}

// TestCookieForThatCannotWork: a change that needs the cookie fails before
// anything is stored, and that is reported once.
func TestCookieForThatCannotWork(t *testing.T) {
	for name, c := range map[string]struct {
		scope  session.CookieScope
		change func(*session.Settings)
		says   string
	}{
		"domain of everybody": {session.CookieScope{Domain: "co.uk", Path: "/"}, nil, "publicsuffix.org"},
		"no path":             {session.CookieScope{}, nil, "CookiePath"},
		"attribute":           {session.CookieScope{Path: "/; Domain=evil.example"}, nil, "Path"},
		"None on plain HTTP": {session.CookieScope{Path: "/"}, func(s *session.Settings) {
			s.CookieSecure, s.CookieSameSite = session.SecureAlways, http.SameSiteNoneMode
		}, "CookieSameSite is None"},
		"__Host- with a domain": {session.CookieScope{Path: "/", Domain: "example.org", Secure: true}, func(s *session.Settings) {
			s.CookieSecure, s.CookieName = session.SecureAlways, "__Host-id"
		}, "CookieDomain is \"example.org\": must be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := false
			a := newApp(t, store.NewMemory(), func(s *session.Settings) {
				s.CookieFor = func(_ *http.Request, scope session.CookieScope) session.CookieScope {
					if wrong {
						return c.scope
					}
					return scope
				}
				if c.change != nil {
					c.change(s)
				}
			})
			a.store.take()
			wrong = true
			b := a.browser()
			for range 2 {
				got := b.do(func(s *session.Session) {
					require.NoError(t, s.Set("user", "ada"))
					require.ErrorIs(t, s.Save(), session.ErrSettings)
					require.ErrorContains(t, s.Save(), c.says)
				})
				require.Equal(t, http.StatusInternalServerError, got.StatusCode)
				require.Empty(t, got.Cookies())
			}
			require.Empty(t, a.store.take(), "nothing was stored that nobody could come back to")
			a.requireSaid(c.says)

			wrong = false
			made := a.browser().do(func(s *session.Session) { require.NoError(t, s.Set("user", "ada")) }).Cookies()[0]
			wrong = true
			r, err := http.NewRequest(http.MethodGet, a.route(func(_ http.ResponseWriter, r *http.Request) {
				require.NoError(t, session.From(r).Destroy())
			}), nil)
			require.NoError(t, err)
			r.AddCookie(&http.Cookie{Name: made.Name, Value: made.Value})
			got := fetch(t, a.server.Client(), r)
			require.Equal(t, http.StatusOK, got.StatusCode, "a log-out does not depend on it")
			require.Empty(t, got.Cookies())
			exists, err := a.manager.Session(context.Background(), made.Value).Exists()
			require.NoError(t, err)
			require.False(t, exists)
		})
	}
}
