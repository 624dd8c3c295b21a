package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// page sends a request with a cookie as a browser that loads a page, and script
// as a page's script.
func (a *app) page(id string, do func(s *session.Session)) *reply {
	return a.navigate(map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, id, do)
}

func (a *app) script(id string, do func(s *session.Session)) *reply {
	return a.navigate(map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, id, do)
}

func (a *app) navigate(headers map[string]string, id string, do func(s *session.Session)) *reply {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodGet, a.route(func(_ http.ResponseWriter, r *http.Request) { do(session.From(r)) }), nil)
	require.NoError(a.t, err)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Cookie", "session_id="+id)
	return fetch(a.t, a.server.Client(), r)
}

func takenBack(t *testing.T, got *reply) bool {
	t.Helper()
	if got.cookie() == nil {
		return false
	}
	require.Negative(t, got.cookie().MaxAge)
	require.Empty(t, got.cookie().Value)
	require.Equal(t, "/", got.cookie().Path)
	return true
}

// nobody is a well-formed id that nobody issued.
var nobody = strings.Repeat("A", 43)

// TestDeadCookieIsTakenBack: once, when its session is certainly over.
func TestDeadCookieIsTakenBack(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		die      func(a *app, id string)
	}{
		{"never known", nil, func(*app, string) {}},
		{"expired", nil, func(a *app, _ string) {
			a.clock.Advance(7 * day)
			sweep(a.t, a.store.Store, a)
		}},
		{"idle", func(s *session.Settings) { s.IdleTimeout = hour }, func(a *app, _ string) {
			a.clock.Advance(hour)
			sweep(a.t, a.store.Store, a)
		}},
		{"lost by the storage", nil, func(a *app, id string) {
			require.NoError(a.t, a.store.Store.Delete(ctx, []byte(storageKeyOf(id)), clockStart))
		}},
		{"ended long ago", nil, func(a *app, id string) {
			a.at(id, func(s *session.Session) { require.NoError(a.t, s.Destroy()) })
			a.clock.Advance(hour)
		}},
		{"renewed long ago", nil, func(a *app, id string) {
			a.at(id, func(s *session.Session) { require.NoError(a.t, s.LogIn("eve", nil)) })
			a.clock.Advance(hour)
		}},
		{"renewed long ago", renewing, func(a *app, id string) {
			a.clock.Advance(every)
			a.at(id, look)
			a.clock.Advance(2 * hour)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, func(s *session.Settings) {
					if c.settings != nil {
						c.settings(s)
					}
				})
				id := nobody
				if c.name != "never known" {
					id = a.login("ada")
				}
				c.die(a, id)
				require.Nil(t, a.page(id, func(*session.Session) {}).cookie(), "nobody looked")
				got := a.page(id, look)
				require.True(t, takenBack(t, got))
				require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
				require.Contains(t, got.Header.Get("Cache-Control"), "no-store")
				a.clock.Advance(hour)
				require.Nil(t, a.page(id, look).cookie(), "once: it did not help")
			})
		})
	}
}

// TestDeadCookieIsTakenBackByScripts: several scripts' requests run at a time.
// One takes the cookie back only if none of those beside it can have begun a
// session.
func TestDeadCookieIsTakenBackByScripts(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		require.Nil(t, a.script(nobody, look).cookie())
		a.clock.Advance(10*time.Second - ms)
		require.Nil(t, a.script(nobody, look).cookie())
		a.clock.Advance(ms)
		require.True(t, takenBack(t, a.script(nobody, look)))
		require.Nil(t, a.script(nobody, look).cookie())
		other := strings.Repeat("B", 42) + "A"
		require.Nil(t, a.script(other, look).cookie())
		require.True(t, takenBack(t, a.page(other, look)), "a page need not wait for what scripts wait for")
	})
}

// TestDeadCookieThatWasReplacedAWhileAgo: even a response that takes half an
// hour takes nothing back.
func TestDeadCookieThatWasReplacedAWhileAgo(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		began := a.page(nobody, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
		require.NotEmpty(t, began.cookie().Value)
		a.clock.Advance(hour / 2)
		require.Nil(t, a.page(nobody, look).cookie())
		a.clock.Advance(hour / 2)
		require.True(t, takenBack(t, a.page(nobody, look)))
	})
}

// TestDeadCookieThatWasReplaced: a late response must not take back the cookie
// of a session that another response began.
func TestDeadCookieThatWasReplaced(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for name, send := range map[string]func(*app, string, func(*session.Session)) *reply{"page": (*app).page, "script": (*app).script} {
			t.Run(name, func(t *testing.T) {
				a := newApp(t, s)
				id := a.login("ada")
				a.clock.Advance(8 * day)
				sweep(t, s, a)
				require.Nil(t, a.script(id, look).cookie(), "seen for the first time")
				a.clock.Advance(time.Minute)
				got := send(a, id, func(s *session.Session) {
					look(s)
					began := a.script(id, func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
					require.NotEmpty(t, began.cookie().Value)
				})
				require.Nil(t, got.cookie())
			})
		}
	})
}

// TestCookieThatMayNotBeDead: it is left alone.
func TestCookieThatMayNotBeDead(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		make     func(a *app, id string)
		do       func(s *session.Session)
	}{
		{"the storage is away", nil, func(a *app, _ string) { a.store.fail(on("get", store.ErrUnavailable), nil) }, look},
		{"a record that cannot be read", nil, func(a *app, id string) {
			require.NoError(a.t, a.store.Store.Set(ctx, store.Write{Key: []byte(storageKeyOf(id)), Value: []byte("corrupt!!"), Now: clockStart}))
		}, look},
		{"a secret that this host does not have", func(s *session.Settings) { s.Keyring = nil }, func(a *app, id string) {
			other := newApp(a.t, a.store.Store, func(s *session.Settings) { s.Keyring = keyring(a.t, secretNew) })
			sealed := other.login("ada")
			value, err := a.store.Store.Get(ctx, []byte(storageKeyOf(sealed)), clockStart)
			require.NoError(a.t, err)
			require.NoError(a.t, a.store.Store.Set(ctx, store.Write{Key: []byte(storageKeyOf(id)), Value: value, Now: clockStart, Expect: store.Any}))
		}, look},
		{"renewed a moment ago", nil, func(a *app, id string) {
			a.at(id, func(s *session.Session) { require.NoError(a.t, s.LogIn("eve", nil)) })
		}, look},
		{"renewed a moment ago", renewing, func(a *app, id string) {
			a.clock.Advance(every)
			require.NotNil(a.t, a.at(id, look).cookie())
			a.clock.Advance(grace)
		}, look},
		{"a token", func(s *session.Settings) { s.TokenHeader = "X-Session-Token" }, nil, look},
		{"a session that is there", nil, func(*app, string) {}, look},
		{"one that is begun", nil, func(a *app, _ string) { a.clock.Advance(8 * day) }, func(s *session.Session) { _ = s.Set("n", 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, func(s *session.Settings) {
					if c.settings != nil {
						c.settings(s)
					}
				})
				id := a.login("ada")
				if c.name == "a token" {
					id = a.token("", func(s *session.Session) { require.NoError(t, s.Set("n", 1)) }).Header.Get("X-Session-Token")
				} else {
					c.make(a, id)
				}
				for range 50 { // for as long as a request may run
					got := a.page(id, c.do)
					if got.cookie() != nil {
						require.Positive(t, got.cookie().MaxAge)
					}
					a.clock.Advance(time.Minute)
				}
			})
		})
	}
}

// TestCookieOfASessionThatWasEnded: it stays as long as the storage knows of
// the end, since the browser may have another one by now.
func TestCookieOfASessionThatWasEnded(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id, _ := logIn(t, a.manager, "eve")
		n, err := a.manager.RevokeAll(ctx, "eve")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		for range 59 {
			require.Nil(t, a.page(id, look).cookie())
			a.clock.Advance(time.Minute)
		}
		a.clock.Advance(time.Minute)
		require.True(t, takenBack(t, a.page(id, look)))
	})
}

// TestCookieOfWhatAnotherProcessEnded: this process knows of the end only from
// the storage.
func TestCookieOfWhatAnotherProcessEnded(t *testing.T) {
	for name, end := range map[string]func(s *session.Session) error{
		"renewed": func(s *session.Session) error { return s.LogIn("eve", nil) },
		"ended":   (*session.Session).Destroy,
	} {
		t.Run(name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a, other := newApp(t, s), newApp(t, s)
				other.follow(a)
				id := a.login("ada")
				other.at(id, func(s *session.Session) { require.NoError(t, end(s)) })
				for range 59 {
					require.Nil(t, a.page(id, look).cookie())
					a.clock.Advance(time.Minute)
				}
				a.clock.Advance(time.Minute)
				require.True(t, takenBack(t, a.page(id, look)))
			})
		})
	}
}

// TestCookiesOfWhichOneIsAlive: removing a dead one would remove the live one
// of the same name.
func TestCookiesOfWhichOneIsAlive(t *testing.T) {
	a := newApp(t, store.NewMemory())
	id := a.login("ada")
	require.Nil(t, a.page(nobody+"; session_id="+id, look).cookie())
	require.Nil(t, a.page("made-up", look).cookie(), "no id of ours: somebody else's cookie, perhaps")
}
