package session_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func bearer(s *session.Settings) { s.TokenHeader = "Authorization" }

func TestBearer(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, bearer)
		cookie := a.login("by cookie")
		got := a.headers(http.Header{"Authorization": {"Bearer"}}, func(s *session.Session) {
			require.NoError(t, s.Set("user", "by token"))
		})
		id := got.Header.Get(session.BearerHeader)
		require.Len(t, id, 43)
		require.Empty(t, got.Header["Authorization"], "it means nothing in a response")
		require.Empty(t, got.Header["Set-Cookie"])
		require.Equal(t, []string{"Cookie", "Authorization"}, got.Header["Vary"])
		require.Equal(t, "private, no-store", got.Header.Get("Cache-Control"))
		require.Empty(t, got.Header["Access-Control-Expose-Headers"], "no other origin may read it")

		with := "session_id=" + cookie
		for _, c := range []struct {
			name   string
			lines  []string
			user   string // with the cookie sent too
			reject bool
		}{
			{"bearer", []string{"Bearer " + id}, "by token", false},
			{"small letters", []string{"bearer " + id}, "by token", false},
			{"capitals", []string{"BEARER " + id}, "by token", false},
			{"spaces", []string{" Bearer   " + id + " "}, "by token", false},
			{"nothing", []string{"Bearer"}, "", false},
			{"nothing but a space", []string{"Bearer "}, "", false},
			{"unknown", []string{"Bearer " + strings.Repeat("A", 43)}, "", false},
			{"somebody else's token", []string{"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}, "", true},
			{"a cookie's id", []string{"Bearer " + cookie}, "", true},
			{"two", []string{"Bearer " + id, "Bearer " + id}, "", true},
			{"two schemes", []string{"Basic YTpi", "Bearer " + id}, "", true},
			{"a parameter", []string{`Bearer token="` + id + `"`}, "", true},
			{"basic", []string{"Basic YTpi"}, "by cookie", false},
			{"basic with our id", []string{"Basic " + id}, "by cookie", false},
			{"digest", []string{`Digest username="a", Bearer ` + id}, "by cookie", false},
			{"a longer scheme", []string{"BearerX " + id}, "by cookie", false},
			{"no scheme", []string{id}, "by cookie", false},
			{"empty", []string{""}, "by cookie", false},
			{"none", nil, "by cookie", false},
		} {
			t.Run(c.name, func(t *testing.T) {
				a.kinds()
				header := http.Header{"Cookie": {with}}
				if c.lines != nil {
					header["Authorization"] = c.lines
				}
				var user string
				got := a.headers(header, func(s *session.Session) {
					_, err := s.Get("user", &user)
					require.NoError(t, err)
				})
				require.Equal(t, c.user, user)
				require.Equal(t, []string{"Cookie", "Authorization"}, got.Header["Vary"])
				require.Equal(t, c.reject, len(a.kinds()) == 1)
			})
		}
		t.Run("a session of the other scheme's request is a cookie's", func(t *testing.T) {
			got := a.headers(http.Header{"Authorization": {"Basic YTpi"}}, func(s *session.Session) {
				require.NoError(t, s.Set("user", "bob"))
			})
			require.NotNil(t, got.cookie())
			require.Empty(t, got.Header[session.BearerHeader])
		})
		t.Run("renewed and ended", func(t *testing.T) {
			at := func(id string, f func(s *session.Session) error) http.Header {
				return a.headers(http.Header{"Authorization": {"Bearer " + id}}, func(s *session.Session) { require.NoError(t, f(s)) }).Header
			}
			renewed := at(id, func(s *session.Session) error { return s.LogIn("ada", nil) }).Get(session.BearerHeader)
			require.Len(t, renewed, 43)
			require.Empty(t, a.peek(id))
			require.Equal(t, "by token", a.peek(renewed))
			require.Equal(t, []string{""}, at(renewed, func(s *session.Session) error { return s.Destroy() })[session.BearerHeader], "forget it")
			exists, err := a.manager.Session(context.Background(), renewed).Exists()
			require.NoError(t, err)
			require.False(t, exists)
		})
		t.Run("the response's header is none in a request", func(t *testing.T) {
			var user string
			a.headers(http.Header{session.BearerHeader: {id}, "Cookie": {with}}, func(s *session.Session) {
				_, err := s.Get("user", &user)
				require.NoError(t, err)
			})
			require.Equal(t, "by cookie", user)
		})
	})
}

// TestTokenForOtherOrigins: scripts of other origins can read the header with a
// new id only if the response is for them, and then always.
func TestTokenForOtherOrigins(t *testing.T) {
	const (
		origin      = "Access-Control-Allow-Origin"
		expose      = "Access-Control-Expose-Headers"
		credentials = "Access-Control-Allow-Credentials"
	)
	for _, header := range []struct{ request, value, response string }{
		{tokenHeader, "", tokenHeader}, {"Authorization", "Bearer", session.BearerHeader}, {"X-App", "", "X-App"},
	} {
		for _, c := range []struct {
			name   string
			header http.Header
			want   []string
		}{
			{"no other origin", http.Header{}, nil},
			{"another origin", http.Header{origin: {"https://app.example"}}, []string{header.response}},
			{"any origin", http.Header{origin: {"*"}}, []string{header.response}},
			{"others exposed", http.Header{origin: {"*"}, expose: {"Etag, X-A"}}, []string{"Etag, X-A", header.response}},
			{"exposed already", http.Header{origin: {"*"}, expose: {"Etag", "X-A, " + strings.ToLower(header.response)}}, []string{"Etag", "X-A, " + strings.ToLower(header.response)}},
			{"all exposed", http.Header{origin: {"*"}, expose: {"*"}}, []string{"*"}},
			{"a star that is none", http.Header{origin: {"https://app.example"}, credentials: {"true"}, expose: {"*"}}, []string{"*", header.response}},
		} {
			for _, where := range []string{"inside", "outside"} {
				t.Run(header.request+", "+c.name+", "+where, func(t *testing.T) {
					a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.TokenHeader = header.request })
					cors := func(next http.HandlerFunc) http.HandlerFunc {
						return func(w http.ResponseWriter, r *http.Request) {
							for name, lines := range c.header {
								w.Header()[name] = append([]string{}, lines...)
							}
							next(w, r)
						}
					}
					set := true
					h := func(_ http.ResponseWriter, r *http.Request) {
						if set {
							require.NoError(t, session.From(r).Set("a", 1))
						} else {
							_, err := session.From(r).Has("a")
							require.NoError(t, err)
						}
					}
					if where == "inside" {
						h = a.manager.Handler(cors(h)).ServeHTTP
					} else {
						h = cors(a.manager.Handler(http.HandlerFunc(h)).ServeHTTP)
					}
					path := "/cors"
					a.handlers[path] = http.HandlerFunc(h)
					send := func() *reply {
						r, err := http.NewRequest(http.MethodGet, a.server.URL+path, nil)
						require.NoError(t, err)
						r.Header[header.request] = []string{header.value}
						return fetch(t, a.server.Client(), r)
					}
					got := send()
					require.NotEmpty(t, got.Header.Get(header.response))
					require.Equal(t, c.want, got.Header[expose])
					set = false
					require.Equal(t, c.header[expose], send().Header[expose], "nothing to tell, nothing to expose")
				})
			}
		}
	}
}
