package session_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// peeks are the ways to ask how long a session lives.
var peeks = map[string]func(s *session.Session) (time.Time, error){
	"Expires": (*session.Session).Expires,
	"Seen":    (*session.Session).LastSeen,
	"Created": (*session.Session).Created,
}

// TestPeeksExtendNothing: a page that shows the time left, and asks for it
// every few seconds, must not keep the session alive.
func TestPeeksExtendNothing(t *testing.T) {
	for name, peek := range peeks {
		for setting, change := range map[string]func(*session.Settings){
			"idle":          func(s *session.Settings) { s.IdleTimeout = hour },
			"seen":          func(s *session.Settings) { s.LastSeenResolution = time.Minute },
			"timed renewal": func(s *session.Settings) { s.RenewEvery = 10 * time.Minute },
			"rolling":       func(s *session.Settings) { s.Rolling, s.Lifetime = true, hour },
		} {
			t.Run(name+", "+setting, func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					a := newApp(t, s, change)
					b := a.browser()
					b.set("user", "ada")
					until := storedExpiry(t, a, b.id())
					a.store.take()
					for range 5 {
						a.clock.Advance(10 * time.Minute)
						got := b.do(func(s *session.Session) {
							at, err := peek(s)
							require.NoError(t, err)
							require.False(t, at.IsZero())
							require.NoError(t, s.Save())
						})
						require.Nil(t, got.cookie())
						require.Equal(t, []string{"Cookie"}, got.Header["Vary"], "what is answered depends on it all the same")
						require.Equal(t, "private", got.Header.Get("Cache-Control"))
					}
					require.Equal(t, []string{"get", "get", "get", "get", "get"}, names(a.store.take()))
					require.Equal(t, until, storedExpiry(t, a, b.id()))

					got := b.do(func(s *session.Session) {
						_, err := peek(s)
						require.NoError(t, err)
						look(s)
					})
					require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
					require.Contains(t, names(a.store.take()), "set", "but a look beside it counts")
				})
			})
		}
	}
}

// TestPeekOfNothing: without a session there are no times.
func TestPeekOfNothing(t *testing.T) {
	for name, peek := range peeks {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			a.browser().do(func(s *session.Session) {
				at, err := peek(s)
				require.NoError(t, err)
				require.True(t, at.IsZero())
			})
			require.Empty(t, a.store.take())
		})
	}
}

// TestExpiresIsTrue: the session ends when Expires says, to the millisecond, if
// nothing else happens, and whatever was done before.
func TestExpiresIsTrue(t *testing.T) {
	changed := func(s *session.Session) { _ = s.Set("n", 1) }
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		at       time.Duration
		do       func(s *session.Session)
		until    time.Duration
	}{
		{"asked alone", func(s *session.Settings) { s.IdleTimeout = hour }, 30 * time.Minute, nil, hour},
		{"after a look", func(s *session.Settings) { s.IdleTimeout = hour }, 30 * time.Minute, look, 90 * time.Minute},
		{"after a look that moves nothing", func(s *session.Settings) { s.IdleTimeout = hour }, 5 * time.Minute, look, hour},
		{"after a look that is saved for its own sake", func(s *session.Settings) { s.IdleTimeout, s.LastSeenResolution = hour, time.Minute },
			5 * time.Minute, look, hour + 5*time.Minute},
		{"after a look that is saved for a new id", func(s *session.Settings) { s.IdleTimeout, s.RenewEvery = hour, time.Minute },
			5 * time.Minute, look, hour + 5*time.Minute},
		{"after a change", func(s *session.Settings) { s.IdleTimeout = hour }, time.Minute, changed, hour + time.Minute},
		{"rolling", func(s *session.Settings) { s.Rolling = true }, day, look, 8 * day},
		{"rolling, asked alone", func(s *session.Settings) { s.Rolling = true }, day, nil, 7 * day},
		{"a timeout that was shortened", func(s *session.Settings) { s.AbsoluteTimeout = 2 * day }, day, nil, 2 * day},
		{"a timeout that was shortened, after a look", func(s *session.Settings) { s.AbsoluteTimeout = 2 * day }, day, look, 2 * day},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				before := newApp(t, s, func(s *session.Settings) {
					c.settings(s)
					s.AbsoluteTimeout = 0
				})
				b := before.browser()
				b.do(func(s *session.Session) {
					require.NoError(t, s.Set("user", "ada"))
					require.NoError(t, s.LogIn("ada", nil))
				})
				a := newApp(t, s, c.settings)
				b.a = a
				a.clock.Advance(c.at)
				b.do(func(s *session.Session) {
					if c.do != nil {
						c.do(s)
					}
					expires, err := s.Expires()
					require.NoError(t, err)
					require.Equal(t, at(c.until).UnixMilli(), expires.UnixMilli())
				})
				list, err := a.manager.UserSessions(ctx, "ada")
				require.NoError(t, err)
				require.Len(t, list, 1)
				require.Equal(t, at(c.until).UnixMilli(), list[0].Expires.UnixMilli(), "and so says the list")
				a.clock.Set(at(c.until - ms))
				require.Equal(t, "ada", a.peek(b.id()))
				a.clock.Advance(ms)
				require.Empty(t, a.peek(b.id()))
			})
		})
	}
}

// TestExpiresAfterTheFirstByte: an id that can no longer change is no reason
// for a save.
func TestExpiresAfterTheFirstByte(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.IdleTimeout, s.RenewEvery = hour, time.Minute })
	b := a.browser()
	b.set("user", "ada")
	a.clock.Advance(5 * time.Minute)
	b.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		_, _ = w.Write([]byte("begun"))
		look(session.From(r))
		expires, err := session.From(r).Expires()
		require.NoError(t, err)
		require.Equal(t, at(hour), expires)
	})
	require.Equal(t, at(hour).UnixMilli(), storedExpiry(t, a, b.id()))
}

// TestAliveExtendsNothing: Alive only asks whether the session is there.
func TestAliveExtendsNothing(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.IdleTimeout = hour })
	b := a.browser()
	b.set("user", "ada")
	a.clock.Advance(hour / 2)
	got := b.do(func(s *session.Session) {
		is, err := s.Alive()
		require.NoError(t, err)
		require.True(t, is)
	})
	require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
	require.Equal(t, at(hour).UnixMilli(), storedExpiry(t, a, b.id()))
}

// TestExpiresOfWhatIsDropped: changes that are dropped give no expiry to a
// session that another request ended.
func TestExpiresOfWhatIsDropped(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.browser()
	b.set("user", "ada")
	id := b.id()
	b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
	a.at(id, func(s *session.Session) {
		require.NoError(t, s.Set("n", 1))
		expires, err := s.Expires()
		require.NoError(t, err)
		require.True(t, expires.IsZero())
	})
}

// TestExpiresWithoutAResponse: nothing is saved there without a call of Save.
func TestExpiresWithoutAResponse(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.IdleTimeout = hour })
	id := a.login("ada")
	a.clock.Advance(hour / 2)
	s := a.manager.Session(ctx, id)
	look(s)
	expires, err := s.Expires()
	require.NoError(t, err)
	require.Equal(t, at(hour), expires)
	require.NoError(t, s.Save())
	expires, err = s.Expires()
	require.NoError(t, err)
	require.Equal(t, at(hour+hour/2), expires)
}
