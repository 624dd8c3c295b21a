package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// A visitor who comes with a session of ours and with an old cookie logs out of both: the
// next request would otherwise go on with the old session.
func TestDestroyEndsTheOldSessionToo(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		cases := map[string]func(a *app, f *former){
			"well":                 func(*app, *former) {},
			"it cannot be removed": func(_ *app, f *former) { f.failing = errFault },
			"it cannot be read":    func(_ *app, f *former) { f.readErr = errFault },
			"there is no room for it": func(a *app, _ *former) {
				a.store.fail(func(o operation) error {
					if o.name == "set" && o.expires > int64(clockStart) {
						return store.ErrNoSpace
					}
					return nil
				}, nil)
			},
		}
		for name, change := range cases {
			t.Run(name, func(t *testing.T) {
				a := newApp(t, s)
				require.NoError(t, store.Clear(context.Background(), s, clockStart))
				f := newFormer(a)
				b := a.browser()
				b.set("user", "eve")
				b.plant("old", "old-ada")
				require.Equal(t, "eve", f.user(b))
				change(a, f)
				f.visit(b, func(s *session.Session) { require.NoError(t, s.Destroy()) })
				a.store.fail(nil, nil)
				f.readErr, f.failing = nil, nil
				require.Empty(t, b.id())
				require.Empty(t, b.cookie("old"))
				b.plant("old", "old-ada")
				for _, wait := range []time.Duration{0, time.Minute, 2 * time.Hour} {
					a.clock.Set(at(wait))
					require.Empty(t, f.user(b), wait)
				}
			})
		}

		// Not everything that a client sends is remembered.
		a := newApp(t, s)
		f := newFormer(a)
		b := a.browser()
		b.set("user", "eve")
		b.plant("old", "old-nobody")
		f.visit(b, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		f.sessions["old-nobody"] = map[string]string{"user": "dan"}
		require.Equal(t, "dan", f.user(b))
	})
}

// Whoever is logged out everywhere stays so, even if a crash came between storing the
// session and using up its token.
func TestTakeOverThatCrashedIsRevoked(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		fill   func(fresh *session.Session) error
		revoke func(m *session.Manager) (n int, err error)
	}{
		"of a user": {
			func(fresh *session.Session) error { return fresh.LogIn("ada", nil) },
			func(m *session.Manager) (int, error) { return m.RevokeAll(ctx, "ada") },
		},
		"of nobody": {nil, func(m *session.Manager) (n int, err error) {
			var handles []string
			for info, err := range m.AllSessions(ctx) {
				if err != nil {
					return n, err
				}
				handles = append(handles, info.Handle)
			}
			for _, handle := range handles {
				ended, err := m.RevokeHandle(ctx, handle)
				if err != nil {
					return n, err
				}
				if ended {
					n++
				}
			}
			return n, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				revoked := 0
				for sets := range 5 {
					a := newApp(t, s)
					require.NoError(t, store.Clear(ctx, s, clockStart))
					f := newFormer(a)
					f.fill = c.fill
					calls := 0
					a.store.fail(func(o operation) error {
						if o.name == "set" {
							if calls++; calls > sets {
								return store.ErrUnavailable
							}
						}
						return nil
					}, nil)
					crashed := a.browser()
					crashed.plant("old", "old-ada")
					f.user2(crashed)
					a.store.fail(nil, nil)
					n, err := c.revoke(a.manager)
					require.NoError(t, err)
					f.sessions["old-ada"] = map[string]string{"user": "ada"} // also if it was removed
					for _, wait := range []time.Duration{0, time.Minute, 2 * time.Hour} {
						a.clock.Set(at(wait))
						b := a.browser()
						b.plant("old", "old-ada")
						if user := f.user(b); n > 0 {
							require.Empty(t, user, "after %d writes, %v later", sets, wait)
						}
					}
					revoked += n
				}
				require.GreaterOrEqual(t, revoked, 2)
			})
		})
	}
}

// A session that is emptied and saved before the response begins still gets an id of its own.
func TestTakeOverAndClear(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		f := newFormer(a)
		b := a.browser()
		b.plant("old", "old-ada")
		var first string
		f.visit(b, func(s *session.Session) {
			require.NoError(t, s.Clear())
			require.NoError(t, s.Set("cart", "figs"))
			require.NoError(t, s.Save())
			id, err := s.ID()
			require.NoError(t, err)
			first = id
		})
		require.NotEqual(t, first, b.id())
		require.Equal(t, map[string]any{"cart": "figs"}, b.values())
		a.clock.Advance(time.Minute)
		thief := a.browser()
		thief.plant("old", "old-ada")
		f.visit(thief, func(s *session.Session) { require.Empty(t, valuesOf(t, s)) })
		require.Equal(t, map[string]any{"cart": "figs"}, b.values())
	})
}
