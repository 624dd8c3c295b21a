package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// release is one release of an application, over the same store and with the
// same clock as the others.
func release(t *testing.T, first *app, change ...func(*session.Settings)) *app {
	t.Helper()
	a := newApp(t, first.store.Store, change...)
	a.follow(first)
	return a
}

// at makes a browser visit another release.
func (b *browser) at(a *app) *browser { return &browser{b.Browser, a} }

func withKeyring(t *testing.T) func(*session.Settings) {
	return func(s *session.Settings) { s.Keyring = keyring(t, secretNew) }
}

func until(end time.Time) func(*session.Settings) {
	return func(s *session.Settings) { s.ReadUnsealedUntil = end }
}

func unsealed(s *session.Settings) { s.WriteUnsealed = true }

// sealedNow reports whether the stored session is sealed.
func (a *app) sealedNow(id string) bool {
	a.t.Helper()
	b, err := a.store.Store.Get(ctx, []byte(storageKeyOf(id)), store.At(a.clock.Now()))
	require.NoError(a.t, err)
	require.Equal(a.t, !strings.Contains(string(b), "user"), b[abi.RevisionSize] == 2)
	return b[abi.RevisionSize] == 2
}

// TestTurningSealingOnLogsNobodyOut: until the date, old records are read, and
// sealed when they are written. After it they are refused, and an event says
// why.
func TestTurningSealingOnLogsNobodyOut(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		before := newApp(t, s, renewing)
		end := at(3 * day)
		ada, eve, bob := before.browser(), before.browser(), before.browser()
		ada.set("user", "ada")
		eve.set("user", "eve")
		bob.do(func(s *session.Session) {
			require.NoError(t, s.LogIn("bob", nil))
			require.NoError(t, s.Set("user", "bob"))
		})

		after := release(t, before, renewing, withKeyring(t), until(end))
		require.Equal(t, "ada", after.peek(ada.id()))
		require.False(t, after.sealedNow(ada.id()), "a look writes nothing")
		ada.at(after).set("n", 1)
		require.Equal(t, "ada", after.peek(ada.id()))
		require.True(t, after.sealedNow(ada.id()))

		// A timed renewal also converts one form to the other.
		after.clock.Advance(every)
		was := eve.id()
		eve.at(after).do(look)
		require.NotEqual(t, was, eve.id())
		require.True(t, after.sealedNow(eve.id()))
		require.Equal(t, "eve", after.peek(was), "within the grace")

		list, err := after.manager.UserSessions(ctx, "bob")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "bob", after.peek(bob.id()))
		require.NotContains(t, after.kinds(), session.EventCorrupt)
		n, err := after.manager.RevokeAll(ctx, "bob")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, after.peek(bob.id()))

		late := before.browser()
		late.set("user", "late")
		after.clock.Advance(end.Sub(after.clock.Now()) - time.Millisecond)
		require.Equal(t, "late", after.peek(late.id()))
		after.clock.Advance(time.Millisecond)
		after.kinds()
		require.Empty(t, after.peek(late.id()))
		events := after.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		require.ErrorContains(t, events[0].Err, "not sealed")
		require.ErrorContains(t, events[0].Err, "SESSION_READ_UNSEALED_UNTIL")
		require.Equal(t, "ada", after.peek(ada.id()))
	})
}

// TestTurningSealingOnKeepsLogIns: a user who comes back before the date is
// logged in after it, though the list of their sessions would have needed no
// change.
func TestTurningSealingOnKeepsLogIns(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		before := newApp(t, s)
		life := session.Defaults().Lifetime
		bob := before.browser()
		bob.do(func(s *session.Session) { require.NoError(t, s.LogIn("bob", nil)) })

		after := release(t, before, withKeyring(t), until(at(life+day)))
		after.clock.Advance(life - time.Hour)
		bob.at(after).set("user", "bob")
		after.clock.Advance(2 * day)
		require.Equal(t, "bob", after.peek(bob.id()))
		list, err := after.manager.UserSessions(ctx, "bob")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NotContains(t, after.kinds(), session.EventCorrupt)
	})
}

// TestSealedAndUnsealedRecordsSayWhatTheyAre to a program that finds them with
// the wrong settings.
func TestSealedAndUnsealedRecordsSayWhatTheyAre(t *testing.T) {
	plain := newApp(t, store.NewMemory())
	sealed := release(t, plain, withKeyring(t))
	for _, c := range []struct {
		wrote, reads *app
		says         []string
	}{
		{sealed, plain, []string{"sealed and no keyring is set", "WADDLE_SECRET"}},
		{plain, sealed, []string{"not sealed", "keyring"}},
	} {
		id := c.wrote.login("ada")
		require.Empty(t, c.reads.peek(id))
		events := c.reads.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		for _, says := range c.says {
			require.ErrorContains(t, events[0].Err, says)
		}
		c.wrote.kinds()
	}
}

// TestWhatReadingUnsealedOpens: until the date, anyone who can write to the
// storage can make sessions, also in place of sealed ones. After it, nobody
// can.
func TestWhatReadingUnsealedOpens(t *testing.T) {
	plain := newApp(t, store.NewMemory())
	sealed := release(t, plain, withKeyring(t), until(at(day)))
	id := sealed.login("ada")
	planted, err := plain.store.Store.Get(ctx, []byte(storageKeyOf(plain.login("admin"))), clockStart)
	require.NoError(t, err)
	require.NoError(t, plain.store.Store.Set(ctx, store.Write{Key: []byte(storageKeyOf(id)), Value: planted, Now: clockStart}))
	require.Equal(t, "admin", sealed.peek(id), "as the documentation of ReadUnsealedUntil says")
	sealed.clock.Advance(day)
	require.Empty(t, sealed.peek(id))
	require.Contains(t, sealed.kinds(), session.EventCorrupt)
}

// TestAFleetTurnsSealingOnAndOff one process at a time: at every step the old
// and the new release serve the same visitor in turn.
func TestAFleetTurnsSealingOnAndOff(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		none := newApp(t, s)
		knows := release(t, none, withKeyring(t), unsealed)
		seals := release(t, none, withKeyring(t), until(at(30*day)))
		only := release(t, none, withKeyring(t))
		b := none.browser()
		b.set("user", "ada")
		want := 0
		for _, step := range [][]*app{{none}, {none, knows}, {knows, seals}, {seals}, {seals, only}, {only, seals}, {seals, knows}, {knows}, {knows, none}, {none}} {
			for range 2 {
				for _, a := range step {
					want++
					var got int
					b.at(a).do(func(s *session.Session) {
						var err error
						got, err = session.Increment(s, benchCount, 1)
						require.NoError(t, err)
					})
					require.Equal(t, want, got)
					require.Equal(t, a == seals || a == only, a.sealedNow(b.id()))
					require.Equal(t, "ada", a.peek(b.id()))
				}
			}
		}
		for _, a := range []*app{none, knows, seals, only} {
			require.NotContains(t, a.kinds(), session.EventCorrupt)
		}
	})
}
