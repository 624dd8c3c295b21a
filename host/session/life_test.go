package session_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// lives follows one browser along a time line. At each step the session is
// still there or gone. Until it is gone, the browser has its cookie.
type lives struct {
	at    time.Duration
	do    func(s *session.Session)
	until time.Duration // the session's end after the step; 0: not checked
	age   time.Duration // of the cookie that the response sends; 0: none
	gone  bool
}

func (a *app) live(t *testing.T, steps []lives) {
	t.Helper()
	b := a.browser()
	for i, step := range steps {
		a.clock.Set(at(step.at))
		if step.gone {
			require.Empty(t, b.values(), "step %d", i)
			continue
		}
		if i > 0 {
			require.NotEmpty(t, b.id(), "step %d: the browser has forgotten the cookie", i)
			require.Equal(t, "ada", a.peek(b.id()), "step %d: the session has ended", i)
		}
		got := b.do(func(s *session.Session) {
			if i == 0 {
				require.NoError(t, s.Set("user", "ada"))
			}
			step.do(s)
		})
		require.Equal(t, http.StatusOK, got.StatusCode)
		if step.age == 0 {
			require.Nil(t, got.cookie(), "step %d", i)
		} else {
			require.NotNil(t, got.cookie(), "step %d", i)
			require.Equal(t, int(step.age.Seconds()), got.cookie().MaxAge, "step %d", i)
			require.False(t, got.cookie().Expires.After(a.clock.Now().Add(400*day+time.Second)), "step %d", i)
		}
		if step.until != 0 {
			require.Equal(t, at(step.until).UnixMilli(), storedExpiry(t, a, b.id()), "step %d", i)
		}
	}
}

func change(s *session.Session) { _ = s.Set("n", 1) }

// TestOwnTimeouts: a session can have its own timeouts instead of the general
// ones for all its life.
func TestOwnTimeouts(t *testing.T) {
	strict := func(s *session.Settings) {
		s.Lifetime, s.IdleTimeout, s.AbsoluteTimeout = 12*hour, hour/2, 24*hour
	}
	must := func(errs ...error) { require.NoError(t, errors.Join(errs...)) }
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		steps    []lives
	}{
		{"remember me for 90 days", strict, []lives{
			{at: 0, do: func(s *session.Session) {
				must(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(session.Off), s.SetExpiry(90*day), s.LogIn("ada", nil))
			}, until: 90 * day, age: 90 * day},
			{at: 90*day - ms, do: look, until: 90 * day},
			{at: 90*day - ms, do: change, until: 180*day - ms, age: 90 * day},
			{at: 180*day - ms, gone: true},
		}},
		{"remembered, and somebody else logs in with it", strict, []lives{
			{at: 0, do: func(s *session.Session) {
				must(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(session.Off), s.SetExpiry(90*day), s.LogIn("ada", nil))
			}, until: 90 * day, age: 90 * day},
			{at: hour, do: func(s *session.Session) { must(s.LogIn("ada", nil)) }, until: 90*day + hour, age: 90 * day},
			{at: 2 * hour, do: func(s *session.Session) { must(s.LogIn("bob", nil)) }, until: 2*hour + hour/2, age: 12 * hour},
			{at: 2*hour + hour/2, gone: true},
		}},
		{"remembered, cleared, and somebody else logs in who is remembered too", strict, []lives{
			{at: 0, do: func(s *session.Session) {
				must(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(session.Off), s.SetExpiry(90*day), s.LogIn("ada", nil))
			}, until: 90 * day, age: 90 * day},
			{at: hour, do: func(s *session.Session) {
				must(s.Clear(), s.SetIdleTimeout(2*hour), s.LogIn("bob", nil))
			}, until: 3 * hour, age: 12 * hour},
		}},
		{"an idle timeout that is longer", strict, []lives{
			{at: 0, do: func(s *session.Session) { must(s.SetIdleTimeout(2 * hour)) }, until: 2 * hour, age: 12 * hour},
			{at: hour, do: look, until: 3 * hour},
			{at: 3 * hour, gone: true},
		}},
		{"an idle timeout that is shorter", strict, []lives{
			{at: 0, do: func(s *session.Session) { must(s.SetIdleTimeout(time.Minute)) }, until: time.Minute, age: 12 * hour},
			{at: 30 * time.Second, do: look, until: 90 * time.Second},
			{at: 90 * time.Second, gone: true},
		}},
		{"an idle timeout where others have none", func(*session.Settings) {}, []lives{
			{at: 0, do: func(s *session.Session) { must(s.SetIdleTimeout(hour)) }, until: hour, age: 7 * day},
			{at: 5 * time.Minute, do: look, until: hour},
			{at: 6 * time.Minute, do: look, until: hour + 6*time.Minute},
			{at: hour + 6*time.Minute, gone: true},
		}},
		{"an absolute timeout that is longer", strict, []lives{
			{at: 0, do: func(s *session.Session) { must(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(48*hour)) }, until: 12 * hour, age: 12 * hour},
			{at: 11 * hour, do: change, until: 23 * hour, age: 12 * hour},
			{at: 22 * hour, do: change, until: 34 * hour, age: 12 * hour},
			{at: 33 * hour, do: change, until: 45 * hour, age: 12 * hour},
			{at: 44 * hour, do: change, until: 48 * hour, age: 4 * hour},
			{at: 48 * hour, gone: true},
		}},
		{"an absolute timeout where others have none", func(*session.Settings) {}, []lives{
			{at: 0, do: func(s *session.Session) { must(s.SetAbsoluteTimeout(hour)) }, until: hour, age: hour},
			{at: hour / 2, do: change, until: hour},
			{at: hour, gone: true},
		}},
		{"an absolute timeout that has passed", func(*session.Settings) {}, []lives{
			{at: 0, do: look, until: 7 * day, age: 7 * day},
			{at: hour, do: func(s *session.Session) { must(s.SetAbsoluteTimeout(hour), s.Destroy()) }, age: -time.Second},
			{at: hour, gone: true},
		}},
		{"taken back", strict, []lives{
			{at: 0, do: func(s *session.Session) {
				must(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(session.Off), s.SetExpiry(90*day))
			}, until: 90 * day, age: 90 * day},
			{at: hour, do: func(s *session.Session) { s.ResetExpiry() }, until: hour + hour/2, age: 12 * hour},
			{at: hour + hour/2, gone: true},
		}},
		{"through Clear", strict, []lives{
			{at: 0, do: func(s *session.Session) { must(s.SetIdleTimeout(2 * hour)) }, until: 2 * hour, age: 12 * hour},
			{at: hour, do: func(s *session.Session) { must(s.Clear(), s.Set("user", "ada")) }, until: 3 * hour},
		}},
		{"through a timed renewal", func(s *session.Settings) {
			strict(s)
			s.RenewEvery, s.RenewGrace = 30*hour, hour
			s.AbsoluteTimeout = 31 * hour
		}, []lives{
			{at: 0, do: func(s *session.Session) {
				must(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(session.Off), s.SetExpiry(90*day))
			}, until: 90 * day, age: 90 * day},
			{at: 40 * hour, do: look, until: 90 * day, age: 90*day - 40*hour},
			{at: 60 * hour, do: look, until: 90 * day},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
				newApp(t, s, c.settings, seal).live(t, c.steps)
			})
		})
	}
}

// TestOldIdOfASessionWithTimeoutsOfItsOwn: the general timeout does not end the
// link from the old id.
func TestOldIdOfASessionWithTimeoutsOfItsOwn(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, renewing, func(s *session.Settings) { s.AbsoluteTimeout = hour })
		b := a.browser()
		b.do(func(s *session.Session) {
			require.NoError(t, s.Set("user", "ada"))
			require.NoError(t, s.SetAbsoluteTimeout(2*hour))
		})
		first := b.id()
		a.clock.Advance(hour + every)
		b.do(look)
		require.NotEqual(t, first, b.id())
		require.Equal(t, "ada", a.peek(first))
	})
}

// TestAbsoluteTimeoutThatHasPassedEndsTheSession without an error, since the
// handler asked for it.
func TestAbsoluteTimeoutThatHasPassedEndsTheSession(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.browser()
		b.set("user", "ada")
		id := b.id()
		a.clock.Advance(hour)
		got := b.do(func(s *session.Session) {
			require.NoError(t, s.SetAbsoluteTimeout(hour))
			require.NoError(t, s.Save())
		})
		require.Negative(t, got.cookie().MaxAge)
		require.Empty(t, a.peek(id))
		require.NotContains(t, a.kinds(), session.EventGone)
	})
}

// TestLifeThatCannotBeHad: a request for a life that the session would silently
// not get is an error. It says what stands in the way and changes nothing.
func TestLifeThatCannotBeHad(t *testing.T) {
	idle := func(s *session.Settings) { s.IdleTimeout = hour / 2 }
	absolute := func(s *session.Settings) { s.AbsoluteTimeout = 30 * day }
	later := func(d time.Duration) func(*session.Session) error {
		return func(s *session.Session) error { return s.SetExpiryTime(s0.Add(d)) }
	}
	expiry := func(d time.Duration) func(*session.Session) error {
		return func(s *session.Session) error { return s.SetExpiry(d) }
	}
	first := func(own func(*session.Session) error, then func(*session.Session) error) func(*session.Session) error {
		return func(s *session.Session) error { return errors.Join(own(s), then(s)) }
	}
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		do       func(s *session.Session) error
		says     string // empty: it is possible
	}{
		{"longer than others, idle", idle, expiry(90 * day), "IdleTimeout would end the session after 30m0s"},
		{"longer than others by little, idle", idle, expiry(7*day + ms), "Session.SetIdleTimeout first"},
		{"as long as others, idle", idle, expiry(7 * day), ""},
		{"shorter than others, idle", idle, expiry(2 * hour), ""},
		{"longer, idle of its own", idle, first(func(s *session.Session) error { return s.SetIdleTimeout(day) }, expiry(90*day)), ""},
		{"longer, no idle timeout", idle, first(func(s *session.Session) error { return s.SetIdleTimeout(session.Off) }, expiry(90*day)), ""},
		{"an end that is further than others', idle", idle, later(90 * day), "IdleTimeout"},
		{"an end that is as far as others', idle", idle, later(7*day + hour), ""},
		{"an end, idle of its own", idle, first(func(s *session.Session) error { return s.SetIdleTimeout(session.Off) }, later(90*day)), ""},
		{"longer than the absolute timeout", absolute, expiry(30*day + ms), "AbsoluteTimeout would end the session after 720h0m0s"},
		{"as long as the absolute timeout", absolute, expiry(30 * day), ""},
		{"longer, absolute of its own", absolute, first(func(s *session.Session) error { return s.SetAbsoluteTimeout(90 * day) }, expiry(90*day)), ""},
		{"longer than its own absolute timeout", absolute, first(func(s *session.Session) error { return s.SetAbsoluteTimeout(80 * day) }, expiry(90*day)), "AbsoluteTimeout"},
		{"an end behind the absolute one", absolute, later(30*day + hour + ms), "Session.SetAbsoluteTimeout first"},
		{"an end at the absolute one", absolute, later(30 * day), ""},
		{"an end in a hundred years and more", func(*session.Settings) {}, later(101 * 365 * day), "must be at most"},
		{"an end that has passed", absolute, later(-day), ""},
		{"an end before all time", absolute, func(s *session.Session) error { return s.SetExpiryTime(time.Time{}) }, ""},
		{"no such idle timeout", idle, func(s *session.Session) error { return s.SetIdleTimeout(ms) }, "idle timeout is 1ms"},
		{"a negative absolute timeout", idle, func(s *session.Session) error { return s.SetAbsoluteTimeout(-hour) }, "absolute timeout is -1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory(), c.settings)
			b := a.browser()
			b.set("user", "ada")
			for _, id := range []string{"", b.id()} {
				s := a.manager.Session(ctx, id)
				a.clock.Set(at(hour))
				err := c.do(s)
				if c.says == "" {
					require.NoError(t, err)
					require.True(t, s.Modified())
					continue
				}
				require.ErrorIs(t, err, session.ErrInvalidExpiry)
				require.NotErrorIs(t, err, session.ErrSettings)
				require.ErrorContains(t, err, c.says)
				a.clock.Set(sessiontest.Start)
			}
		})
	}
	t.Run("the storage is asked, and may fail", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), idle)
		id := a.login("ada")
		a.store.fail(on("get", store.ErrUnavailable), nil)
		s := a.manager.Session(ctx, id)
		require.ErrorIs(t, s.SetExpiry(hour), store.ErrUnavailable)
		require.ErrorIs(t, s.SetExpiryTime(s0), store.ErrUnavailable)
		require.False(t, s.Modified())
	})
	t.Run("a timeout that is stored counts", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), idle)
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.SetIdleTimeout(session.Off)) })
		b.do(func(s *session.Session) { require.NoError(t, s.SetExpiry(90*day)) })
		require.Equal(t, at(90*day).UnixMilli(), storedExpiry(t, a, b.id()))
	})
}

// TestOwnTimeoutsByTheSettingsConvention: as in Settings, Off is no timeout and 0 is what
// is otherwise in force. A time that was never filled in takes no timeout away.
func TestOwnTimeoutsByTheSettingsConvention(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.IdleTimeout, s.AbsoluteTimeout = hour, 12*hour })
	for _, c := range []struct {
		name           string
		idle, absolute time.Duration
		until          time.Duration
	}{
		{"0 follows the settings", 0, 0, hour},
		{"no idle timeout", session.Off, 0, 12 * hour},
		{"no absolute timeout", session.Off, session.Off, 7 * day},
		{"its own", 2 * hour, 3 * hour, 2 * hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.clock.Set(sessiontest.Start)
			b := a.browser()
			b.do(func(s *session.Session) { // back from others of its own
				require.NoError(t, errors.Join(s.SetIdleTimeout(5*time.Minute), s.SetAbsoluteTimeout(10*time.Minute), s.Set("n", 1)))
			})
			b.do(func(s *session.Session) {
				require.NoError(t, errors.Join(s.SetIdleTimeout(c.idle), s.SetAbsoluteTimeout(c.absolute)))
				end, err := s.Expires()
				require.NoError(t, err)
				require.Equal(t, at(c.until).UnixMilli(), end.UnixMilli(), "before it is saved")
			})
			require.Equal(t, at(c.until).UnixMilli(), storedExpiry(t, a, b.id()))
			a.clock.Set(at(c.until - ms))
			a.with([]string{"session_id=" + b.id()}, func(s *session.Session) {
				alive, err := s.Alive()
				require.NoError(t, err)
				require.True(t, alive)
			})
		})
	}
	s := a.manager.Session(ctx, "")
	for _, d := range []time.Duration{-2, -time.Second, -hour} {
		require.ErrorIs(t, s.SetIdleTimeout(d), session.ErrInvalidExpiry)
		require.ErrorContains(t, s.SetAbsoluteTimeout(d), "session.Off for none")
	}
}

// TestRolling: a visitor who comes back stays logged in, and the cookie stays.
func TestRolling(t *testing.T) {
	rolling := func(s *session.Settings) { s.Rolling = true }
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		steps    []lives
	}{
		{"looks extend", rolling, []lives{
			{at: 0, do: look, until: 7 * day, age: 7 * day},
			{at: 7*day/10 - ms, do: look, until: 7 * day},
			{at: 6 * day, do: look, until: 13 * day, age: 7 * day},
			{at: 12 * day, do: look, until: 19 * day, age: 7 * day},
			{at: 19*day - ms, do: look, until: 26*day - ms, age: 7 * day},
			{at: 26*day - ms, gone: true},
		}},
		{"an expiry of the session's own", rolling, []lives{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiry(hour) }, until: hour, age: hour},
			{at: 5 * time.Minute, do: look, until: hour},
			{at: 50 * time.Minute, do: look, until: 110 * time.Minute, age: hour},
			{at: 110 * time.Minute, gone: true},
		}},
		{"a fixed end", rolling, []lives{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiryTime(s0.Add(day)) }, until: day, age: day},
			{at: 23 * hour, do: look, until: day},
			{at: day, gone: true},
		}},
		{"not beyond the absolute timeout", func(s *session.Settings) { s.Rolling, s.AbsoluteTimeout = true, 8*day }, []lives{
			{at: 0, do: look, until: 7 * day, age: 7 * day},
			{at: 6 * day, do: look, until: 8 * day, age: 2 * day},
			{at: 7 * day, do: look, until: 8 * day},
			{at: 8 * day, gone: true},
		}},
		{"with an idle timeout", func(s *session.Settings) { s.Rolling, s.Lifetime, s.IdleTimeout = true, day, hour }, []lives{
			{at: 0, do: look, until: hour, age: day},
			{at: hour / 2, do: look, until: hour + hour/2},
			{at: hour, do: look, until: 2 * hour},
			{at: 2*hour - ms, do: look, until: 3*hour - ms},
			{at: 3*hour - 2*ms, do: look, until: 4*hour - 2*ms, age: day},
			{at: 4*hour - 2*ms, gone: true},
		}},
		{"without it looks extend nothing", func(*session.Settings) {}, []lives{
			{at: 0, do: look, until: 7 * day, age: 7 * day},
			{at: 6 * day, do: look, until: 7 * day},
			{at: 7 * day, gone: true},
		}},
		{"browser close", func(s *session.Settings) { s.Rolling = true }, []lives{
			{at: 0, do: func(s *session.Session) { s.SetPersistence(session.Persist) }, until: 7 * day, age: 7 * day},
			{at: 6 * day, do: look, until: 13 * day, age: 7 * day},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) { newApp(t, s, c.settings).live(t, c.steps) })
		})
	}
	t.Run("writes are throttled", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), rolling)
		b := a.browser()
		b.set("user", "ada")
		a.store.take()
		for range 7 * 24 {
			a.clock.Advance(hour)
			b.do(look)
		}
		writes := 0
		for _, o := range a.store.take() {
			if o.name == "set" {
				writes++
			}
		}
		require.Equal(t, 9, writes, "one for every 17 hours")
	})
	t.Run("a cookie that could not be sent is sent with the next look", func(t *testing.T) {
		a := newApp(t, store.NewMemory(), rolling)
		b := a.browser()
		b.set("user", "ada")
		a.clock.Advance(3 * day)
		got := b.serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			_, _ = w.Write([]byte("begun"))
			look(session.From(r))
		})
		require.Nil(t, got.cookie())
		require.Equal(t, at(10*day).UnixMilli(), storedExpiry(t, a, b.id()))
		a.clock.Advance(time.Minute)
		require.NotNil(t, b.do(look).cookie())
		a.clock.Advance(time.Minute)
		require.Nil(t, b.do(look).cookie())
	})
}
