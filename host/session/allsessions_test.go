package session_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// allSessions returns what AllSessions lists, ordered by user.
func allSessions(t *testing.T, m *session.Manager) []session.SessionInfo {
	t.Helper()
	list := []session.SessionInfo{}
	for info, err := range m.AllSessions(ctx) {
		require.NoError(t, err)
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b session.SessionInfo) int {
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.Handle, b.Handle))
	})
	return list
}

// ofUser returns the only session of a user, "" for one that is bound to nobody.
func ofUser(t *testing.T, m *session.Manager, user string) session.SessionInfo {
	t.Helper()
	list := slices.DeleteFunc(allSessions(t, m), func(i session.SessionInfo) bool { return i.User != user })
	require.Len(t, list, 1)
	return list[0]
}

func TestAllSessions(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		require.Empty(t, allSessions(t, a.manager))
		anonymous := a.browser()
		anonymous.set("basket", strings.Repeat("x", 1000))
		a.clock.Advance(time.Minute)
		ada, publicID := logIn(t, a.manager, "ada")
		// None of these is a session: what others left in the store, what is left of a
		// session, and one that is over.
		over := a.browser()
		over.do(func(s *session.Session) { require.NoError(t, s.SetExpiry(time.Minute)) })
		ended, _ := logIn(t, a.manager, "bob")
		require.NoError(t, a.manager.Session(ctx, ended).Destroy())
		foreign := store.Write{Key: []byte("foreign"), Value: []byte("not ours"), Now: clockStart}
		require.NoError(t, s.Set(ctx, foreign))
		a.clock.Advance(time.Minute)

		list := allSessions(t, a.manager)
		require.Len(t, list, 2)
		require.NotEmpty(t, list[0].Handle)
		require.Greater(t, list[0].Size, 1000)
		require.Less(t, list[0].Size, 1200)
		require.Equal(t, session.SessionInfo{
			Handle: list[0].Handle, Created: at(0), LastSeen: at(0), Expires: at(7 * day), Size: list[0].Size,
		}, list[0])
		require.Equal(t, session.SessionInfo{
			Handle: list[1].Handle, User: "ada", PublicID: publicID, Created: at(time.Minute), LastSeen: at(time.Minute),
			Expires: at(7*day + time.Minute), Size: list[1].Size,
		}, list[1])

		// The handle is not an id, and leads to none.
		for _, info := range list {
			_, ok := alive(t, a.manager, info.Handle)
			require.False(t, ok)
			require.NotContains(t, []string{ada, anonymous.id()}, info.Handle)
		}
		for range a.manager.AllSessions(ctx) {
			break // a caller that has seen enough
		}
	})
}

// TestAllSessionsOfALargeStore: each session appears, whatever the pieces in which
// the storage enumerates, although each is read while it does.
func TestAllSessionsOfALargeStore(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		want := make(map[string]bool)
		for i := range 3000 {
			s := a.manager.Session(ctx, "")
			require.NoError(t, s.Set("n", i))
			require.NoError(t, s.Save())
			id, err := s.ID()
			require.NoError(t, err)
			want[id] = true
		}
		handles := make(map[string]bool)
		for _, info := range allSessions(t, a.manager) {
			handles[info.Handle] = true
		}
		require.Len(t, handles, len(want))
		for h := range handles {
			ended, err := a.manager.RevokeHandle(ctx, h)
			require.NoError(t, err)
			require.True(t, ended)
		}
		require.Empty(t, allSessions(t, a.manager))
		for id := range want {
			_, ok := alive(t, a.manager, id)
			require.False(t, ok)
		}
	})
}

func TestRevokeHandle(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		revoke := func(t *testing.T, a *app, handle string) bool {
			t.Helper()
			ended, err := a.manager.RevokeHandle(ctx, handle)
			require.NoError(t, err)
			return ended
		}
		begin := func(t *testing.T) (a *app, b *browser) {
			t.Helper()
			require.NoError(t, store.Clear(ctx, s, clockStart))
			a = newApp(t, s, seal)
			b = a.browser()
			b.set("n", 1)
			return a, b
		}
		t.Run("of nobody", func(t *testing.T) {
			a, b := begin(t)
			logIn(t, a.manager, "ada")
			a.kinds()
			handle := ofUser(t, a.manager, "").Handle
			require.True(t, revoke(t, a, handle))
			require.Equal(t, []session.EventKind{session.EventDestroyed}, a.kinds())
			require.False(t, revoke(t, a, handle), "it has ended")
			require.Empty(t, b.values())
			require.Equal(t, "ada", allSessions(t, a.manager)[0].User, "the others stay")
		})
		t.Run("of a user", func(t *testing.T) {
			a, _ := begin(t)
			one, publicID := logIn(t, a.manager, "ada")
			handle := ofUser(t, a.manager, "ada").Handle
			two, other := logIn(t, a.manager, "ada")
			require.True(t, revoke(t, a, handle))
			_, ok := alive(t, a.manager, one)
			require.False(t, ok)
			_, ok = alive(t, a.manager, two)
			require.True(t, ok)
			require.Equal(t, []string{other}, publicIDs(t, a.manager, "ada"), "%s is off the list", publicID)
		})
		t.Run("that has got a new id since", func(t *testing.T) {
			a, b := begin(t)
			handle := ofUser(t, a.manager, "").Handle
			b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
			require.True(t, revoke(t, a, handle))
			require.Empty(t, b.values())
			require.Empty(t, publicIDs(t, a.manager, "ada"))
		})
		t.Run("that was never", func(t *testing.T) {
			a, b := begin(t)
			logIn(t, a.manager, "ada")
			for _, h := range []string{"", "x", b.id(), strings.Repeat("A", 43), strings.Repeat("A", 44), handleOf(listKeyOf("ada"))} {
				require.False(t, revoke(t, a, h), h)
			}
			require.Len(t, publicIDs(t, a.manager, "ada"), 1)
		})
		t.Run("whose id was renewed by age", func(t *testing.T) {
			a := newApp(t, s, seal, func(s *session.Settings) { s.RenewEvery = time.Minute })
			b := a.browser()
			b.set("n", 1)
			list := allSessions(t, a.manager)
			a.clock.Advance(2 * time.Minute)
			b.values() // renews
			moved := 0
			for _, info := range list {
				if _, err := a.manager.RevokeHandle(ctx, info.Handle); errors.Is(err, session.ErrRenewed) {
					moved++
				} else {
					require.NoError(t, err)
				}
			}
			require.Equal(t, 1, moved)
			require.True(t, revoke(t, a, ofUser(t, a.manager, "").Handle))
			require.Empty(t, b.values())
		})
		t.Run("that is over by a clock that is ahead", func(t *testing.T) {
			a, b := begin(t)
			handle := ofUser(t, a.manager, "").Handle
			a.clock.Advance(8 * day)
			require.False(t, revoke(t, a, handle))
			a.clock.Advance(-8 * day)
			require.Empty(t, b.values())
		})
	})
}

// TestRevokeHandleMeetsAChange: a session that is changed or renewed between the
// read and the write of RevokeHandle is ended all the same, and a request that
// is still running does not bring it back.
func TestRevokeHandleMeetsAChange(t *testing.T) {
	for name, change := range map[string]func(b *browser){
		"changed": func(b *browser) { b.set("n", 2) },
		"renewed": func(b *browser) { b.do(func(s *session.Session) { require.NoError(b.a.t, s.Renew()) }) },
		"bound":   func(b *browser) { b.do(func(s *session.Session) { require.NoError(b.a.t, s.LogIn("ada", nil)) }) },
		"ended":   func(b *browser) { b.do(func(s *session.Session) { require.NoError(b.a.t, s.Destroy()) }) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			b := a.browser()
			b.set("n", 1)
			handle := ofUser(t, a.manager, "").Handle
			once := false
			a.store.fail(func(o operation) error {
				if o.name == "set" && !once {
					once = true
					change(b)
				}
				return nil
			}, nil)
			ended, err := a.manager.RevokeHandle(ctx, handle)
			require.NoError(t, err)
			require.Equal(t, name != "ended", ended)
			require.True(t, once)
			a.store.fail(nil, nil)
			require.Empty(t, b.values())
			require.Empty(t, allSessions(t, a.manager))
		})
	}
	t.Run("a request that is running", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.browser()
		b.set("n", 1)
		handle := ofUser(t, a.manager, "").Handle
		b.do(func(s *session.Session) {
			require.NoError(t, s.Set("n", 2))
			_, err := a.manager.RevokeHandle(ctx, handle)
			require.NoError(t, err)
			require.ErrorIs(t, s.Save(), session.ErrGone)
		})
		require.Empty(t, b.values())
	})
}

// TestAllSessionsFollowsTheList: a session that is bound to a user counts only
// while the list of the user's sessions has it, for operators, too.
func TestAllSessionsFollowsTheList(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		logIn(t, a.manager, "ada")
		other := newApp(t, s, func(s *session.Settings) { s.Namespace = "other" })
		require.Len(t, allSessions(t, a.manager), 1)
		require.Empty(t, allSessions(t, other.manager), "it belongs to another namespace")
		require.NoError(t, s.Delete(ctx, listKeyOf("ada"), clockStart))
		require.Empty(t, allSessions(t, a.manager))
	})
}

// TestAllSessionsWithoutTheSecret: what cannot be read is no session, and one
// event says how much there was.
func TestAllSessionsWithoutTheSecret(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		sealed := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretOld) })
		for range 3 {
			sealed.login("ada")
		}
		other := newApp(t, s, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
		other.login("bob")
		other.takeEvents()
		require.Len(t, allSessions(t, other.manager), 1)
		events := other.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		require.ErrorContains(t, events[0].Err, "3 records could not be read")
		require.Len(t, allSessions(t, sealed.manager), 3)
	})
}

// mute is a store that cannot enumerate.
type mute struct{ inner store.Store }

func (m mute) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return m.inner.Get(ctx, key, now)
}
func (m mute) Set(ctx context.Context, w store.Write) error { return m.inner.Set(ctx, w) }
func (m mute) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return m.inner.Delete(ctx, key, now)
}

// listedTable is a table that can enumerate.
type listedTable struct{ *table }

func (e listedTable) Keys(context.Context, store.Millis) iter.Seq2[[]byte, error] {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := slices.Collect(maps.Keys(e.rows))
	return func(yield func([]byte, error) bool) {
		for _, key := range keys {
			if !yield([]byte(key), nil) {
				return
			}
		}
	}
}

func TestAllSessionsOfWhatCannotEnumerate(t *testing.T) {
	failure := func(m *session.Manager) (n int, failed error) {
		for _, err := range m.AllSessions(ctx) {
			n++
			failed = err
		}
		return n, failed
	}
	m, err := session.New(mute{store.NewMemory()}, session.Defaults())
	require.NoError(t, err)
	logIn(t, m, "ada")
	n, err := failure(m)
	require.Equal(t, 1, n)
	require.ErrorIs(t, err, store.ErrUnsupported)

	e := &table{rows: make(map[string]session.Record)}
	with := func(r session.RecordStore) *session.Manager {
		m, err := session.New(store.NewMemory(), session.Settings{Records: func(store.Store) (session.RecordStore, error) { return r, nil }})
		require.NoError(t, err)
		return m
	}
	logIn(t, with(e), "ada")
	_, err = failure(with(e))
	require.ErrorIs(t, err, store.ErrUnsupported)
	require.ErrorContains(t, err, "RecordLister")
	listed := with(listedTable{e})
	info := ofUser(t, listed, "ada")
	ended, err := listed.RevokeHandle(ctx, info.Handle)
	require.NoError(t, err)
	require.True(t, ended)
	require.Empty(t, allSessions(t, listed))
}

func TestAllSessionsMeetsAFault(t *testing.T) {
	a := newApp(t, store.NewMemory())
	a.login("ada")
	handle := ofUser(t, a.manager, "").Handle
	for _, name := range []string{"get", "set"} {
		a.store.fail(on(name, errFault), nil)
		var failed error
		for _, err := range a.manager.AllSessions(ctx) {
			failed = err
		}
		if name == "get" {
			require.ErrorIs(t, failed, errFault)
		}
		_, err := a.manager.RevokeHandle(ctx, handle)
		require.ErrorIs(t, err, errFault)
	}
	a.store.fail(nil, nil)
	require.Len(t, allSessions(t, a.manager), 1)
}

// handleOf returns the handle that a key in the store has.
func handleOf(key []byte) string {
	return strings.ReplaceAll(base64.RawURLEncoding.EncodeToString(key), "-", ".")
}
