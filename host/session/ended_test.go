package session_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	endedGrace = 30 * time.Second
	endedKept  = hour
)

// endings are what another request does to a session. renewed says whether the
// session lives on under a new id.
var endings = []struct {
	name    string
	by      error
	renewed bool
	do      func(t *testing.T, a *app, b *browser)
}{
	{"log-in", session.ErrRenewed, true, func(t *testing.T, _ *app, b *browser) {
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
	}},
	{"renewal", session.ErrRenewed, true, func(t *testing.T, _ *app, b *browser) {
		b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
	}},
	{"log-out", session.ErrGone, false, func(t *testing.T, _ *app, b *browser) {
		b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
	}},
	{"end of all", session.ErrGone, false, func(t *testing.T, a *app, _ *browser) {
		n, err := a.manager.RevokeAll(ctx, "before")
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}},
}

// ended makes a browser's session with a value, ends it, and returns its old
// id.
func ended(t *testing.T, a *app, do func(t *testing.T, a *app, b *browser)) (old string, b *browser) {
	t.Helper()
	b = a.browser()
	b.do(func(s *session.Session) {
		require.NoError(t, s.LogIn("before", nil))
		require.NoError(t, s.Set("user", "ada"))
	})
	old = b.id()
	do(t, a, b)
	a.kinds()
	return old, b
}

// TestRequestThatArrivesAfterTheEnd: within the grace the request reads
// nothing, its changes are dropped with an error, and it sends no cookie, which
// would replace the browser's newer one. After the grace its id is as unknown
// as any other.
func TestRequestThatArrivesAfterTheEnd(t *testing.T) {
	late := []struct {
		name string
		do   func(t *testing.T, s *session.Session, by error)
		gone bool // a change was dropped
	}{
		{"looks", func(t *testing.T, s *session.Session, _ error) {
			keys, err := s.Keys()
			require.NoError(t, err)
			require.Empty(t, keys)
			user, err := s.User()
			require.NoError(t, err)
			require.Empty(t, user)
			id, err := s.ID()
			require.NoError(t, err)
			require.Empty(t, id)
			alive, err := s.Alive()
			require.NoError(t, err)
			require.False(t, alive)
		}, false},
		{"counts", func(t *testing.T, s *session.Session, by error) {
			n, err := session.Increment(s, session.NewKey[int]("n"), 1)
			require.ErrorIs(t, err, by)
			require.ErrorIs(t, err, session.ErrGone)
			require.Zero(t, n)
		}, true},
		{"sets", func(t *testing.T, s *session.Session, _ error) { require.NoError(t, s.Set("n", 1)) }, true},
		{"saves, sets and saves", func(t *testing.T, s *session.Session, by error) {
			for range 2 {
				require.NoError(t, s.Set("n", 1))
				require.ErrorIs(t, s.Save(), by)
				require.False(t, s.Modified())
			}
		}, true},
		{"flashes", func(t *testing.T, s *session.Session, _ error) { require.NoError(t, notices.Add(s, "hello")) }, true},
		{"takes flashes", func(t *testing.T, s *session.Session, _ error) {
			got, err := notices.PopAll(s)
			require.NoError(t, err)
			require.Empty(t, got)
		}, false},
		{"asks for an expiry", func(t *testing.T, s *session.Session, _ error) { require.NoError(t, s.SetExpiry(day)) }, true},
		{"is set modified", func(_ *testing.T, s *session.Session, _ error) { s.SetModified() }, true},
		{"asks for a token", func(t *testing.T, s *session.Session, _ error) {
			token, err := s.CSRFToken()
			require.NoError(t, err)
			require.NotEmpty(t, token)
		}, false},
		{"logs out", func(t *testing.T, s *session.Session, _ error) { require.NoError(t, s.Destroy()) }, false},
		{"logs out and says so", func(t *testing.T, s *session.Session, _ error) {
			require.NoError(t, s.Destroy())
			require.NoError(t, notices.Add(s, "bye"))
		}, true},
		{"looks again", func(t *testing.T, s *session.Session, by error) { require.ErrorIs(t, s.Reload(), by) }, false},
	}
	for _, ending := range endings {
		for _, c := range late {
			t.Run(ending.name+", "+c.name, func(t *testing.T) {
				overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
					a := newApp(t, s, seal)
					old, b := ended(t, a, ending.do)
					for _, wait := range []time.Duration{0, endedGrace - ms} {
						a.clock.Set(at(wait))
						got := a.at(old, func(s *session.Session) { c.do(t, s, ending.by) })
						require.Equal(t, http.StatusOK, got.StatusCode)
						require.Empty(t, got.Header["Set-Cookie"])
						require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
						gone := 0
						for _, e := range a.takeEvents() {
							if e.Kind == session.EventGone {
								gone++
								require.ErrorIs(t, e.Err, ending.by)
								require.Len(t, e.Session, 12)
							}
						}
						require.Equal(t, c.gone, gone > 0, "dropped changes are told of")
						require.Empty(t, a.peek(old))
					}
					if ending.renewed {
						require.Equal(t, map[string]any{"user": "ada"}, b.values(), "the session goes on under its new id")
						user := map[bool]string{true: "ada", false: "before"}[ending.name == "log-in"]
						require.Len(t, publicIDs(t, a.manager, user), 1, "and is listed")
					}
					a.clock.Advance(ms)
					got := a.at(old, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
					require.NotNil(t, got.cookie(), "after the grace")
					require.NotEqual(t, old, got.cookie().Value)
				})
			})
		}
	}
}

// TestTokenThatArrivesAfterTheEnd: the same holds for ids in a header.
func TestTokenThatArrivesAfterTheEnd(t *testing.T) {
	const header = "X-Session-Token"
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.TokenHeader = header })
	old := a.token("", func(s *session.Session) { require.NoError(t, s.Set("user", "api")) }).Header.Get(header)
	next := a.token(old, func(s *session.Session) { require.NoError(t, s.Renew()) }).Header.Get(header)
	require.NotEqual(t, old, next)
	for _, f := range []func(s *session.Session) error{
		func(s *session.Session) error { return s.Set("n", 1) },
		func(s *session.Session) error { return s.Destroy() },
	} {
		got := a.token(old, func(s *session.Session) { require.NoError(t, f(s)) })
		require.Empty(t, got.Header[header])
		require.Empty(t, got.Cookies())
	}
	require.Equal(t, "api", a.peek(next))
	got := a.with([]string{"session_id=" + old}, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
	require.NotNil(t, got.cookie(), "as a cookie it never was an id")
}

// TestUploadAcrossTheEnd: the beginning of a request counts. An upload that was
// running at the log-in, or began within the grace, first accesses its session
// much later.
func TestUploadAcrossTheEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin time.Duration // after the log-in
		last  time.Duration // how long it takes
		gone  bool
	}{
		{"before", -time.Second, 20 * time.Minute, true},
		{"at the end of the grace", endedGrace - ms, endedKept - endedGrace, true},
		{"after the grace", endedGrace, 0, false},
		{"after the grace, and long", endedGrace, 20 * time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			overProtocols(t, func(t *testing.T, http2 bool) {
				began, body := make(chan struct{}), make(chan struct{})
				s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
					close(began)
					n, err := io.Copy(io.Discard, r.Body)
					require.NoError(t, err)
					require.EqualValues(t, 6, n)
					require.NoError(t, session.From(r).Set("uploaded", true))
				})
				b := s.browser()
				b.set("user", "ada")
				old := b.id()
				logIn := func() { b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) }) }
				if c.begin >= 0 {
					logIn()
					s.clock.Advance(c.begin)
				}
				go func() {
					<-began
					if c.begin < 0 {
						s.clock.Advance(-c.begin)
						logIn()
					}
					s.clock.Advance(c.last)
					close(body)
				}()
				r, err := http.NewRequest(http.MethodPost, s.url, &slowBody{strings.NewReader("upload"), body})
				require.NoError(t, err)
				r.Header.Set("Cookie", "session_id="+old)
				got := fetch(t, s.client, r)
				require.Equal(t, c.gone, got.cookie() == nil)
				require.Equal(t, map[string]any{"user": "ada"}, b.values())
			})
		})
	}
}

// slowBody is a body whose first byte comes when the test lets it.
type slowBody struct {
	io.Reader
	let chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	<-b.let
	return b.Reader.Read(p)
}

// TestUploadAcrossATimedRenewal: the upload follows the timed renewal and does
// not log its client out.
func TestUploadAcrossATimedRenewal(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing)
		b := a.browser()
		b.set("user", "ada")
		old := b.id()
		a.clock.Advance(every)
		url := a.route(func(w http.ResponseWriter, r *http.Request) {
			b.do(look) // renews the id
			a.clock.Advance(5 * grace)
			require.NoError(t, session.From(r).Set("uploaded", true))
		})
		r, err := http.NewRequest(http.MethodPost, url, strings.NewReader("upload"))
		require.NoError(t, err)
		r.Header.Set("Cookie", "session_id="+old)
		got := fetch(t, a.server.Client(), r)
		require.Equal(t, b.id(), got.cookie().Value)
		require.Equal(t, map[string]any{"user": "ada", "uploaded": true}, b.values())
		require.Empty(t, a.peek(old), "a client that comes now is too late")
	})
}

// TestSeveralCookiesOneOfThemEnded: the cookie that names a session counts. If
// none does, the browser gets no cookie.
func TestSeveralCookiesOneOfThemEnded(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		old, b := ended(t, a, endings[0].do)
		unknown := strings.Repeat("A", 43)
		for _, cookies := range []string{old + "; session_id=" + b.id(), b.id() + "; session_id=" + old} {
			a.with([]string{"session_id=" + cookies}, func(s *session.Session) {
				ok, err := s.Has("user")
				require.NoError(t, err)
				require.True(t, ok)
			})
		}
		for _, cookies := range []string{old + "; session_id=" + unknown, unknown + "; session_id=" + old} {
			got := a.with([]string{"session_id=" + cookies}, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
			require.Nil(t, got.cookie())
		}
		got := a.with([]string{"session_id=" + old + "; session_id=" + b.id()}, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		require.Negative(t, got.cookie().MaxAge, "this request did end a session")
		require.Empty(t, a.peek(b.id()))
	})
}

// TestDestroyEndsWhatCannotBeRead: a program that gets the key back must not
// find the session that another one logged out of.
func TestDestroyEndsWhatCannotBeRead(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
		id := a.login("ada")
		without := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretOld) })
		got := without.at(id, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		require.Negative(t, got.cookie().MaxAge)
		require.Empty(t, a.peek(id))

		jsons := newApp(t, s, func(s *session.Settings) { s.Codec = session.JSON })
		cbors := newApp(t, s)
		id = cbors.login("ada")
		jsons.at(id, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		require.Empty(t, cbors.peek(id))
	})
}

// TestPageOfASessionThatEnded: the log-in page that a client gets within the
// grace works with its token, though nothing can be stored for it.
func TestPageOfASessionThatEnded(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		for _, ending := range endings {
			require.NoError(t, store.Clear(ctx, s, clockStart))
			a := newApp(t, s, seal)
			old, _ := ended(t, a, ending.do)
			var token string
			a.at(old, func(s *session.Session) {
				var err error
				token, err = s.CSRFToken()
				require.NoError(t, err)
				require.NoError(t, s.CheckCSRF(token))
				require.ErrorIs(t, s.CheckCSRF(""), session.ErrCSRF)
			})
			for _, wait := range []time.Duration{0, time.Minute} { // the grace is over by then
				a.clock.Advance(wait)
				a.at(old, func(s *session.Session) { require.NoError(t, s.CheckCSRF(token)) })
				a.with(nil, func(s *session.Session) { require.ErrorIs(t, s.CheckCSRF(token), session.ErrCSRF) })
				a.at(strings.Repeat("A", 43), func(s *session.Session) { require.ErrorIs(t, s.CheckCSRF(token), session.ErrCSRF) })
			}
			got := a.at(old, func(s *session.Session) {
				require.NoError(t, s.CheckCSRF(token))
				require.NoError(t, s.LogIn("bob", nil))
			})
			user, _ := alive(t, a.manager, got.cookie().Value)
			require.Equal(t, "bob", user)
			a.at(got.cookie().Value, func(s *session.Session) { require.ErrorIs(t, s.CheckCSRF(token), session.ErrCSRF) })
		}
	})
}

// TestLogInAfterTheEnd gives a fresh session: after a double click, or to a
// user who logs in at once after all sessions were ended.
func TestLogInAfterTheEnd(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		for _, ending := range endings {
			for name, do := range map[string]func(s *session.Session) error{
				"logs in":          func(s *session.Session) error { return s.LogIn("bob", nil) },
				"renews":           func(s *session.Session) error { return s.Renew() },
				"is refused first": func(s *session.Session) error { _ = s.Set("x", 1); _ = s.Save(); return s.Renew() },
			} {
				t.Run(ending.name+", "+name, func(t *testing.T) {
					require.NoError(t, store.Clear(ctx, s, clockStart))
					a := newApp(t, s, seal)
					old, b := ended(t, a, ending.do)
					got := a.at(old, func(s *session.Session) {
						require.NoError(t, do(s))
						require.NoError(t, s.Set("mine", true))
					})
					require.Equal(t, http.StatusOK, got.StatusCode)
					require.NotEqual(t, old, got.cookie().Value)
					keys, err := a.manager.Session(ctx, got.cookie().Value).Keys()
					require.NoError(t, err)
					require.Equal(t, []string{"mine"}, keys, "nothing is taken over")
					require.Empty(t, a.peek(old))
					if ending.renewed {
						require.Equal(t, "ada", a.peek(b.id()))
					}
				})
			}
		}
	})
}
