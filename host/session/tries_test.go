package session_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// contrary is a store that on request calls every conditional write a conflict,
// and takes its time to do so.
type contrary struct {
	store.Store
	takes time.Duration
	on    atomic.Bool
	tries atomic.Int64
}

func (c *contrary) Set(ctx context.Context, w store.Write) error {
	if !c.on.Load() || w.Expect == store.Any {
		return c.Store.Set(ctx, w)
	}
	c.tries.Add(1)
	time.Sleep(c.takes)
	return store.ErrConflict
}

// conflicting are the ways to meet conflicts, each with its own loop.
var conflicting = map[string]func(s *session.Session, m *session.Manager, publicID string) error{
	"Save": func(s *session.Session, _ *session.Manager, _ string) error {
		return errors.Join(s.Set("n", 2), s.Save())
	},
	"Increment": func(s *session.Session, _ *session.Manager, _ string) error {
		_, err := session.Increment(s, benchCount, 1)
		return err
	},
	"Pop": func(s *session.Session, _ *session.Manager, _ string) error {
		_, err := s.Pop("user", new(string))
		return err
	},
	"LogIn": func(s *session.Session, _ *session.Manager, _ string) error {
		return errors.Join(s.LogIn("ada", nil), s.Save())
	},
	"LogIn of another": func(s *session.Session, _ *session.Manager, _ string) error {
		return errors.Join(s.LogIn("bob", nil), s.Save())
	},
	"Renew": func(s *session.Session, _ *session.Manager, _ string) error { return errors.Join(s.Renew(), s.Save()) },
	"SetExpiry": func(s *session.Session, _ *session.Manager, _ string) error {
		return errors.Join(s.SetExpiry(time.Hour), s.Save())
	},
	"Destroy": func(s *session.Session, _ *session.Manager, _ string) error { return s.Destroy() },
	"Revoke": func(_ *session.Session, m *session.Manager, publicID string) error {
		_, err := m.Revoke(ctx, "ada", publicID)
		return err
	},
	"RevokeAll": func(_ *session.Session, m *session.Manager, _ string) error {
		_, err := m.RevokeAll(ctx, "ada")
		return err
	},
}

// TestAStoreThatCallsEverythingAConflict: however slow it is, it holds nobody
// for longer than half of StoreTimeout plus the running write. However fast it
// is, the number of tries is bounded.
func TestAStoreThatCallsEverythingAConflict(t *testing.T) {
	const timeout = 2 * time.Second
	for name, do := range conflicting {
		for _, c := range []struct {
			takes         time.Duration
			timeout, most time.Duration
			least, tries  int64
		}{
			{45 * time.Millisecond, timeout, timeout/2 + 100*time.Millisecond, 10, 30},
			{3 * time.Second, timeout, 2 * 3 * time.Second, 2, 2},
			{0, timeout, timeout / 2, 100, 256},
			{45 * time.Millisecond, 0, 5*time.Second + 100*time.Millisecond, 50, 120},
			{0, 0, 5 * time.Second, 100, 256},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					beneath := &contrary{Store: store.NewMemory(), takes: c.takes}
					settings := session.Defaults()
					settings.StoreTimeout = c.timeout
					settings.OnEvent = func(context.Context, session.Event) {}
					m, err := session.New(beneath, settings)
					require.NoError(t, err)
					id, publicID := logIn(t, m, "ada")
					s := m.Session(ctx, id)
					require.NoError(t, s.Set("user", "ada"))
					require.NoError(t, s.Save())

					beneath.on.Store(true)
					begin := time.Now()
					err = do(s, m, publicID)
					took := time.Since(begin)
					require.ErrorIs(t, err, session.ErrConflict)
					require.Regexp(t, `\d+ tries in [\d.]+m?s to `, err.Error())
					require.LessOrEqual(t, took, c.most)
					require.LessOrEqual(t, beneath.tries.Load(), c.tries+1)
					require.GreaterOrEqual(t, beneath.tries.Load(), c.least)
					wait, ok := session.RetryAfter(err)
					require.True(t, ok)
					require.GreaterOrEqual(t, wait, time.Second)

					beneath.on.Store(false)
					require.NoError(t, do(m.Session(ctx, id), m, publicID), "and nothing was broken by it")
				})
			})
		}
	}
}

// TestAReadOfWhatIsAlwaysAConflict: reading a session that is not in its user's
// list removes it, which is also a conditional write.
func TestAReadOfWhatIsAlwaysAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := store.NewMemory()
		beneath := &contrary{Store: memory, takes: 45 * time.Millisecond}
		settings := session.Defaults()
		settings.StoreTimeout = time.Second
		settings.OnEvent = func(context.Context, session.Event) {}
		m, err := session.New(beneath, settings)
		require.NoError(t, err)
		id, _ := logIn(t, m, "ada")
		key := storageKeyOf(id)
		for k, err := range memory.Keys(ctx, store.At(time.Now())) {
			require.NoError(t, err)
			if string(k) != key {
				require.NoError(t, memory.Delete(ctx, k, 0), "the list goes")
			}
		}
		beneath.on.Store(true)
		for name, read := range map[string]func(s *session.Session) error{
			"Has":     func(s *session.Session) error { _, err := s.Has("n"); return err },
			"Alive":   func(s *session.Session) error { _, err := s.Alive(); return err },
			"Save":    func(s *session.Session) error { return errors.Join(s.Set("n", 1), s.Save()) },
			"Destroy": func(s *session.Session) error { return s.Destroy() },
		} {
			begin := time.Now()
			require.ErrorIs(t, read(m.Session(ctx, id)), session.ErrConflict, name)
			require.LessOrEqual(t, time.Since(begin), 600*time.Millisecond, name)
		}
	})
}

// TestAConflictWithoutEndIsAnswered with 503 and the time for a retry.
func TestAConflictWithoutEndIsAnswered(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		beneath := &contrary{Store: s, takes: 5 * time.Millisecond}
		a := newApp(t, beneath, func(s *session.Settings) { s.StoreTimeout, s.RenewEvery = 200*time.Millisecond, time.Hour })
		id := a.login("ada")
		a.kinds()
		beneath.on.Store(true)
		for range 2 {
			got := a.at(id, func(s *session.Session) { require.NoError(t, s.Set("n", 1)) })
			require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
			require.Equal(t, "1", got.Header.Get("Retry-After"))
			require.Less(t, beneath.tries.Swap(0), int64(50))
			require.Contains(t, a.kinds(), session.EventUnavailable)
			a.clock.Advance(2 * time.Hour) // the next request must renew the id
		}
		beneath.on.Store(false)
		require.Equal(t, "ada", a.peek(id))
	})
}
