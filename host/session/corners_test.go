package session_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestHowLongAnOldIDLeadsOn: for running requests an old id leads to the next one for as
// long as 64 renewals take, but not for longer than an hour, and never shorter than for
// clients.
func TestHowLongAnOldIDLeadsOn(t *testing.T) {
	for _, c := range []struct{ every, grace, leads time.Duration }{
		{10 * time.Second, 5 * time.Second, 64 * 10 * time.Second},
		{10 * time.Minute, time.Minute, time.Hour},
		{2 * hour, 90 * time.Minute, 90 * time.Minute},
	} {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.RenewEvery, s.RenewGrace = c.every, c.grace })
		b := a.browser()
		b.set("user", "ada")
		old := b.id()
		a.clock.Advance(c.every)
		b.do(look)
		require.NotEqual(t, old, b.id())
		require.Equal(t, at(c.every+c.leads).UnixMilli(), storedExpiry(t, a, old), "%v", c)
	}
}

// TestDeadCookieOfClashingManagers: a cookie that names nothing to one of two managers
// may be the other's, so neither takes it back.
func TestDeadCookieOfClashingManagers(t *testing.T) {
	var said atomic.Int32
	count := func(_ context.Context, e session.Event) {
		if e.Kind == session.EventClash {
			said.Add(1)
		}
	}
	nested := func(outer, inner string) *app {
		a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.CookieName, s.OnEvent = outer, count })
		settings := session.Defaults()
		settings.CookieName, settings.Now, settings.OnEvent = inner, a.clock.Now, count
		within, err := session.New(store.NewMemory(), settings)
		require.NoError(t, err)
		a.handlers["/"] = a.manager.Handler(within.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			look(a.manager.From(r))
			look(within.From(r))
		})))
		return a
	}
	page := func(a *app) *reply {
		r, err := http.NewRequest(http.MethodGet, a.server.URL+"/", nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Cookie", "session_id="+nobody)
		return fetch(t, a.server.Client(), r)
	}
	require.True(t, takenBack(t, page(nested("session_id", "other_id"))), "apart")
	require.Zero(t, said.Load())
	require.Nil(t, page(nested("session_id", "session_id")).cookie(), "it may be the other's")
	require.Positive(t, said.Load())
}

// TestCookieIsNotRenewedBehindTheHeaders: a cookie of a session that outlives it is sent
// again, and the record says so. A look after the headers have left can send none. If the
// record said otherwise, no later response would send it before the browser drops it.
func TestCookieIsNotRenewedBehindTheHeaders(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.browser()
	b.do(func(s *session.Session) {
		require.NoError(t, s.SetExpiry(3*365*day))
		require.NoError(t, s.Set("user", "ada"))
	})
	a.clock.Advance(50 * day) // more than a tenth of what browsers keep
	before := stored(t, a, b.id())
	a.takeEvents()
	got := b.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Cookie") // so that looking later is allowed
		w.(http.Flusher).Flush()
		look(session.From(r))
	})
	require.Nil(t, got.cookie())
	require.Empty(t, a.takeEvents())
	require.Equal(t, before, stored(t, a, b.id()))
	require.NotNil(t, b.do(look).cookie(), "the next one sends it")
	require.NotEqual(t, before, stored(t, a, b.id()))
}

func stored(t *testing.T, a *app, id string) []byte {
	t.Helper()
	b, err := a.store.Store.Get(ctx, []byte(storageKeyOf(id)), store.At(a.clock.Now()))
	require.NoError(t, err)
	return b
}

// TestWhoMakesRoomInAFullList: sessions that are over by the clock go before those that
// are alive, however old these are, and of those over the one whose log-in is the oldest.
func TestWhoMakesRoomInAFullList(t *testing.T) {
	a := newApp(t, unswept{store.NewMemory()}, func(s *session.Settings) { s.MaxUserSessions = 4 })
	publicID := make(map[string]string)
	in := func(name string, idle time.Duration) {
		s := a.manager.Session(ctx, "")
		require.NoError(t, s.SetIdleTimeout(idle))
		require.NoError(t, s.LogIn("ada", nil))
		require.NoError(t, s.Save())
		id, err := s.PublicID()
		require.NoError(t, err)
		publicID[name] = id
		a.clock.Advance(time.Second)
	}
	in("alive", session.Off)
	in("first over", hour)
	in("second over", hour)
	in("third over", hour)
	a.clock.Advance(2 * hour)
	for _, c := range []struct{ who, ends string }{{"next", "first over"}, {"after", "second over"}, {"last", "third over"}} {
		in(c.who, session.Off)
		now := a.clock.Now()
		a.clock.Set(at(time.Minute)) // by which none is over
		ids := publicIDs(t, a.manager, "ada")
		a.clock.Set(now)
		require.False(t, slices.Contains(ids, publicID[c.ends]), "%s should have ended for %s", c.ends, c.who)
		require.Contains(t, ids, publicID["alive"])
		require.Len(t, ids, 4)
	}
	in("one more", session.Off)
	require.NotContains(t, publicIDs(t, a.manager, "ada"), publicID["alive"], "the oldest, where none is over")
}

// unswept is a store that never removes a record because it has expired, and may still
// have it.
type unswept struct{ store.Store }

func (s unswept) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return s.Store.Get(ctx, key, min(now, clockStart))
}

func (s unswept) Set(ctx context.Context, w store.Write) error {
	w.Now = min(w.Now, clockStart)
	return s.Store.Set(ctx, w)
}
