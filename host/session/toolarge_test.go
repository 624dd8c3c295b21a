package session_test

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// overLarge runs a test over stores that accept megabytes, in the clear and
// sealed. One can be asked for a value up to a size and one cannot.
func overLarge(t *testing.T, f func(t *testing.T, s store.Store, seal func(*session.Settings))) {
	for name, open := range map[string]func() store.Store{
		"bounded":   func() store.Store { return store.NewMemory() },
		"unbounded": func() store.Store { return struct{ store.Store }{store.NewMemory()} },
	} {
		t.Run(name+", in the clear", func(t *testing.T) { f(t, open(), func(*session.Settings) {}) })
		t.Run(name+", sealed", func(t *testing.T) {
			f(t, open(), func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
		})
	}
}

// TestRecordsAboveMaxSize: they are not loaded, whoever wrote them. The request
// gets a fresh session, and an event names the setting.
func TestRecordsAboveMaxSize(t *testing.T) {
	overLarge(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		writer := newApp(t, s, seal, func(s *session.Settings) { s.MaxSize = 8 << 20 })
		b := writer.browser()
		b.set("user", "ada")
		b.set("big", strings.Repeat("x", 3<<20))
		id := b.id()

		reader := newApp(t, s, seal)
		require.Empty(t, reader.peek(id))
		events := reader.takeEvents()
		require.Len(t, events, 1)
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		require.ErrorIs(t, events[0].Err, session.ErrDecode)
		require.ErrorContains(t, events[0].Err, "Settings.MaxSize")
		require.Regexp(t, `the value is 3145\d\d\d bytes`, events[0].Err.Error())

		got := b.at(reader).do(func(s *session.Session) { require.NoError(t, s.Set("user", "eve")) })
		require.Equal(t, http.StatusOK, got.StatusCode, "the visitor goes on, with another session")
		require.NotEqual(t, id, b.id())
		require.Equal(t, "ada", writer.peek(id), "what is not read is not removed")

		reader.at(id, func(s *session.Session) { require.NoError(t, s.Destroy()) })
		require.Empty(t, writer.peek(id), "a log-out ends it all the same")
	})
}

// TestALowerMaxSize: it ends no session that was written under the default.
// Such a session can be read and can shrink, but cannot grow.
func TestALowerMaxSize(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		before := newApp(t, s, seal)
		b := before.browser()
		b.do(func(s *session.Session) {
			require.NoError(t, s.LogIn("ada", nil))
			require.NoError(t, s.Set("user", "ada"))
			require.NoError(t, s.Set("big", strings.Repeat("x", 1<<20-500)))
		})
		after := newApp(t, s, seal, func(s *session.Settings) { s.MaxSize = 1000 })
		require.Equal(t, "ada", after.peek(b.id()))
		b.at(after).do(func(s *session.Session) {
			require.NoError(t, s.Set("n", 1))
			require.ErrorIs(t, s.Save(), session.ErrTooLarge)
			require.NoError(t, s.Delete("big"))
			require.NoError(t, s.Save())
		})
		require.Equal(t, "ada", after.peek(b.id()))
		require.NotContains(t, after.kinds(), session.EventCorrupt)
	})
}

// TestAnswerForASessionThatIsTooLarge: the server cannot store what the request made of
// the session, whether its own limit says so or the store's. The request may have been a
// small one, and sending it again does not help. What was stored before stays. A store that
// says so when it is asked for a session is a fault of the store's.
func TestAnswerForASessionThatIsTooLarge(t *testing.T) {
	for name, c := range map[string]struct {
		max    int
		fault  error
		at     string
		status int
	}{
		"above MaxSize":           {1000, nil, "", http.StatusInsufficientStorage},
		"above the store's limit": {0, store.ErrTooLarge, "set", http.StatusInsufficientStorage},
		"without being stored":    {0, store.ErrTooLarge, "get", http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.MaxSize = c.max })
			b := a.browser()
			b.set("user", "ada")
			a.takeEvents()
			if c.fault != nil {
				a.store.fail(on(c.at, c.fault), nil)
			}
			got := b.serve(func(w http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				if _, err := s.Has("user"); err != nil {
					a.manager.WriteError(w, r, err)
					return
				}
				require.NoError(t, s.Set("big", strings.Repeat("x", 2000)))
				_, _ = w.Write([]byte("done"))
			})
			require.Equal(t, c.status, got.StatusCode)
			require.Equal(t, c.status == http.StatusInsufficientStorage, strings.Contains(got.body, "too large"))
			require.NotContains(t, got.body, "done")
			require.Empty(t, got.Header.Get("Retry-After"))
			require.Nil(t, got.cookie())
			require.Equal(t, c.at == "get", slices.Contains(a.kinds(), session.EventUnavailable), "where the storage works, no event says otherwise")
			a.store.fail(nil, nil)
			require.Equal(t, map[string]any{"user": "ada"}, b.values())
		})
	}
}

// TestWhatIsTooLargeIsNotCopied: a hundred requests with the id of a record of
// megabytes take no memory for it.
func TestWhatIsTooLargeIsNotCopied(t *testing.T) {
	const size, requests = 12 << 20, 20
	overLarge(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		if _, ok := s.(store.Bounded); !ok {
			return
		}
		settings := session.Defaults()
		settings.MaxSize = size + 1<<20
		settings.Now = new(sessiontest.Clock).Now
		settings.OnEvent = func(context.Context, session.Event) {}
		seal(&settings)
		writer, err := session.New(s, settings)
		require.NoError(t, err)
		one := writer.Session(ctx, "")
		require.NoError(t, one.Set("big", make([]byte, size)))
		require.NoError(t, one.Save())
		id, err := one.ID()
		require.NoError(t, err)

		corrupt := 0
		settings.MaxSize = session.Defaults().MaxSize
		settings.OnEvent = func(_ context.Context, e session.Event) {
			if e.Kind == session.EventCorrupt {
				corrupt++
			}
		}
		reader, err := session.New(s, settings)
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range requests {
			ok, err := reader.Session(ctx, id).Has("big")
			require.NoError(t, err)
			require.False(t, ok)
		}
		runtime.ReadMemStats(&after)
		require.Equal(t, requests, corrupt)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size), "of %d such records", requests)
	})
}
