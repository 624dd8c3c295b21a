package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// While a clock is ahead, sessions count as over that are back when it is
// right. Ending all sessions of a user meanwhile ends those too, and a log-in
// takes none of them away.
func TestEndAllUnderAClockThatIsAhead(t *testing.T) {
	for _, ahead := range []time.Duration{8 * day, 5 * 365 * day} {
		for what, end := range map[string]func(t *testing.T, m *session.Manager, publicID string){
			"all": func(t *testing.T, m *session.Manager, _ string) {
				_, err := m.RevokeAll(ctx, "ada")
				require.NoError(t, err)
			},
			"one": func(t *testing.T, m *session.Manager, publicID string) {
				_, err := m.Revoke(ctx, "ada", publicID)
				require.NoError(t, err)
			},
		} {
			t.Run(fmt.Sprint(what, " ", ahead), func(t *testing.T) {
				overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
					a := newApp(t, s, seal)
					sweep(t, s, a)
					id, publicID := logIn(t, a.manager, "ada")
					a.clock.Advance(ahead)
					require.Empty(t, publicIDs(t, a.manager, "ada"), "by this clock it is over")
					end(t, a.manager, publicID)
					a.clock.Advance(-ahead)
					_, ok := alive(t, a.manager, id)
					require.False(t, ok, "it was ended")
					require.Empty(t, publicIDs(t, a.manager, "ada"))
				})
			})
		}
	}
}

func TestLogInUnderAClockThatIsAhead(t *testing.T) {
	for _, most := range []int{0, 1, 3} {
		t.Run(fmt.Sprint("at most ", most), func(t *testing.T) {
			overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
				a := newApp(t, s, seal, func(s *session.Settings) {
					if most > 0 {
						s.MaxUserSessions = most
					}
				})
				sweep(t, s, a)
				before, _ := logIn(t, a.manager, "ada")
				a.clock.Advance(8 * day)
				wrong, _ := logIn(t, a.manager, "ada")
				require.Len(t, publicIDs(t, a.manager, "ada"), 1)
				a.clock.Advance(-8 * day)
				_, ok := alive(t, a.manager, wrong)
				require.True(t, ok)
				_, ok = alive(t, a.manager, before)
				require.Equal(t, most != 1, ok, "it goes where there may be one alone")
				n, err := a.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Equal(t, map[bool]int{true: 1, false: 2}[most == 1], n)
				for _, id := range []string{before, wrong} {
					_, ok := alive(t, a.manager, id)
					require.False(t, ok)
				}
			})
		})
	}
}

// A page load while the clock is ahead does not take back the cookie of a
// session that is back when the clock is right. Once the storage has swept the
// session away, it is over.
func TestCookieUnderAClockThatIsAhead(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		sweep(t, s, a)
		id := a.login("ada")
		for range 2 {
			a.clock.Advance(8 * day)
			for range 3 {
				require.Nil(t, a.page(id, func(s *session.Session) {
					exists, err := s.Exists()
					require.NoError(t, err)
					require.False(t, exists, "by this clock it is over")
				}).cookie())
				a.clock.Advance(time.Minute)
			}
			a.clock.Set(sessiontest.Start)
			_, ok := alive(t, a.manager, id)
			require.True(t, ok)
		}
		a.clock.Advance(8 * day)
		for range 3 {
			require.Nil(t, a.script(id, look).cookie(), "nor do scripts, of which the second would")
			a.clock.Advance(time.Minute)
		}
		a.store.fail(on("get", store.ErrUnavailable), nil)
		require.Nil(t, a.page(id, func(s *session.Session) { _, _ = s.User() }).cookie())
		a.store.fail(nil, nil)
		sweep(t, s, a)
		require.True(t, takenBack(t, a.page(id, look)))
	})
}

// TestUsersUnderAClockThatJumps does at random what people and administrators
// do, while the clock leaps and comes back. It compares the result with the
// rule: a session that was not ended is alive whenever the clock says so, and
// an ended one never is.
func TestUsersUnderAClockThatJumps(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	overStores(t, func(t *testing.T, s store.Store) {
		for seed := range uint64(rounds) {
			require.NoError(t, store.Clear(ctx, s, clockStart))
			newLeaps(t, s, seed).run(120)
		}
	})
}

type leaper struct {
	id, publicID, user string
	until              store.Millis // when its life is over by the clock
	ended              bool
}

type leaps struct {
	t     *testing.T
	a     *app
	rng   *rand.Rand
	right time.Time // what the clock should say
	all   []*leaper
	seed  uint64

	// The store sweeps as it is written to, by the time that writes tell it. It
	// believes a leap of less than a day, and longer ones that go on for an hour.
	sweepsItself bool
}

func newLeaps(t *testing.T, s store.Store, seed uint64) *leaps {
	a := newApp(t, s, func(s *session.Settings) { s.Lifetime = day })
	_, sweepsItself := s.(*store.Memory)
	return &leaps{sweepsItself: sweepsItself, t: t, a: a, rng: rand.New(rand.NewPCG(seed, 7)), right: sessiontest.Start, seed: seed}
}

func (l *leaps) run(steps int) {
	users := []string{"ada", "bob"}
	for step := range steps {
		if step%10 == 0 {
			// The sweep does not believe such a clock: see package plugin.
			l.a.clock.Set(l.right)
			sweep(l.t, l.a.store.Store, l.a)
		}
		l.right = l.right.Add(time.Duration(l.rng.Int64N((20 * time.Minute).Milliseconds())) * ms)
		ahead := []time.Duration{0, 0, 20 * time.Hour, 3 * day, 365 * day}[l.rng.IntN(5)]
		if l.sweepsItself {
			// The clock is right again before each leap, and another visitor's
			// log-in tells the store.
			l.a.clock.Set(l.right)
			logIn(l.t, l.a.manager, "eve")
			if ahead > 0 {
				ahead = max(ahead, 30*time.Hour)
			}
		}
		l.a.clock.Set(l.right.Add(ahead))
		user := users[l.rng.IntN(len(users))]
		switch l.rng.IntN(8) {
		case 0, 1, 2:
			id, publicID := logIn(l.t, l.a.manager, user)
			l.all = append(l.all, &leaper{id: id, publicID: publicID, user: user, until: l.now() + store.Span(day)})
		case 3:
			_, err := l.a.manager.RevokeAll(ctx, user)
			require.NoError(l.t, err)
			l.end(func(s *leaper) bool { return s.user == user })
		case 4:
			if s := l.any(); s != nil {
				_, err := l.a.manager.Revoke(ctx, s.user, s.publicID)
				require.NoError(l.t, err)
				s.ended = true
			}
		case 5:
			if s := l.any(); s != nil {
				require.NoError(l.t, l.a.manager.Session(ctx, s.id).Destroy())
				s.ended = true
			}
		case 6:
			if s := l.any(); s != nil && l.alive(s) {
				open := l.a.manager.Session(ctx, s.id)
				require.NoError(l.t, open.Set("seen", l.now()))
				require.NoError(l.t, open.Save())
				s.until = l.now() + store.Span(day)
			}
		}
		l.check(user)
	}
	// The clock is right for good.
	l.a.clock.Set(l.right)
	for _, user := range users {
		l.check(user)
		want := len(l.publicIDs(user))
		n, err := l.a.manager.RevokeAll(ctx, user)
		require.NoError(l.t, err)
		require.Equal(l.t, want, n, "seed %d", l.seed)
		l.end(func(s *leaper) bool { return s.user == user })
		l.check(user)
	}
}

func (l *leaps) now() store.Millis { return store.At(l.a.clock.Now()) }

func (l *leaps) alive(s *leaper) bool { return !s.ended && l.now() < s.until }

func (l *leaps) any() *leaper {
	if len(l.all) == 0 {
		return nil
	}
	return l.all[l.rng.IntN(len(l.all))]
}

func (l *leaps) end(which func(*leaper) bool) {
	for _, s := range l.all {
		s.ended = s.ended || which(s)
	}
}

func (l *leaps) publicIDs(user string) []string {
	all := []string{}
	for _, s := range l.all {
		if s.user == user && l.alive(s) {
			all = append(all, s.publicID)
		}
	}
	slices.Sort(all)
	return all
}

func (l *leaps) check(user string) {
	l.t.Helper()
	got := publicIDs(l.t, l.a.manager, user)
	slices.Sort(got)
	require.Equal(l.t, l.publicIDs(user), got, "seed %d", l.seed)
	if s := l.any(); s != nil {
		_, ok := alive(l.t, l.a.manager, s.id)
		require.Equal(l.t, l.alive(s), ok, "seed %d", l.seed)
	}
}

// Lists are loaded whatever the time is. The end of the time for unsealed ones
// still applies.
func TestUnsealedListAfterItsTime(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		before := newApp(t, s)
		id, publicID := logIn(t, before.manager, "ada")
		after := release(t, before, withKeyring(t), until(at(day)))
		require.Equal(t, []string{publicID}, publicIDs(t, after.manager, "ada"))
		before.clock.Advance(day)
		require.Empty(t, publicIDs(t, after.manager, "ada"))
		require.Contains(t, after.kinds(), session.EventCorrupt)
		_, ok := alive(t, after.manager, id)
		require.False(t, ok)
	})
}
