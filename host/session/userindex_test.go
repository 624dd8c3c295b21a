package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestListLastsAsLongAsItsSessions, whatever extends those.
func TestListLastsAsLongAsItsSessions(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		begin    func(s *session.Session) error
		step     func(s *session.Session) error
		every    time.Duration
	}{
		{"changes", nil, nil, func(s *session.Session) error { return s.Set("n", 1) }, 6 * day},
		{"looks, with an expiry of its own", func(s *session.Settings) { s.Lifetime = hour },
			func(s *session.Session) error { return errors.Join(s.SetIdleTimeout(hour), s.SetExpiry(30*day)) },
			func(s *session.Session) error { _, err := s.Has("n"); return err }, hour / 2},
		{"looks, with an end of its own", func(s *session.Settings) { s.Lifetime = hour },
			func(s *session.Session) error {
				return errors.Join(s.SetIdleTimeout(hour), s.SetExpiryTime(s0.Add(30*day)))
			},
			func(s *session.Session) error { _, err := s.Has("n"); return err }, hour / 2},
		{"rolling looks", func(s *session.Settings) { s.Lifetime, s.Rolling = hour, true }, nil,
			func(s *session.Session) error { _, err := s.Has("n"); return err }, hour / 2},
		{"an anonymous session that is bound", func(s *session.Settings) { s.AnonymousLifetime = hour }, nil,
			func(s *session.Session) error { return s.Set("n", 1) }, 6 * day},
		{"looks and timed renewal", func(s *session.Settings) {
			s.Lifetime, s.IdleTimeout, s.RenewEvery = 7*day, hour, hour/4
		}, nil, func(s *session.Session) error { _, err := s.Has("n"); return err }, hour / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				change := func(*session.Settings) {}
				if c.settings != nil {
					change = c.settings
				}
				a := newApp(t, s, change)
				b := a.browser()
				b.do(func(s *session.Session) {
					if c.begin != nil {
						require.NoError(t, c.begin(s))
					}
					require.NoError(t, s.LogIn("ada", nil))
				})
				for i := range 20 {
					a.clock.Advance(c.every)
					b.do(func(s *session.Session) { require.NoError(t, c.step(s)) })
					user, ok := alive(t, a.manager, b.id())
					require.True(t, ok, "step %d", i)
					require.Equal(t, "ada", user)
					require.Len(t, publicIDs(t, a.manager, "ada"), 1, "step %d: alive and not listed", i)
				}
				n, err := a.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Equal(t, 1, n)
				_, ok := alive(t, a.manager, b.id())
				require.False(t, ok)
			})
		})
	}
	t.Run("a longer lifetime after a restart", func(t *testing.T) {
		s := store.NewMemory()
		a := newApp(t, s, func(s *session.Settings) { s.Lifetime, s.IdleTimeout = hour, hour-ms })
		id, publicID := logIn(t, a.manager, "ada")
		longer := newApp(t, s, func(s *session.Settings) { s.Lifetime, s.IdleTimeout = 7*day, hour })
		for range 10 {
			longer.clock.Advance(hour / 2)
			look := longer.manager.Session(ctx, id)
			_, err := look.User()
			require.NoError(t, err)
			require.NoError(t, look.Save())
			require.Equal(t, []string{publicID}, publicIDs(t, longer.manager, "ada"))
		}
	})
}

// TestListHealsItself: sessions that the storage lost, or that ended by
// themselves, are no longer shown and are forgotten in the end.
func TestListHealsItself(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		lost, _ := logIn(t, a.manager, "ada")
		_, kept := logIn(t, a.manager, "ada")
		full := len(listOf(t, a, "ada"))
		require.NoError(t, s.Delete(ctx, []byte(storageKeyOf(lost)), clockStart))
		require.Equal(t, []string{kept}, publicIDs(t, a.manager, "ada"))
		require.Len(t, listOf(t, a, "ada"), full, "it may be about to be stored")
		a.clock.Advance(hour + ms)
		require.Equal(t, []string{kept}, publicIDs(t, a.manager, "ada"))
		require.Less(t, len(listOf(t, a, "ada")), full)
		a.clock.Advance(7 * day)
		require.Empty(t, publicIDs(t, a.manager, "ada"))
		require.NotNil(t, listOf(t, a, "ada"), "the clock may be wrong, and the storage has the session")
		sweep(t, s, a)
		require.Empty(t, publicIDs(t, a.manager, "ada"))
		require.Nil(t, listOf(t, a, "ada"))

		t.Run("one that cannot be read", func(t *testing.T) {
			id, _ := logIn(t, a.manager, "eve")
			require.NoError(t, s.Set(ctx, store.Write{Key: []byte(storageKeyOf(id)), Value: []byte("corrupt!!"), Now: store.At(a.clock.Now())}))
			require.Empty(t, publicIDs(t, a.manager, "eve"))
		})
		t.Run("a fault while healing hides nothing", func(t *testing.T) {
			a.clock.Set(sessiontest.Start)
			gone, _ := logIn(t, a.manager, "bob")
			_, stays := logIn(t, a.manager, "bob")
			require.NoError(t, s.Delete(ctx, []byte(storageKeyOf(gone)), clockStart))
			a.clock.Advance(hour + ms)
			a.store.fail(on("set", store.ErrUnavailable), nil)
			require.Equal(t, []string{stays}, publicIDs(t, a.manager, "bob"))
			a.store.fail(on("get", store.ErrUnavailable), nil)
			_, err := a.manager.UserSessions(ctx, "bob")
			require.ErrorIs(t, err, store.ErrUnavailable)
			a.store.fail(nil, nil)
		})
	})
}

// sweep does what a server makes its storage do now and then.
func sweep(t *testing.T, s store.Store, a *app) {
	t.Helper()
	for range 100 {
		n, err := store.Sweep(ctx, s, 1000, store.At(a.clock.Now()))
		require.NoError(t, err)
		if n == 0 {
			return
		}
	}
}

// TestListStaysSmall: the list of a user who keeps logging in and never logs
// out.
func TestListStaysSmall(t *testing.T) {
	s := store.NewMemory()
	a := newApp(t, s, func(s *session.Settings) { s.Lifetime = hour })
	largest := 0
	for range 100 {
		sweep(t, s, a)
		logIn(t, a.manager, "ada")
		largest = max(largest, len(listOf(t, a, "ada")))
		a.clock.Advance(10 * time.Minute)
	}
	require.Less(t, largest, 13*100, "no more than two hours' worth")
	require.Len(t, publicIDs(t, a.manager, "ada"), 5)
}

// TestListIsNotBoundByMaxSize, which is for a session.
func TestListIsNotBoundByMaxSize(t *testing.T) {
	m := newApp(t, store.NewMemory(), func(s *session.Settings) { s.MaxSize = 512 }).manager
	for range 30 {
		logIn(t, m, "ada")
	}
	require.Len(t, publicIDs(t, m, "ada"), 30)
}

// TestListThatIsCorrupt: an event does not say whose list it is, and log-ins go
// on.
func TestListThatIsCorrupt(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		require.NoError(t, s.Set(ctx, store.Write{Key: listKeyOf("ada"), Value: []byte("corrupt!!"), Now: clockStart}))
		require.Empty(t, publicIDs(t, a.manager, "ada"))
		events := a.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		require.Empty(t, events[0].Session, "a hash of the name would tell who it is")
		require.NotContains(t, events[0].Err.Error(), "ada")
		_, publicID := logIn(t, a.manager, "ada")
		require.Equal(t, []string{publicID}, publicIDs(t, a.manager, "ada"))
	})
}

// TestSecretsRotateWithoutLosingLists: if the old secret is kept for twice the
// lifetime, as NewKeyring asks, every live session stays listed.
func TestSecretsRotateWithoutLosingLists(t *testing.T) {
	s := store.NewMemory()
	before := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretOld) })
	id, _ := logIn(t, before.manager, "ada")
	for day1 := range 30 {
		at := time.Duration(day1) * day
		ring := keyring(t, secretNew, secretOld)
		if at > day+14*day {
			ring = keyring(t, secretNew)
		} else if at < day {
			ring = keyring(t, secretOld)
		}
		a := newApp(t, s, func(s *session.Settings) { s.Keyring = ring })
		a.clock.Advance(at)
		user, ok := alive(t, a.manager, id)
		require.True(t, ok, "day %d", day1)
		require.Equal(t, "ada", user)
		require.Len(t, publicIDs(t, a.manager, "ada"), 1, "day %d", day1)
		change := a.manager.Session(ctx, id)
		require.NoError(t, change.Set("day", day1))
		require.NoError(t, change.Save())
		require.NotContains(t, a.kinds(), session.EventCorrupt)
	}
}
