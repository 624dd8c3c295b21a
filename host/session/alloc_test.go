package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestAllocationsOfALife: reading a session's life allocates nothing.
func TestAllocationsOfALife(t *testing.T) {
	settings := session.Defaults()
	settings.OnEvent = session.Events()
	settings.Rolling, settings.AnonymousLifetime = true, time.Hour
	m, err := session.New(store.NewMemory(), settings)
	require.NoError(t, err)
	s := m.Session(t.Context(), saveNew(t, m, "x"))
	require.NoError(t, errors.Join(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(90*24*time.Hour), s.SetExpiry(90*24*time.Hour),
		s.LogIn("ada", nil), s.Save()))
	id, err := s.ID()
	require.NoError(t, err)
	for name, read := range map[string]func(s *session.Session){
		"value":   func(s *session.Session) { _, _ = benchUser.Get(s) },
		"expires": func(s *session.Session) { _, _ = s.Expires() },
	} {
		h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { read(session.From(r)) }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
		w := &discard{header: make(http.Header)}
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		}), 4.0, name)
	}
}

// TestAllocations counts what a request allocates over the native store: its own piece,
// the session, and the record. A write adds the encoded value, the list of changes, and
// the record to be stored. An unused addition must cost nothing.
func TestAllocations(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		settings := session.Defaults()
		settings.OnEvent = session.Events()
		if sealed {
			settings.Keyring = keyring(t, secretNew)
		}
		m, err := session.New(store.NewMemory(), settings)
		require.NoError(t, err)
		id := saveNew(t, m, "x")
		bound, _ := logIn(t, m, "ada")
		for _, c := range []struct {
			name string
			id   string
			want float64
			do   func(s *session.Session)
		}{
			{"unused", id, 1, nil},
			{"asked for and unused", id, 2, func(*session.Session) {}},
			{"read", id, 3, func(s *session.Session) { _, _ = benchUser.Get(s) }},
			{"read without an error", id, 3, func(s *session.Session) { _ = benchUser.Value(s) }},
			{"read of several", id, 3, func(s *session.Session) { _, _, _ = benchUser.Value(s), benchCount.Value(s), benchUser.Value(s) }},
			{"write", id, 6, func(s *session.Session) { _ = benchCount.Set(s, 1) }},
			{"write without an error", id, 6, func(s *session.Session) { benchCount.Put(s, 1) }},
			{"unused, of a user", bound, 1, nil},
			{"read, of a user", bound, 4, func(s *session.Session) { _, _ = benchUser.Get(s) }},
			{"read without an error, of a user", bound, 4, func(s *session.Session) { _ = benchUser.Value(s) }},
			{"the user", bound, 10, func(s *session.Session) { _, _ = s.User() }},
			{"the user without an error", bound, 10, func(s *session.Session) { _ = session.Value(s, s.User) }},
		} {
			h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if c.do != nil {
					c.do(session.From(r))
				}
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session_id", Value: c.id})
			w := &discard{header: make(http.Header)}
			require.Equal(t, c.want, fewest(func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}), "%s, sealed %v", c.name, sealed)
		}
	}
}

// fewest returns the fewest allocations of a call. Under the race detector a
// sync.Pool drops some values at random.
func fewest(f func()) float64 {
	n := testing.AllocsPerRun(1, f)
	for range 100 {
		n = min(n, testing.AllocsPerRun(1, f))
	}
	return n
}
