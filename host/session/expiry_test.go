package session_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	ms   = time.Millisecond
	hour = time.Hour
	day  = 24 * time.Hour
)

// TestExpiry follows one session along a time line. Each step happens at a time
// after the start. It says whether the session is still there before its
// change, and when it ends after that.
func TestExpiry(t *testing.T) {
	type step struct {
		at    time.Duration
		gone  bool
		do    func(s *session.Session)
		until time.Duration // after the step; 0: not checked
	}
	look := func(s *session.Session) { _, _ = s.Has("user") }
	change := func(s *session.Session) { _ = s.Set("n", 1) }
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		steps    []step
	}{
		{"lifetime, to the millisecond", nil, []step{
			{at: 0, until: 7 * day},
			{at: 7*day - ms, do: look, until: 7 * day},
			{at: 7 * day, gone: true},
		}},
		{"lifetime begins anew with a change", nil, []step{
			{at: day, do: change, until: 8 * day},
			{at: 8*day - ms, do: look},
			{at: 8 * day, gone: true},
		}},
		{"lifetime does not begin anew with a look", nil, []step{
			{at: day, do: look, until: 7 * day},
			{at: 7 * day, gone: true},
		}},
		{"SetModified begins it anew", nil, []step{
			{at: day, do: func(s *session.Session) { s.SetModified() }, until: 8 * day},
		}},
		{"own expiry, shorter", nil, []step{
			{at: day, do: func(s *session.Session) { _ = s.SetExpiry(hour) }, until: day + hour},
			{at: day + hour - ms, do: look},
			{at: day + hour, gone: true},
		}},
		{"own expiry, longer, lasts through changes", nil, []step{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiry(30 * day) }, until: 30 * day},
			{at: 10 * day, do: change, until: 40 * day},
			{at: 40*day - ms, do: look},
			{at: 40 * day, gone: true},
		}},
		{"own expiry, taken back", nil, []step{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiry(30 * day) }},
			{at: day, do: func(s *session.Session) { s.ResetExpiry() }, until: 8 * day},
			{at: 8 * day, gone: true},
		}},
		{"fixed end that changes do not move", nil, []step{
			{at: 0, do: func(s *session.Session) { s.SetExpiryTime(s0.Add(day)) }, until: day},
			{at: hour, do: change, until: day},
			{at: day - ms, do: look},
			{at: day, gone: true},
		}},
		{"fixed end that has passed ends the session", nil, []step{
			{at: day, do: func(s *session.Session) { s.SetExpiryTime(s0.Add(day)) }},
			{at: day, gone: true},
		}},
		{"fixed end before 1970", nil, []step{
			{at: day, do: func(s *session.Session) { s.SetExpiryTime(time.UnixMilli(-5)) }},
			{at: day, gone: true},
		}},
		{"idle", func(s *session.Settings) { s.IdleTimeout = hour }, []step{
			{at: 0, until: hour},
			{at: hour - ms, do: look, until: 2*hour - ms},
			{at: 2*hour - 2*ms, do: look, until: 3*hour - 2*ms},
			{at: 3*hour - 2*ms, gone: true},
		}},
		{"idle is moved by a tenth or not at all", func(s *session.Settings) { s.IdleTimeout = hour }, []step{
			{at: 6*time.Minute - ms, do: look, until: hour},
			{at: 6 * time.Minute, do: look, until: hour + 6*time.Minute},
			{at: 12*time.Minute - ms, do: look, until: hour + 6*time.Minute},
			{at: hour + 6*time.Minute, gone: true},
		}},
		{"idle is moved by a change at once", func(s *session.Settings) { s.IdleTimeout = hour }, []step{
			{at: ms, do: change, until: hour + ms},
		}},
		{"idle never outlives the lifetime", func(s *session.Settings) {
			s.IdleTimeout, s.Lifetime = hour, 90*time.Minute
		}, []step{
			{at: 45 * time.Minute, do: look, until: 90 * time.Minute},
			{at: 90*time.Minute - ms, do: look, until: 90 * time.Minute},
			{at: 90 * time.Minute, gone: true},
		}},
		{"idle never outlives a fixed end", func(s *session.Settings) { s.IdleTimeout = hour }, []step{
			{at: 0, do: func(s *session.Session) { s.SetExpiryTime(s0.Add(90 * time.Minute)) }, until: hour},
			{at: 45 * time.Minute, do: look, until: 90 * time.Minute},
			{at: 90 * time.Minute, gone: true},
		}},
		{"absolute, whatever is changed", func(s *session.Settings) { s.AbsoluteTimeout = 2 * day }, []step{
			{at: 0, until: 2 * day},
			{at: day, do: change, until: 2 * day},
			{at: day, do: func(s *session.Session) { _ = s.SetExpiry(30 * day) }, until: 2 * day},
			{at: day, do: func(s *session.Session) { s.SetExpiryTime(s0.Add(30 * day)) }, until: 2 * day},
			{at: 2*day - ms, do: look},
			{at: 2 * day, gone: true},
		}},
		{"absolute, through a renewal", func(s *session.Settings) { s.AbsoluteTimeout = 2 * day }, []step{
			{at: day, do: func(s *session.Session) { _ = s.Renew() }, until: 2 * day},
			{at: 2 * day, gone: true},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				var change []func(*session.Settings)
				if c.settings != nil {
					change = append(change, c.settings)
				}
				a := newApp(t, s, change...)
				b := a.browser()
				b.set("user", "ada")
				for i, step := range c.steps {
					a.clock.Set(at(step.at))
					if step.gone {
						// The store has lost it too, and so has a client that
						// kept the cookie.
						require.Empty(t, a.peek(b.id()), "step %d", i)
						keys, err := a.manager.Session(context.Background(), b.id()).Keys()
						require.NoError(t, err)
						require.Empty(t, keys, "step %d", i)
						continue
					}
					require.Equal(t, "ada", a.peek(b.id()), "step %d: the session has ended", i)
					if step.do != nil {
						b.do(step.do)
					}
					if step.until != 0 {
						expires, err := a.manager.Session(context.Background(), b.id()).Expires()
						require.NoError(t, err)
						require.Equal(t, at(step.until).UnixMilli(), expires.UnixMilli(), "step %d", i)
						require.Equal(t, expires.UnixMilli(), storedExpiry(t, a, b.id()), "step %d: the store's own time to live", i)
					}
				}
			})
		})
	}
}

// storedExpiry is the expiry that the store was given for a session's record.
func storedExpiry(t *testing.T, a *app, id string) int64 {
	t.Helper()
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	require.Contains(t, a.store.expires, storageKeyOf(id))
	return a.store.expires[storageKeyOf(id)]
}

// TestExpiresTellsWhatSavingMakesOfIt: within the request, before the save.
func TestExpiresTellsWhatSavingMakesOfIt(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.IdleTimeout = hour })
	b := a.browser()
	for _, c := range []struct {
		name  string
		at    time.Duration
		do    func(s *session.Session)
		until time.Duration
	}{
		{"new", 0, func(s *session.Session) { _ = s.Set("user", "ada") }, hour},
		{"looked at, too soon to move", time.Minute, look, hour},
		{"asked alone", 30 * time.Minute, func(*session.Session) {}, hour},
		{"looked at", 30 * time.Minute, look, 90 * time.Minute},
		{"changed", 31 * time.Minute, func(s *session.Session) { _ = s.Set("n", 1) }, 91 * time.Minute},
		{"own expiry", 31 * time.Minute, func(s *session.Session) { _ = s.SetExpiry(time.Minute) }, 32 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.clock.Set(at(c.at))
			b.do(func(s *session.Session) {
				c.do(s)
				expires, err := s.Expires()
				require.NoError(t, err)
				require.Equal(t, at(c.until).UnixMilli(), expires.UnixMilli())
			})
			require.Equal(t, at(c.until).UnixMilli(), storedExpiry(t, a, b.id()))
		})
	}
}

func TestSetExpiryBounds(t *testing.T) {
	s := newApp(t, store.NewMemory()).manager.Session(context.Background(), "")
	for d, ok := range map[time.Duration]bool{
		-time.Second: false, 0: false, time.Second - 1: false, time.Second: true,
		100 * 365 * day: true, 100*365*day + 1: false,
	} {
		err := s.SetExpiry(d)
		if ok {
			require.NoError(t, err, "%v", d)
		} else {
			require.ErrorIs(t, err, session.ErrInvalidExpiry, "%v", d)
		}
	}
}

// TestIdleRefreshIsThrottled counts what accesses cost.
func TestIdleRefreshIsThrottled(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.IdleTimeout = hour })
		b := a.browser()
		b.set("user", "ada")
		a.store.take()
		for range 59 {
			a.clock.Advance(time.Minute)
			require.Len(t, b.values(), 1)
		}
		writes := 0
		for _, o := range a.store.take() {
			if o.name != "get" {
				writes++
			}
		}
		require.Equal(t, 9, writes, "one for every six minutes")
		require.NotContains(t, a.kinds(), session.EventConflict)
		b.do(func(s *session.Session) {
			a.clock.Advance(30 * time.Minute)
			a.store.take()
			require.NoError(t, s.Save())
			require.Empty(t, a.store.take(), "nobody has looked")
			_, _ = s.Has("user")
			require.False(t, s.Modified())
			require.NoError(t, s.Save())
			require.Equal(t, []string{"get", "set"}, names(a.store.take()), "the idle end is moved")
			require.NoError(t, s.Save())
			require.Empty(t, a.store.take())
		})
	})
}

// TestAbsoluteTimeoutThatWasShortened: the shorter timeout also applies to
// earlier records.
func TestAbsoluteTimeoutThatWasShortened(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id := a.login("ada")
		strict := newApp(t, s, func(s *session.Settings) { s.AbsoluteTimeout = hour })
		strict.clock.Advance(hour - ms)
		require.Equal(t, "ada", strict.peek(id))
		strict.clock.Advance(ms)
		require.Empty(t, strict.peek(id))
		require.Equal(t, []session.EventKind{session.EventExpired}, strict.kinds())
	})
}

// late is a store whose clock is behind: it still has records that have ended.
type late struct{ store.Store }

func (s late) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return s.Store.Get(ctx, key, now-store.Span(hour))
}

// TestStoreThatKeepsWhatHasEnded: such a record does not count.
func TestStoreThatKeepsWhatHasEnded(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, late{s})
		id := a.login("ada")
		a.kinds()
		a.clock.Advance(7*day - ms)
		require.Equal(t, "ada", a.peek(id))
		a.clock.Advance(ms)
		require.Empty(t, a.peek(id))
		require.Equal(t, []session.EventKind{session.EventExpired}, a.kinds())
	})
}

// TestSessionThatEndsDuringARequest: the changes cannot be kept, and an error
// says so, even if an expiry was set for the session.
func TestSessionThatEndsDuringARequest(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(s *session.Session) error
	}{
		{"set", func(s *session.Session) error { return s.Set("n", 1) }},
		{"set and own expiry", func(s *session.Session) error {
			if err := s.SetExpiry(hour); err != nil {
				return err
			}
			return s.Set("n", 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, func(s *session.Settings) { s.AbsoluteTimeout = hour })
				b := a.browser()
				b.set("user", "ada")
				a.clock.Advance(hour - ms)
				got := b.do(func(s *session.Session) {
					_, err := s.Has("user")
					require.NoError(t, err)
					require.NoError(t, c.do(s))
					a.clock.Advance(ms)
					require.ErrorIs(t, s.Save(), session.ErrGone)
				})
				require.Negative(t, got.cookie().MaxAge)
				require.Contains(t, a.kinds(), session.EventGone)
			})
		})
	}
}

func TestBrowserClose(t *testing.T) {
	for _, c := range []struct {
		name   string
		closes bool
		say    session.Persistence
		keeps  bool
	}{
		{"by default the cookie stays", false, session.PersistenceDefault, true},
		{"as the settings say it goes", true, session.PersistenceDefault, false},
		{"one session's goes", false, session.EndWithBrowser, false},
		{"remember me", true, session.Persist, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, func(s *session.Settings) { s.ExpireAtBrowserClose = c.closes })
				b := a.browser()
				got := b.do(func(s *session.Session) {
					s.SetPersistence(c.say)
					require.NoError(t, s.Set("user", "ada"))
				})
				id := b.id()
				if c.keeps {
					require.Equal(t, int((7 * day).Seconds()), got.cookie().MaxAge)
				} else {
					require.Zero(t, got.cookie().MaxAge)
					require.True(t, got.cookie().Expires.IsZero())
				}
				b.Restart()
				require.Equal(t, c.keeps, b.id() != "")
				a.clock.Advance(7*day - ms)
				require.Equal(t, "ada", a.peek(id), "the stored session lives for Lifetime")
			})
		})
	}
	t.Run("changed for a session that is there", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.browser()
		b.set("user", "ada")
		require.Zero(t, b.do(func(s *session.Session) { s.SetPersistence(session.EndWithBrowser) }).cookie().MaxAge)
		require.Nil(t, b.set("n", 1).cookie(), "nothing new for the browser")
		require.Positive(t, b.do(func(s *session.Session) { s.ResetExpiry() }).cookie().MaxAge)
	})
}

// TestCookieFollowsTheSession: the cookie is renewed only when the browser
// would forget it noticeably too early or keep it too long.
func TestCookieFollowsTheSession(t *testing.T) {
	for _, c := range []struct {
		name   string
		at     time.Duration
		do     func(s *session.Session)
		maxAge time.Duration // 0: no cookie
	}{
		{"look", 6 * day, func(s *session.Session) { _, _ = s.Has("user") }, 0},
		{"change soon after", day / 2, func(s *session.Session) { _ = s.Set("n", 1) }, 0},
		{"change a tenth later", 7*day/10 + ms, func(s *session.Session) { _ = s.Set("n", 1) }, 7 * day},
		{"own expiry, shorter", 0, func(s *session.Session) { _ = s.SetExpiry(hour) }, hour},
		{"own expiry, longer", 0, func(s *session.Session) { _ = s.SetExpiry(30 * day) }, 30 * day},
		{"own expiry, a little longer", 0, func(s *session.Session) { _ = s.SetExpiry(7*day + hour) }, 7*day + hour},
		{"own end, a little later", 0, func(s *session.Session) { s.SetExpiryTime(s0.Add(7*day + hour)) }, 7*day + hour},
		{"own expiry that changes nothing", 0, func(s *session.Session) { _ = s.SetExpiry(7 * day) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				b := a.browser()
				b.set("user", "ada")
				a.clock.Advance(c.at)
				got := b.do(c.do)
				if c.maxAge == 0 {
					require.Nil(t, got.cookie())
					return
				}
				require.NotNil(t, got.cookie())
				require.Equal(t, int(c.maxAge.Seconds()), got.cookie().MaxAge)
				require.Equal(t, b.id(), got.cookie().Value)
			})
		})
	}
}

// TestLateRefreshOfTheCookie: once the headers have left, a change is stored
// and the cookie waits for the next response. If the handler asked for the new
// cookie, it gets an error that this is too late.
func TestLateRefreshOfTheCookie(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		a.clock.Advance(3 * day)
		got := b.serve(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("too late"))
			s := session.From(r)
			require.NoError(t, s.Set("n", 1))
			require.NoError(t, s.Save())
			require.NoError(t, s.SetExpiry(hour))
			require.ErrorIs(t, s.Save(), session.ErrHeadersSent)
			s.ResetExpiry()
			require.ErrorIs(t, s.Renew(), session.ErrHeadersSent)
		})
		require.Nil(t, got.cookie())
		require.NotNil(t, b.set("n", 2).cookie())
	})
}
