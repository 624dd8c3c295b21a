package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var ctx = context.Background()

// overSeals runs a test over each store, in the clear and sealed.
func overSeals(t *testing.T, f func(t *testing.T, s store.Store, seal func(*session.Settings))) {
	t.Helper()
	overStores(t, func(t *testing.T, s store.Store) {
		t.Run("in the clear", func(t *testing.T) {
			require.NoError(t, store.Clear(ctx, s, clockStart))
			f(t, s, func(*session.Settings) {})
		})
		t.Run("sealed", func(t *testing.T) {
			require.NoError(t, store.Clear(ctx, s, clockStart))
			f(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
		})
	})
}

// logIn makes a session for a user without a browser.
func logIn(t *testing.T, m *session.Manager, user string) (id, publicID string) {
	t.Helper()
	s := m.Session(ctx, "")
	require.NoError(t, s.LogIn(user, map[string]string{"browser": "of " + user}))
	require.NoError(t, s.Save())
	id, err := s.ID()
	require.NoError(t, err)
	publicID, err = s.PublicID()
	require.NoError(t, err)
	return id, publicID
}

// alive reports whether an id reaches a session, and whose it is.
func alive(t *testing.T, m *session.Manager, id string) (user string, ok bool) {
	t.Helper()
	s := m.Session(ctx, id)
	ok, err := s.Exists()
	require.NoError(t, err)
	user, err = s.User()
	require.NoError(t, err)
	return user, ok
}

func publicIDs(t *testing.T, m *session.Manager, user string) []string {
	t.Helper()
	list, err := m.UserSessions(ctx, user)
	require.NoError(t, err)
	all := []string{}
	for _, u := range list {
		all = append(all, u.PublicID)
	}
	return all
}

// listOf is the record of a user's list, or nil if there is none.
func listOf(t *testing.T, a *app, user string) []byte {
	t.Helper()
	value, err := a.store.Store.Get(ctx, listKeyOf(user), store.At(a.clock.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	require.NoError(t, err)
	return value
}

func TestLogInBindsListsAndRenews(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		b := a.browser()
		b.set("basket", 3)
		before := b.id()
		a.clock.Advance(time.Minute)
		note := map[string]string{"browser": "Firefox", "address": "192.0.2.1"}
		b.do(func(s *session.Session) {
			user, err := s.User()
			require.NoError(t, err)
			require.Empty(t, user)
			publicID, err := s.PublicID()
			require.NoError(t, err)
			require.Empty(t, publicID)
			require.NoError(t, s.LogIn("ada", note))
			note["browser"] = "changed afterwards"
			user, err = s.User()
			require.NoError(t, err)
			require.Equal(t, "ada", user, "before it is saved")
			require.True(t, s.Modified())
		})
		require.NotEqual(t, before, b.id())
		_, ok := alive(t, a.manager, before)
		require.False(t, ok, "the id of before the log-in reaches nothing")
		require.Equal(t, map[string]any{"basket": int64(3)}, b.values(), "values stay, and the library's own are not among them")

		a.clock.Advance(time.Minute)
		b.set("more", true)
		list, err := a.manager.UserSessions(ctx, "ada")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, session.UserSession{
			PublicID: list[0].PublicID, LoggedIn: at(time.Minute), Created: at(0), LastSeen: at(2 * time.Minute), Expires: at(7*day + 2*time.Minute),
			Note: map[string]string{"browser": "Firefox", "address": "192.0.2.1"},
		}, list[0])
		b.do(func(s *session.Session) {
			publicID, err := s.PublicID()
			require.NoError(t, err)
			require.Equal(t, list[0].PublicID, publicID)
			user, err := s.User()
			require.NoError(t, err)
			require.Equal(t, "ada", user)
			require.NoError(t, s.Renew())
		})
		require.Equal(t, []string{list[0].PublicID}, publicIDs(t, a.manager, "ada"), "a public id stays when the id changes")
		_, ok = alive(t, a.manager, list[0].PublicID)
		require.False(t, ok, "a public id is no id")
		require.Empty(t, publicIDs(t, a.manager, "bob"))
		require.Empty(t, publicIDs(t, a.manager, ""))
	})
}

func TestLogInRefuses(t *testing.T) {
	m := newApp(t, store.NewMemory()).manager
	for _, c := range []struct {
		name string
		user string
		note map[string]string
		ok   bool
	}{
		{"no name", "", nil, false},
		{"a NUL", "a\x00b", nil, false},
		{"a name too long", strings.Repeat("x", session.MaxUser+1), nil, false},
		{"the longest name", strings.Repeat("x", session.MaxUser), nil, true},
		{"a NUL in a note's name", "ada", map[string]string{"a\x00": ""}, false},
		{"a NUL in a note", "ada", map[string]string{"a": "\x00"}, false},
		{"a note too long", "ada", map[string]string{"a": strings.Repeat("x", session.MaxNote)}, false},
		{"the longest note", "ada", map[string]string{"a": strings.Repeat("x", session.MaxNote-1)}, true},
		{"an empty note", "ada", map[string]string{"": ""}, true},
		{"any letters", "añ\n=%\xff", map[string]string{"ä\xff": "=\r\n"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := m.Session(ctx, "")
			err := s.LogIn(c.user, c.note)
			if !c.ok {
				wrong, right := session.ErrInvalidNote, session.ErrInvalidUser
				if c.note != nil {
					wrong, right = right, wrong
				}
				require.ErrorIs(t, err, right)
				require.NotErrorIs(t, err, wrong)
				require.False(t, s.Modified())
				if len(c.user) > 3 {
					require.NotContains(t, err.Error(), c.user)
				}
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Save())
			publicID, err := s.PublicID()
			require.NoError(t, err)
			list, err := m.UserSessions(ctx, c.user)
			require.NoError(t, err)
			i := slices.IndexFunc(list, func(u session.UserSession) bool { return u.PublicID == publicID })
			require.Equal(t, c.note, list[i].Note)
		})
	}
	t.Run("after the headers", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Cookie")
			w.WriteHeader(http.StatusOK)
			require.ErrorIs(t, session.From(r).LogIn("ada", nil), session.ErrHeadersSent)
			user, err := session.From(r).User()
			require.NoError(t, err)
			require.Empty(t, user)
		})
	})
}

// TestUnbinding: a session that is no longer a user's is not in their list, and
// ending theirs does not end it.
func TestUnbinding(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(s *session.Session) error
		user  string // afterwards
		alive bool
	}{
		{"clear", func(s *session.Session) error { return s.Clear() }, "", true},
		{"log-in and clear", func(s *session.Session) error { return errors.Join(s.LogIn("bob", nil), s.Clear()) }, "", true},
		{"clear and log-in", func(s *session.Session) error { return errors.Join(s.Clear(), s.LogIn("bob", nil)) }, "bob", true},
		{"log-in of another", func(s *session.Session) error { return s.LogIn("bob", nil) }, "bob", true},
		{"destroy", func(s *session.Session) error { return s.Destroy() }, "", false},
		{"destroy, having looked", func(s *session.Session) error {
			_, err := s.User()
			return errors.Join(err, s.Destroy())
		}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
				a := newApp(t, s, seal)
				b := a.browser()
				b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
				require.Len(t, publicIDs(t, a.manager, "ada"), 1)
				b.do(func(s *session.Session) { require.NoError(t, c.do(s)) })
				require.Empty(t, publicIDs(t, a.manager, "ada"))
				n, err := a.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Zero(t, n)
				user, ok := alive(t, a.manager, b.id())
				require.Equal(t, c.alive, ok)
				require.Equal(t, c.user, user)
				if user != "" {
					require.Len(t, publicIDs(t, a.manager, user), 1)
				}
			})
		})
	}
	t.Run("logging in again leaves one entry", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.browser()
		var size int
		for i := range 5 {
			b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			if i == 1 {
				size = len(listOf(t, a, "ada"))
			}
			require.Len(t, publicIDs(t, a.manager, "ada"), 1)
		}
		require.Len(t, listOf(t, a, "ada"), size)
	})
}

func TestEnd(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		var ids, names []string
		for range 3 {
			id, publicID := logIn(t, a.manager, "ada")
			ids, names = append(ids, id), append(names, publicID)
			a.clock.Advance(time.Second)
		}
		bob, bobs := logIn(t, a.manager, "bob")
		require.Equal(t, names, publicIDs(t, a.manager, "ada"), "oldest first")
		a.kinds()

		ended, err := a.manager.Revoke(ctx, "ada", bobs)
		require.NoError(t, err)
		require.False(t, ended, "another user's session is not to be had")
		ended, err = a.manager.Revoke(ctx, "ada", "nonsense")
		require.NoError(t, err)
		require.False(t, ended)
		require.Empty(t, a.kinds())

		ended, err = a.manager.Revoke(ctx, "ada", names[1])
		require.NoError(t, err)
		require.True(t, ended)
		require.Equal(t, []session.EventKind{session.EventDestroyed}, a.kinds())
		_, ok := alive(t, a.manager, ids[1])
		require.False(t, ok)
		require.Equal(t, []string{names[0], names[2]}, publicIDs(t, a.manager, "ada"))
		ended, err = a.manager.Revoke(ctx, "ada", names[1])
		require.NoError(t, err)
		require.False(t, ended, "again")

		n, err := a.manager.RevokeAll(ctx, "ada", names[2])
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, ok = alive(t, a.manager, ids[0])
		require.False(t, ok)
		_, ok = alive(t, a.manager, ids[2])
		require.True(t, ok, "all but this one")
		n, err = a.manager.RevokeAll(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, publicIDs(t, a.manager, "ada"))
		require.Nil(t, listOf(t, a, "ada"), "a list of nothing is no record")
		user, ok := alive(t, a.manager, bob)
		require.True(t, ok)
		require.Equal(t, "bob", user)
		n, err = a.manager.RevokeAll(ctx, "nobody")
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// TestChangeOfPassword shows the use that RevokeAll documents: everything from
// before is ended, and the current session goes on.
func TestChangeOfPassword(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		thief, _ := logIn(t, a.manager, "ada")
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		stolen := b.id()
		got := b.do(func(s *session.Session) {
			require.NoError(t, errors.Join(s.LogIn("ada", nil), s.Save()))
			publicID, err := s.PublicID()
			require.NoError(t, err)
			n, err := a.manager.RevokeAll(ctx, "ada", publicID)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.NoError(t, s.Set("told", true))
		})
		require.Equal(t, http.StatusOK, got.StatusCode)
		for _, id := range []string{thief, stolen} {
			_, ok := alive(t, a.manager, id)
			require.False(t, ok)
		}
		require.Equal(t, map[string]any{"told": true}, b.values())
		require.Len(t, publicIDs(t, a.manager, "ada"), 1)
	})
}

// TestEndedUnderARequest: later changes of a request whose session was ended
// are dropped, and the browser does not get the session back.
func TestEndedUnderARequest(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(t *testing.T, s *session.Session)
		status int
	}{
		{"looks", func(t *testing.T, s *session.Session) { _, _ = s.Has("n") }, 200},
		{"sets", func(t *testing.T, s *session.Session) { require.NoError(t, s.Set("n", 1)) }, 200},
		{"saves", func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("n", 1))
			require.ErrorIs(t, s.Save(), session.ErrGone)
		}, 200},
		{"updates", func(t *testing.T, s *session.Session) {
			_, err := session.NewKey[int]("n").Update(s, plusOne)
			require.ErrorIs(t, err, session.ErrGone)
		}, 200},
		{"pops", func(t *testing.T, s *session.Session) {
			ok, err := s.Pop("user", new(string))
			require.ErrorIs(t, err, session.ErrGone)
			require.False(t, ok)
		}, 200},
		{"renews", func(t *testing.T, s *session.Session) { require.NoError(t, s.Renew()) }, 409},
		{"logs in again", func(t *testing.T, s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) }, 409},
		{"destroys", func(t *testing.T, s *session.Session) { require.NoError(t, s.Destroy()) }, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, func(s *session.Settings) { s.IdleTimeout, s.RenewEvery = hour, time.Minute })
				b := a.browser()
				b.do(func(s *session.Session) {
					require.NoError(t, s.LogIn("ada", nil))
					require.NoError(t, s.Set("user", "ada"))
				})
				id := b.id()
				a.clock.Advance(hour / 2) // an access is due to be noted, and a timed renewal is due
				got := b.do(func(s *session.Session) {
					_, err := s.User()
					require.NoError(t, err)
					n, err := a.manager.RevokeAll(ctx, "ada")
					require.NoError(t, err)
					require.Equal(t, 1, n)
					c.do(t, s)
				})
				require.Equal(t, c.status, got.StatusCode)
				if cookie := got.cookie(); cookie != nil {
					require.Negative(t, cookie.MaxAge)
				}
				_, ok := alive(t, a.manager, id)
				require.False(t, ok)
				require.Empty(t, publicIDs(t, a.manager, "ada"))
			})
		})
	}
}

// TestSeen: LastSeenResolution records accesses to its accuracy and at its
// price.
func TestSeen(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.LastSeenResolution = time.Minute })
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		seen := func() time.Duration {
			list, err := a.manager.UserSessions(ctx, "ada")
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.Equal(t, at(7*day), list[0].Expires, "a look does not extend the session")
			return list[0].LastSeen.Sub(at(0))
		}
		for _, step := range []struct{ at, seen time.Duration }{
			{time.Minute - ms, 0}, {time.Minute, time.Minute}, {2*time.Minute - ms, time.Minute}, {time.Hour, time.Hour},
		} {
			a.clock.Set(at(step.at))
			require.Nil(t, b.do(func(s *session.Session) { _, _ = s.User() }).cookie())
			require.Equal(t, step.seen, seen())
		}
		b.do(func(s *session.Session) {
			seen, err := s.LastSeen()
			require.NoError(t, err)
			require.Equal(t, at(time.Hour), seen)
		})
	})
}

func ExampleSession_LogIn() {
	m, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	// In a handler the session is session.From(r); these are two browsers.
	phone, desktop := m.Session(ctx, ""), m.Session(ctx, "")
	fmt.Println(errors.Join(
		phone.LogIn("ada", map[string]string{"browser": "phone"}), phone.Save(),
		desktop.LogIn("ada", map[string]string{"browser": "desktop"}), desktop.Save()))

	list, err := m.UserSessions(ctx, "ada")
	fmt.Println(len(list), err)

	// The phone is lost.
	i := slices.IndexFunc(list, func(u session.UserSession) bool { return u.Note["browser"] == "phone" })
	fmt.Println(m.Revoke(ctx, "ada", list[i].PublicID))
	list, err = m.UserSessions(ctx, "ada")
	fmt.Println(len(list), list[0].Note["browser"], err)
	// Output:
	// <nil>
	// 2 <nil>
	// true <nil>
	// 1 desktop <nil>
}
