package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestAnAuditFollowsAUser: labels alone let an audit follow a user from the
// anonymous session through log-in, timed renewal and log-out.
func TestAnAuditFollowsAUser(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		for _, sealed := range []bool{false, true} {
			a := newApp(t, s, renewing, func(s *session.Settings) {
				if sealed {
					s.Keyring = keyring(t, secretNew)
				}
			})
			user := a.manager.UserLabels("ada")[0]
			b := a.browser()
			b.set("n", 1)
			events := a.takeEvents()
			require.Len(t, events, 1)
			require.Empty(t, events[0].User, "nobody yet")
			anonymous := events[0].Session

			b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			events = a.takeEvents()
			require.Len(t, events, 1)
			require.Equal(t, session.Event{Kind: session.EventRenewed, Session: events[0].Session, Previous: anonymous, User: user}, events[0])
			bound := events[0].Session

			a.clock.Advance(every)
			b.do(look)
			events = a.takeEvents()
			require.Len(t, events, 1)
			require.Equal(t, session.Event{Kind: session.EventRenewed, Session: events[0].Session, Previous: bound, User: user}, events[0])
			renewed := events[0].Session

			b.do(func(s *session.Session) {
				look(s)
				require.NoError(t, s.Destroy())
			})
			require.Equal(t, []session.Event{{Kind: session.EventDestroyed, Session: renewed, User: user}}, a.takeEvents())

			// A log-in without an earlier session, and ends from outside.
			b = a.browser()
			b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			events = a.takeEvents()
			require.Equal(t, []session.Event{{Kind: session.EventCreated, Session: events[0].Session, User: user}}, events)
			n, err := a.manager.RevokeAll(ctx, "ada")
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.Equal(t, []session.Event{{Kind: session.EventDestroyed, Session: events[0].Session, User: user}}, a.takeEvents())
		}
	})
}

// TestALogOutThatLooksAtNothing: its event still names the user's label.
func TestALogOutThatLooksAtNothing(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.browser()
	b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
	a.takeEvents()
	b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
	events := a.takeEvents()
	require.Len(t, events, 1)
	require.Equal(t, a.manager.UserLabels("ada")[0], events[0].User)
}

// TestUserLabels: labels tell users apart and, with a keyring, tell a guesser
// nothing.
func TestUserLabels(t *testing.T) {
	labels := func(secrets ...string) func(user string) []string {
		return newApp(t, store.NewMemory(), func(s *session.Settings) {
			if len(secrets) > 0 {
				s.Keyring = keyring(t, secrets...)
			}
		}).manager.UserLabels
	}
	open, sealed, other := labels(), labels(secretNew), labels(secretOld)
	for _, f := range []func(string) []string{open, sealed, other} {
		require.Regexp(t, `^[0-9a-f]{12}$`, f("ada")[0])
		require.Equal(t, f("ada"), f("ada"))
		require.NotEqual(t, f("ada"), f("eve"))
	}
	require.NotEqual(t, open("ada"), sealed("ada"))
	require.NotEqual(t, other("ada"), sealed("ada"))
	require.Equal(t, append(sealed("ada"), other("ada")...), labels(secretNew, secretOld)("ada"), "through a change of the secret")
}
