package session_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestDestroy(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		id := b.id()
		got := b.do(func(s *session.Session) {
			require.NoError(t, s.Set("late", 1))
			require.NoError(t, s.Destroy())
			_, err := s.Get("user", new(string))
			require.NoError(t, err)
			require.False(t, s.Modified())
		})
		require.Empty(t, a.peek(id))
		require.Empty(t, b.id())
		require.Equal(t, "session_id=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax", got.Header.Get("Set-Cookie"))
		require.Equal(t, "private, no-store", got.Header.Get("Cache-Control"))
	})
}

func TestDestroyThenSetIsANewSession(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		old := b.id()
		got := b.do(func(s *session.Session) {
			require.NoError(t, s.Destroy())
			require.NoError(t, s.Set("flash", "bye"))
		})
		require.Len(t, got.Cookies(), 1)
		require.NotEqual(t, old, b.id())
		require.Equal(t, map[string]any{"flash": "bye"}, b.values())
		require.Empty(t, a.peek(old))
	})
}

func TestDestroyTakesBackACookie(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		var id string
		got := b.do(func(s *session.Session) {
			require.NoError(t, s.Set("user", "ada"))
			require.NoError(t, s.Save())
			id, _ = s.ID()
			require.NoError(t, s.Destroy())
		})
		require.Len(t, got.Cookies(), 1)
		require.Negative(t, got.cookie().MaxAge)
		require.Empty(t, a.peek(id))
	})
}

// TestDestroyEndsEveryCandidate: of several cookies with the name, none is left
// that would become the session when the first one is gone.
func TestDestroyEndsEveryCandidate(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		first, second := a.login("ada"), a.login("ada too")
		for _, looked := range []bool{false, true} {
			a.with([]string{"session_id=" + first + "; session_id=" + second}, func(s *session.Session) {
				if looked {
					_, _ = s.Has("user")
				}
				require.NoError(t, s.Destroy())
			})
			require.Empty(t, a.peek(first))
			require.Empty(t, a.peek(second))
			first, second = a.login("ada"), a.login("ada too")
		}
	})
}

// TestDestroyIsFinal: whatever an earlier request does after the log-out, the
// session stays ended.
func TestDestroyIsFinal(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(t *testing.T, s *session.Session)
		status int
		event  bool
	}{
		{"looks", func(t *testing.T, s *session.Session) {
			ok, err := s.Has("user")
			require.NoError(t, err)
			require.True(t, ok, "it sees what it loaded")
		}, 200, false},
		{"sets", func(t *testing.T, s *session.Session) { require.NoError(t, s.Set("n", 1)) }, 200, true},
		{"clears", func(t *testing.T, s *session.Session) { require.NoError(t, s.Clear()) }, 200, true},
		{"sets an expiry", func(t *testing.T, s *session.Session) { require.NoError(t, s.SetExpiry(day)) }, 200, true},
		{"is set modified", func(_ *testing.T, s *session.Session) { s.SetModified() }, 200, true},
		{"saves", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("n", 1))
			require.ErrorIs(t, s.Save(), session.ErrGone)
			require.False(t, s.Modified())
			require.NoError(t, s.Save())
		}, 200, true},
		{"updates", func(t *testing.T, s *session.Session) {
			_, err := session.NewKey[int]("n").Update(s, func(n int) (int, error) { return n + 1, nil })
			require.ErrorIs(t, err, session.ErrGone)
		}, 200, true},
		{"renews", func(t *testing.T, s *session.Session) { require.NoError(t, s.Renew()) }, 409, true},
		{"destroys", func(t *testing.T, s *session.Session) { require.NoError(t, s.Destroy()) }, 200, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, func(s *session.Settings) { s.IdleTimeout = hour })
				b := a.browser()
				b.set("user", "ada")
				id := b.id()
				a.clock.Advance(hour / 2)
				slow := a.with([]string{"session_id=" + id}, func(s *session.Session) {
					_, err := s.Has("user")
					require.NoError(t, err)
					b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
					a.kinds()
					c.do(t, s)
				})
				require.Equal(t, c.status, slow.StatusCode)
				require.Nil(t, slow.cookie(), "the browser may have another one by now")
				require.Empty(t, a.peek(id))
				requireTombstone(t, a, id)
				if c.event {
					require.Contains(t, a.kinds(), session.EventGone)
				}
			})
		})
	}
}

// requireTombstone requires a session's tombstone under the id, in an unsealed
// store.
func requireTombstone(t *testing.T, a *app, id string) {
	t.Helper()
	b, err := a.store.Store.Get(ctx, []byte(storageKeyOf(id)), store.At(a.clock.Now()))
	require.NoError(t, err)
	require.EqualValues(t, session.RecordEnded, b[10]>>5&3)
}

// TestDestroyDoesNotNeedTheClient: a log-out counts even if the browser did not
// wait for the answer.
func TestDestroyDoesNotNeedTheClient(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id := a.login("ada")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.NoError(t, a.manager.Session(ctx, id).Destroy())
		require.Empty(t, a.peek(id))
	})
}

// TestDestroyThatFails: it returns the error and leaves the session as it was.
func TestDestroyThatFails(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		a.store.fail(on("set", store.ErrUnavailable), nil)
		got := b.serve(func(w http.ResponseWriter, r *http.Request) {
			if err := session.From(r).Destroy(); err != nil {
				require.ErrorIs(t, err, store.ErrUnavailable)
				a.manager.WriteError(w, r, err)
			}
		})
		a.store.fail(nil, nil)
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.Nil(t, got.cookie())
		require.Equal(t, map[string]any{"user": "ada"}, b.values())
	})
}

func TestLogoutOfNobodyWritesNothing(t *testing.T) {
	for name, cookies := range map[string][]string{
		"no cookie": nil,
		"junk":      {"session_id=../../etc"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			got := a.with(cookies, func(s *session.Session) { require.NoError(t, s.Destroy()) })
			require.Empty(t, a.store.take())
			require.Nil(t, got.cookie())
		})
	}
}
