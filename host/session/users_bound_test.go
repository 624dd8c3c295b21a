package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

func atMost(n int) func(*session.Settings) {
	return func(s *session.Settings) { s.MaxUserSessions = n }
}

// TestMaxUserSessions: a user with the maximum number of sessions can log in
// once more. The session with the oldest log-in is then ended, for good and
// with an event.
func TestMaxUserSessions(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal, atMost(3))
		bob, _ := logIn(t, a.manager, "bob")
		var ids, names []string
		for i := range 6 {
			inFlight := a.manager.Session(ctx, "")
			if i >= 3 {
				inFlight = a.manager.Session(ctx, ids[i-3])
				user, err := inFlight.User()
				require.NoError(t, err)
				require.Equal(t, "ada", user, "the oldest, before")
			}
			a.takeEvents()
			id, publicID := logIn(t, a.manager, "ada")
			ids, names = append(ids, id), append(names, publicID)
			events := a.takeEvents()
			require.Equal(t, names[max(0, i-2):], publicIDs(t, a.manager, "ada"))
			for j, id := range ids {
				_, ok := alive(t, a.manager, id)
				require.Equal(t, j > i-3, ok, "session %d after log-in %d", j, i)
			}
			if i >= 3 {
				require.Len(t, events, 2)
				require.Equal(t, session.EventDestroyed, events[0].Kind)
				require.ErrorContains(t, events[0].Err, "MaxUserSessions")
				require.Equal(t, session.EventCreated, events[1].Kind)
				require.NoError(t, inFlight.Set("n", 1))
				require.ErrorIs(t, inFlight.Save(), session.ErrGone, "a request that was under way does not bring it back")
				_, ok := alive(t, a.manager, ids[i-3])
				require.False(t, ok)
			}
			a.clock.Advance(time.Second)
		}
		_, ok := alive(t, a.manager, bob)
		require.True(t, ok, "another user's")
	})
}

// TestOldestIsByLogIn, and neither by when the session began nor by how it was
// used since.
func TestOldestIsByLogIn(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, atMost(2), func(s *session.Settings) { s.RenewEvery = time.Minute })
		early := a.browser()
		early.set("basket", 1)
		a.clock.Advance(time.Second)
		second := a.browser()
		logs := func(b *browser) {
			t.Helper()
			require.Equal(t, http.StatusOK, b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) }).StatusCode)
			a.clock.Advance(time.Second)
		}
		is := func(want bool, b *browser) {
			t.Helper()
			user, _ := alive(t, a.manager, b.id())
			require.Equal(t, want, user == "ada")
		}
		logs(second)
		logs(early)
		a.clock.Advance(time.Minute)
		second.set("busy", true) // and it has a new id
		third := a.browser()
		logs(third)
		is(false, second)
		is(true, early)
		logs(early) // again: it is now the newest
		logs(a.browser())
		is(false, third)
		is(true, early)
		list, err := a.manager.UserSessions(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, at(0), list[0].Created)
		require.Greater(t, list[0].LoggedIn.Sub(list[0].Created), time.Minute)
		require.True(t, list[1].LoggedIn.After(list[0].LoggedIn))
	})
}

// TestOldestUnderAClockThatWasAhead: log-ins by a clock that was ahead count as
// older than those after it was right again, and give way to them.
func TestOldestUnderAClockThatWasAhead(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, atMost(3))
		logs := func() string {
			id, _ := logIn(t, a.manager, "ada")
			a.clock.Advance(time.Second)
			return id
		}
		a.clock.Advance(24 * time.Hour)
		var ahead []string
		for range 3 {
			ahead = append(ahead, logs())
		}
		a.clock.Advance(-24 * time.Hour)
		for n := range 3 {
			id := logs()
			for i, old := range ahead {
				_, ok := alive(t, a.manager, old)
				require.Equal(t, i > n, ok, "log-in %d ahead, after %d more", i, n+1)
			}
			_, ok := alive(t, a.manager, id)
			require.True(t, ok)
		}
	})
}

// TestLogInAgainWithOneSession: it ends only the session that it replaces.
func TestLogInAgainWithOneSession(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal, atMost(1))
		b := a.browser()
		b.set("basket", 1)
		for range 4 {
			got := b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, map[string]any{"basket": int64(1)}, b.values())
			require.Len(t, publicIDs(t, a.manager, "ada"), 1)
		}
		a.clock.Advance(time.Second)
		other := a.browser()
		other.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		require.Empty(t, b.values())
		user, ok := alive(t, a.manager, other.id())
		require.True(t, ok)
		require.Equal(t, "ada", user)
	})
}

// TestEndedSessionsGiveWayFirst: however old, a live session stays while others
// in the list have ended by themselves.
func TestEndedSessionsGiveWayFirst(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, atMost(4), func(s *session.Settings) { s.IdleTimeout = hour })
		old := a.browser()
		old.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		for i := range 12 {
			a.clock.Advance(hour / 2)
			logIn(t, a.manager, "ada")
			require.Equal(t, http.StatusOK, old.do(func(s *session.Session) {
				user, err := s.User()
				require.NoError(t, err)
				require.Equal(t, "ada", user, "after %d log-ins that were left alone", i)
			}).StatusCode)
		}
	})
}

// TestLogInsAtOnceKeepTheBound, through several managers, and leave no live
// session unlisted.
func TestLogInsAtOnceKeepTheBound(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		const most = 5
		var ms []*session.Manager
		for range 4 {
			ms = append(ms, newApp(t, s, seal, atMost(most)).manager)
		}
		for range 2 {
			var mu sync.Mutex
			var ids []string
			together(24, func(i int) {
				s := ms[i%len(ms)].Session(ctx, "")
				if err := s.LogIn("ada", nil); err != nil {
					t.Error(err)
				}
				// With so many at once, some are the oldest before they are
				// stored.
				if err := s.Save(); err != nil {
					if !errors.Is(err, session.ErrGone) {
						t.Error(err)
					}
					return
				}
				id, _ := s.ID()
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			})
			living := 0
			for _, id := range ids {
				if _, ok := alive(t, ms[0], id); ok {
					living++
				}
			}
			require.LessOrEqual(t, living, most)
			require.NotZero(t, living)
			require.Len(t, publicIDs(t, ms[1], "ada"), living)
			last, _ := logIn(t, ms[2], "ada")
			_, ok := alive(t, ms[3], last)
			require.True(t, ok, "the newest is not refused")
			_, err := ms[0].RevokeAll(ctx, "ada")
			require.NoError(t, err)
		}
	})
}

// TestLogInFaultsKeepTheBound: whichever call fails while the oldest gives way,
// no unlisted session is alive, there are no more than allowed, and the next
// log-in succeeds.
func TestLogInFaultsKeepTheBound(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step, hit := 0, true; hit; step++ {
			a := newApp(t, store.NewMemory(), atMost(2))
			var ids []string
			for range 2 {
				id, _ := logIn(t, a.manager, "ada")
				ids = append(ids, id)
				a.clock.Advance(2 * time.Minute)
			}
			hit = false
			calls := 0
			fault := func(operation) error {
				calls++
				if calls-1 == step {
					hit = true
					return store.ErrUnavailable
				}
				return nil
			}
			if after {
				a.store.fail(nil, fault)
			} else {
				a.store.fail(fault, nil)
			}
			next := a.manager.Session(ctx, "")
			require.NoError(t, next.LogIn("ada", nil))
			_ = next.Save()
			a.store.fail(nil, nil)
			if id, err := next.ID(); err == nil && id != "" {
				ids = append(ids, id)
			}
			check := func() {
				living := 0
				for _, id := range ids {
					if _, ok := alive(t, a.manager, id); ok {
						living++
					}
				}
				listed := len(publicIDs(t, a.manager, "ada"))
				require.LessOrEqual(t, listed, 2, "step %d", step)
				if after {
					// One session may be stored whose id got lost with the
					// answer.
					require.LessOrEqual(t, living, listed, "step %d", step)
				} else {
					require.Equal(t, living, listed, "step %d", step)
				}
			}
			check()
			id, _ := logIn(t, a.manager, "ada")
			ids = append(ids, id)
			_, ok := alive(t, a.manager, id)
			require.True(t, ok)
			check()
		}
	}
}

// TestProbe: a monitor that logs in each minute and never logs out can log in
// for weeks (until its sessions expire, and beyond), and what it leaves does
// not grow.
func TestProbe(t *testing.T) {
	s := store.NewMemory()
	clock := new(sessiontest.Clock)
	settings := session.Defaults()
	settings.Now = clock.Now
	settings.OnEvent = func(context.Context, session.Event) {}
	m, err := session.New(s, settings)
	require.NoError(t, err)
	records := func() (n int) {
		_, err := s.Sweep(ctx, 1<<30, store.At(clock.Now()))
		require.NoError(t, err)
		for _, err := range s.Keys(ctx, store.At(clock.Now())) {
			require.NoError(t, err)
			n++
		}
		return n
	}
	for i := range 15_000 {
		probe := m.Session(ctx, "")
		require.NoError(t, probe.LogIn("probe", nil))
		require.NoError(t, probe.Save(), "log-in %d", i)
		if i%500 == 499 {
			id, err := probe.ID()
			require.NoError(t, err)
			_, ok := alive(t, m, id)
			require.True(t, ok)
			require.Len(t, publicIDs(t, m, "probe"), settings.MaxUserSessions)
			require.LessOrEqual(t, records(), 3*settings.MaxUserSessions, "log-in %d", i)
		}
		clock.Advance(time.Minute)
	}
	n, err := m.RevokeAll(ctx, "probe")
	require.NoError(t, err)
	require.Equal(t, settings.MaxUserSessions, n)
}

// TestLowerMaxUserSessions: it applies from the next log-in.
func TestLowerMaxUserSessions(t *testing.T) {
	s := store.NewMemory()
	before := newApp(t, s, atMost(50))
	var ids []string
	for range 50 {
		id, _ := logIn(t, before.manager, "ada")
		ids = append(ids, id)
		before.clock.Advance(ms)
	}
	a := newApp(t, s, atMost(10))
	a.clock.Advance(time.Second)
	id, _ := logIn(t, a.manager, "ada")
	for i, id := range append(ids, id) {
		_, ok := alive(t, a.manager, id)
		require.Equal(t, i >= 41, ok, fmt.Sprint(i))
	}
	require.Len(t, publicIDs(t, a.manager, "ada"), 10)
}
