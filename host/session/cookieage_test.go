package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestCookiesOfMoreThan400Days: browsers keep no cookie for longer, so none is
// sent for longer. It is sent again in time, and an access is enough for that.
func TestCookiesOfMoreThan400Days(t *testing.T) {
	most := 400 * day
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		steps    []lives
	}{
		{"lifetime", func(s *session.Settings) { s.Lifetime = 1000 * day }, []lives{
			{at: 0, do: look, until: 1000 * day, age: most},
			{at: 40 * day, do: look, until: 1000 * day},
			{at: 40*day + ms, do: look, until: 1000 * day, age: most},
			{at: 80 * day, do: look, until: 1000 * day},
			{at: 440 * day, do: look, until: 1000 * day, age: most},
			{at: 800 * day, do: look, until: 1000 * day, age: 200 * day},
			{at: 999 * day, do: look, until: 1000 * day},
			{at: 1000 * day, gone: true},
		}},
		{"own expiry", func(*session.Settings) {}, []lives{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiry(1000 * day) }, until: 1000 * day, age: most},
			{at: 30 * day, do: change, until: 1030 * day},
			{at: 399 * day, do: change, until: 1399 * day, age: most},
		}},
		{"own end", func(*session.Settings) {}, []lives{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiryTime(s0.Add(1000 * day)) }, until: 1000 * day, age: most},
			{at: 399 * day, do: look, until: 1000 * day, age: most},
			{at: 798 * day, do: change, until: 1000 * day, age: 202 * day},
		}},
		{"exactly", func(s *session.Settings) { s.Lifetime = most }, []lives{
			{at: 0, do: look, until: most, age: most},
			{at: 399 * day, do: look, until: most},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) { newApp(t, s, c.settings).live(t, c.steps) })
		})
	}
	t.Run("a clock that was years ahead", func(t *testing.T) {
		overStores(t, func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			a.clock.Advance(3000 * day)
			b := a.browser()
			b.set("user", "ada")
			a.clock.Set(sessiontest.Start)
			got := b.set("n", 1)
			require.NotNil(t, got.cookie(), "what the browser made of that time is not known")
			require.Equal(t, int((7 * day).Seconds()), got.cookie().MaxAge)
			require.Nil(t, b.set("n", 2).cookie())
		})
	})
}

// TestAnonymousLifetime: anonymous visitors are forgotten soon.
func TestAnonymousLifetime(t *testing.T) {
	short := func(s *session.Settings) { s.AnonymousLifetime = hour }
	logIn := func(s *session.Session) { _ = s.LogIn("ada", nil) }
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		steps    []lives
	}{
		{"a visitor", short, []lives{
			{at: 0, do: look, until: hour, age: hour},
			{at: hour / 2, do: change, until: hour + hour/2, age: hour},
			{at: hour + hour/2, gone: true},
		}},
		{"who logs in", short, []lives{
			{at: 0, do: look, until: hour, age: hour},
			{at: hour / 2, do: logIn, until: 7*day + hour/2, age: 7 * day},
			{at: 6 * day, do: change, until: 13 * day, age: 7 * day},
			{at: 13*day - ms, do: look, until: 13 * day},
			{at: 13 * day, gone: true},
		}},
		{"who is logged in from the start", short, []lives{
			{at: 0, do: logIn, until: 7 * day, age: 7 * day},
		}},
		{"who logs out and goes on", short, []lives{
			{at: 0, do: logIn, until: 7 * day, age: 7 * day},
			{at: day, do: func(s *session.Session) { _ = s.Clear(); _ = s.Set("user", "ada") }, until: day + hour, age: hour},
			{at: day + hour, gone: true},
		}},
		{"who has a life of his own", short, []lives{
			{at: 0, do: func(s *session.Session) { _ = s.SetExpiry(2 * day) }, until: 2 * day, age: 2 * day},
		}},
		{"with an idle timeout", func(s *session.Settings) { s.AnonymousLifetime, s.IdleTimeout = hour, 20*time.Minute }, []lives{
			{at: 0, do: look, until: 20 * time.Minute, age: hour},
			{at: 19 * time.Minute, do: look, until: 39 * time.Minute},
			{at: 38 * time.Minute, do: look, until: 58 * time.Minute},
			{at: 57 * time.Minute, do: look, until: hour},
			{at: hour, gone: true},
		}},
		{"rolling", func(s *session.Settings) { s.AnonymousLifetime, s.Rolling = hour, true }, []lives{
			{at: 0, do: look, until: hour, age: hour},
			{at: 50 * time.Minute, do: look, until: 110 * time.Minute, age: hour},
			{at: 110 * time.Minute, gone: true},
		}},
		{"rolling, logged in", func(s *session.Settings) { s.AnonymousLifetime, s.Rolling = hour, true }, []lives{
			{at: 0, do: logIn, until: 7 * day, age: 7 * day},
			{at: 6 * day, do: look, until: 13 * day, age: 7 * day},
		}},
		{"renewed by age", func(s *session.Settings) { s.AnonymousLifetime, s.RenewEvery = hour, 2*hour }, []lives{
			{at: 0, do: logIn, until: 7 * day, age: 7 * day},
			{at: 3 * hour, do: look, until: 7 * day, age: 7*day - 3*hour},
			{at: 4 * hour, do: change, until: 7*day + 4*hour},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
				newApp(t, s, c.settings, seal).live(t, c.steps)
			})
		})
	}
}
