package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// evicting keeps a fixed number of records. For each further one it drops the
// one written first, however often that is read: an engine that forgets in the
// worst way.
type evicting struct {
	store.Store
	room    int
	written []string
}

func (e *evicting) Set(ctx context.Context, w store.Write) error {
	if err := e.Store.Set(ctx, w); err != nil {
		return err
	}
	for _, key := range e.written {
		if key == string(w.Key) {
			return nil
		}
	}
	if e.written = append(e.written, string(w.Key)); len(e.written) > e.room {
		_ = e.Store.Delete(ctx, []byte(e.written[0]), w.Now)
		e.written = e.written[1:]
	}
	return nil
}

// sharded combines several stores, each of which can be lost.
type sharded struct {
	store.Store
	shards []store.Store
}

func newSharded(n int) *sharded {
	s := &sharded{Store: store.NewMemory()}
	for range n {
		s.shards = append(s.shards, store.NewMemory())
	}
	return s
}

func (s *sharded) of(key []byte) int { return int(key[0]) % len(s.shards) }

func (s *sharded) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return s.shards[s.of(key)].Get(ctx, key, now)
}

func (s *sharded) Set(ctx context.Context, w store.Write) error {
	return s.shards[s.of(w.Key)].Set(ctx, w)
}

func (s *sharded) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return s.shards[s.of(key)].Delete(ctx, key, now)
}

// TestEndAllOverAnEngineThatEvicts: the memory engine first drops records that
// were written once and never read. A user's list must not be such a record.
func TestEndAllOverAnEngineThatEvicts(t *testing.T) {
	p, err := memory.Open(ctx, plugin.Config{
		Shards: 1, GuestConfig: map[string]string{"max_entries": "64"}, Logger: slog.New(slog.DiscardHandler),
		SweepInterval: -1, // by the real clock, everything in these tests has expired
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
	m := newApp(t, p).manager
	id, publicID := logIn(t, m, "ada")
	for i := range 500 {
		user, ok := alive(t, m, id)
		require.True(t, ok, "look %d", i)
		require.Equal(t, "ada", user)
		saveNew(t, m, "anonymous")
	}
	require.Equal(t, []string{publicID}, publicIDs(t, m, "ada"))
	n, err := m.RevokeAll(ctx, "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for range 200 {
		saveNew(t, m, "anonymous") // even tombstones may be evicted
	}
	_, ok := alive(t, m, id)
	require.False(t, ok)
}

// TestWhateverIsForgotten: through random log-ins, accesses, changes, renewals
// and endings over a store that evicts in the worst way, every live session is
// listed, and none is alive that an ending was about.
func TestWhateverIsForgotten(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := &evicting{Store: store.NewMemory(), room: 2 + random.IntN(9)}
		m := newApp(t, s).manager
		ids := map[string][]string{}
		users := []string{"ada", "bob"}
		check := func(when string) {
			for _, user := range users {
				var living []string
				for _, id := range ids[user] {
					if whose, ok := alive(t, m, id); ok {
						require.Equal(t, user, whose)
						living = append(living, id)
					}
				}
				require.Len(t, publicIDs(t, m, user), len(living), "seed %d, %s: alive and listed differ", seed, when)
			}
		}
		for step := range 60 {
			user := users[random.IntN(2)]
			when := fmt.Sprint("step ", step)
			if n := len(ids[user]); n > 0 && random.IntN(3) > 0 {
				s := m.Session(ctx, ids[user][random.IntN(n)])
				if whose, err := s.User(); err == nil && whose == user {
					if random.IntN(2) > 0 {
						require.NoError(t, s.Renew())
					}
					require.NoError(t, s.Set("n", step))
					if err := s.Save(); !errors.Is(err, session.ErrGone) {
						require.NoError(t, err)
						id, err := s.ID()
						require.NoError(t, err)
						if !slices.Contains(ids[user], id) {
							ids[user] = append(ids[user], id)
						}
					}
				}
			} else if random.IntN(4) > 0 {
				id, _ := logIn(t, m, user)
				ids[user] = append(ids[user], id)
			} else {
				_, err := m.RevokeAll(ctx, user)
				require.NoError(t, err)
				for _, id := range ids[user] {
					_, ok := alive(t, m, id)
					require.False(t, ok, "seed %d, %s: alive after all were ended", seed, when)
				}
			}
			check(when)
		}
	}
}

// TestListThatIsLost: its sessions end with it, with an event that says why,
// and their records are removed.
func TestListThatIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(t *testing.T, a *app)
		kind session.EventKind
		why  string
		left bool // the records stay: perhaps only this program cannot read the list
	}{
		{"evicted", func(t *testing.T, a *app) {
			require.NoError(t, a.store.Store.Delete(ctx, listKeyOf("ada"), clockStart))
		}, session.EventUnlisted, "does not have the list", false},
		{"evicted, and begun anew", func(t *testing.T, a *app) {
			require.NoError(t, a.store.Store.Delete(ctx, listKeyOf("ada"), clockStart))
			logIn(t, a.manager, "ada")
		}, session.EventUnlisted, "it is not in the list", false},
		{"corrupt", func(t *testing.T, a *app) {
			require.NoError(t, a.store.Store.Set(ctx, store.Write{Key: listKeyOf("ada"), Value: []byte("corrupt!!"), Now: clockStart}))
		}, session.EventCorrupt, "list of a user's sessions", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
				a := newApp(t, s, seal)
				b := a.browser()
				b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
				id := b.id()
				bob, _ := logIn(t, a.manager, "bob")
				c.lose(t, a)
				a.takeEvents()
				got := b.do(func(s *session.Session) {
					user, err := s.User()
					require.NoError(t, err)
					require.Empty(t, user)
					exists, err := s.Exists()
					require.NoError(t, err)
					require.False(t, exists)
				})
				require.Equal(t, http.StatusOK, got.StatusCode)
				events := a.takeEvents()
				require.Len(t, events, 1)
				require.Equal(t, c.kind, events[0].Kind)
				require.Contains(t, events[0].Err.Error(), c.why)
				require.NotContains(t, events[0].Err.Error(), "ada")
				require.NotEmpty(t, events[0].Session)
				_, err := s.Get(ctx, []byte(storageKeyOf(id)), clockStart)
				if c.left {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, store.ErrNotFound)
				}
				_, err = a.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Nil(t, listOf(t, a, "ada"), "a list that cannot be read is not left to be read again")
				_, ok := alive(t, a.manager, id)
				require.False(t, ok)
				_, ok = alive(t, a.manager, bob)
				require.True(t, ok)
			})
		})
	}
}

// TestShardThatIsLost: whichever of a user's sessions and the list were on it,
// the sessions that live on are listed, and ending all ends all.
func TestShardThatIsLost(t *testing.T) {
	for lost := range 4 {
		s := newSharded(4)
		m := newApp(t, s).manager
		var ids []string
		for range 12 {
			id, _ := logIn(t, m, "ada")
			ids = append(ids, id)
		}
		require.NoError(t, store.Clear(ctx, s.shards[lost], clockStart))
		living := 0
		for _, id := range ids {
			if _, ok := alive(t, m, id); ok {
				living++
			}
		}
		if lost == s.of(listKeyOf("ada")) {
			require.Zero(t, living)
		} else {
			require.NotZero(t, living)
		}
		require.Len(t, publicIDs(t, m, "ada"), living)
		n, err := m.RevokeAll(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, living, n)
		for _, id := range ids {
			_, ok := alive(t, m, id)
			require.False(t, ok)
		}
	}
}

// TestListLostUnderARequest: a session that a request loaded does not come back
// after its list was lost, or after it was ended and the list was lost then.
func TestListLostUnderARequest(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *session.Session) error
		gone bool
	}{
		{"a change", func(s *session.Session) error { return s.Set("n", 1) }, false},
		{"a longer life", func(s *session.Session) error { return s.SetExpiry(90 * day) }, true},
		{"renewal", func(s *session.Session) error { return s.Renew() }, true},
	} {
		for _, end := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ended %v", c.name, end), func(t *testing.T) {
				overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
					a := newApp(t, s, seal)
					id, _ := logIn(t, a.manager, "ada")
					open := a.manager.Session(ctx, id)
					user, err := open.User()
					require.NoError(t, err)
					require.Equal(t, "ada", user)
					require.NoError(t, s.Delete(ctx, listKeyOf("ada"), clockStart))
					if end {
						_, err := a.manager.RevokeAll(ctx, "ada")
						require.NoError(t, err)
					}
					require.NoError(t, c.do(open))
					if err := open.Save(); c.gone {
						require.ErrorIs(t, err, session.ErrGone)
					} else {
						require.NoError(t, err)
					}
					now, err := open.ID()
					require.NoError(t, err)
					for _, id := range []string{id, now} {
						_, ok := alive(t, a.manager, id)
						require.False(t, ok)
					}
					require.Empty(t, publicIDs(t, a.manager, "ada"))
				})
			})
		}
	}
}

// TestVouchingThatFails: it is an error of the storage and not a log-out.
func TestVouchingThatFails(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		a.store.fail(func(o operation) error {
			if string(o.key) == string(listKeyOf("ada")) {
				return store.ErrUnavailable
			}
			return nil
		}, nil)
		b.do(func(s *session.Session) {
			_, err := s.User()
			require.ErrorIs(t, err, store.ErrUnavailable)
			a.store.fail(nil, nil)
			user, err := s.User()
			require.NoError(t, err, "it is tried anew")
			require.Equal(t, "ada", user)
		})

		t.Run("while what is left is removed", func(t *testing.T) {
			require.NoError(t, s.Delete(ctx, listKeyOf("ada"), clockStart))
			a.store.fail(on("set", store.ErrUnavailable), nil)
			b.do(func(s *session.Session) {
				_, err := s.User()
				require.ErrorIs(t, err, store.ErrUnavailable)
				a.store.fail(nil, nil)
				user, err := s.User()
				require.NoError(t, err)
				require.Empty(t, user)
			})
		})
	})
}

// TestWhatVouchingCosts: one more read for a session with a user, and nothing
// for others.
func TestWhatVouchingCosts(t *testing.T) {
	a := newApp(t, store.NewMemory())
	look := func(s *session.Session) {
		_, err := s.Has("n")
		require.NoError(t, err)
	}
	b := a.browser()
	b.set("n", 1)
	b.do(func(s *session.Session) {
		_, err := s.CSRFToken()
		require.NoError(t, err)
	})
	a.store.take()
	b.do(look)
	require.Equal(t, []string{"get"}, names(a.store.take()), "nobody's")
	b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
	a.store.take()
	b.do(look)
	require.Equal(t, []string{"get", "get"}, names(a.store.take()), "somebody's")
	b.set("n", 2)
	require.Equal(t, []string{"get", "get", "set"}, names(a.store.take()))
	b.do(func(s *session.Session) { require.NoError(t, s.Clear()) })
	a.store.take()
	b.do(look)
	require.Equal(t, []string{"get"}, names(a.store.take()), "nobody's any more")
}

// TestManyNewIdsAtOnce: many requests that arrive when a new id is due give the
// session one new id, which its list knows, whichever was first.
func TestManyNewIdsAtOnce(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.RenewEvery = time.Minute })
		first := a.browser()
		first.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		for round := range 10 {
			a.clock.Advance(time.Minute)
			browsers := make([]*browser, 24)
			for i := range browsers {
				browsers[i] = a.browser()
				browsers[i].plant("session_id", first.id())
			}
			address := a.route(func(_ http.ResponseWriter, r *http.Request) {
				if user, err := session.From(r).User(); err != nil || user != "ada" {
					t.Error(user, err)
				}
			})
			together(len(browsers), func(i int) { browsers[i].send(http.MethodGet, address) })
			for _, b := range browsers {
				b.serve(func(w http.ResponseWriter, r *http.Request) { // late requests get the new id now
					_, err := session.From(r).User()
					require.NoError(t, err)
				})
				user, ok := alive(t, a.manager, b.id())
				require.True(t, ok, "round %d", round)
				require.Equal(t, "ada", user)
			}
			require.Len(t, publicIDs(t, a.manager, "ada"), 1, "round %d", round)
			first = browsers[round]
		}
		n, err := a.manager.RevokeAll(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, ok := alive(t, a.manager, first.id())
		require.False(t, ok)
	})
}
