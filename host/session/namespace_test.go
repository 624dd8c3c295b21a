package session_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestNamespaces: over one store and with one keyring, an id and a user's list
// mean something only to managers of the namespace that made them, however the
// id arrives.
func TestNamespaces(t *testing.T) {
	const header = "X-Session-Token"
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		for _, c := range []struct {
			name        string
			site, other func(*session.Settings)
			shared      bool
		}{
			{"two cookies", nil, func(s *session.Settings) { s.CookieName = "admin_id" }, false},
			{"one cookie, two namespaces", nil, func(s *session.Settings) { s.Namespace = "admin" }, false},
			{"one namespace begins the other", func(s *session.Settings) { s.Namespace = "a" }, func(s *session.Settings) { s.Namespace = "ab" }, false},
			{"one cookie", nil, nil, true},
			{"two cookies, one namespace", func(s *session.Settings) { s.Namespace = "all" },
				func(s *session.Settings) { s.Namespace, s.CookieName = "all", "admin_id" }, true},
			{"the cookie's name, said and not said", nil, func(s *session.Settings) { s.Namespace = "session_id" }, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				require.NoError(t, store.Clear(ctx, s, clockStart))
				with := func(change func(*session.Settings)) *app {
					if change == nil {
						change = func(*session.Settings) {}
					}
					return newApp(t, s, seal, func(s *session.Settings) { s.TokenHeader = header }, change)
				}
				site, admin := with(c.site), with(c.other)
				id, _ := logIn(t, site.manager, "ada") // it takes any transport
				user := func(s *session.Session) string {
					user, err := s.User()
					require.NoError(t, err)
					return user
				}
				want := map[bool]string{true: "ada"}[c.shared]
				require.Equal(t, want, user(admin.manager.Session(ctx, id)))
				admin.with([]string{"session_id=" + id + "; admin_id=" + id}, func(s *session.Session) { require.Equal(t, want, user(s)) })
				admin.token(id, func(s *session.Session) { require.Equal(t, want, user(s)) })

				require.Equal(t, c.shared, len(publicIDs(t, admin.manager, "ada")) == 1)
				if c.shared {
					return
				}
				require.NoError(t, admin.manager.Session(ctx, id).Destroy())
				n, err := admin.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Zero(t, n)
				admins, _ := logIn(t, admin.manager, "ada")
				_, err = site.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Equal(t, "ada", user(admin.manager.Session(ctx, admins)), "the other's log-out is none here")
				require.Empty(t, user(site.manager.Session(ctx, id)))
			})
		}
	})
}

// TestNamespaceInTheStore: keys match the documentation, whatever the length of
// the namespace.
func TestNamespaceInTheStore(t *testing.T) {
	for _, namespace := range []string{"", "x", "Ünï cödé", strings.Repeat("n", session.MaxNamespace)} {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.Namespace = namespace })
		a.login("ada")
		if namespace == "" {
			namespace = "session_id"
		}
		id := a.login("ada")
		log := a.store.take()
		require.Equal(t, storageKeyIn(namespace, id), string(log[len(log)-1].key))
	}
}
