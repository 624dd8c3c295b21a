package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// exchanged is the server's side of an exchange. Package fibersession tests exchanges
// over a real server.
type exchanged struct {
	*httptest.ResponseRecorder
	request *http.Request
	asked   int // how often for the request
	status  int // of the handler's answer
}

func (e *exchanged) Request() *http.Request { e.asked++; return e.request }
func (e *exchanged) Answered() int          { return e.status }

// exchange begins an exchange for a request.
func exchange(m *session.Manager, r *http.Request, status int) (*session.Exchange, *exchanged) {
	server := &exchanged{httptest.NewRecorder(), r, 0, status}
	x := new(session.Exchange)
	m.Begin(r.Context(), x, server, false)
	return x, server
}

func TestExchange(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			sessions := sessiontest.NewOver(t, s.open(t))
			x, server := exchange(sessions.Manager, sessions.Request("GET", "/", nil), 200)
			require.False(t, x.Used())
			require.NoError(t, x.Finish())
			require.Zero(t, server.asked, "nobody needed the request")
			require.Empty(t, server.Header())

			x, server = exchange(sessions.Manager, sessions.Request("GET", "/", nil), 200)
			own, ok := session.FromContext(x)
			require.True(t, ok)
			require.Same(t, own, x.Session())
			require.Same(t, own, x.Value(sessions.Manager))
			require.True(t, x.Used())
			require.NoError(t, own.Set("user", "ada"))
			require.NoError(t, x.Finish())
			require.Equal(t, 1, server.asked)
			require.Len(t, server.Header()["Set-Cookie"], 1)
			require.Equal(t, "Cookie", server.Header().Get("Vary"))
			require.NoError(t, own.Set("user", "grace"))
			require.NoError(t, x.Close())

			id, err := own.ID()
			require.NoError(t, err)
			var user string
			_, err = sessions.Session(context.Background(), id).Get("user", &user)
			require.NoError(t, err)
			require.Equal(t, "grace", user, "Close saves what was changed after Finish")
		})
	}
}

// TestExchangeErrors: what happens to a session that cannot be saved, or comes too late.
func TestExchangeErrors(t *testing.T) {
	var failed []session.Event
	begin := func(status int, options ...sessiontest.Option) (*sessiontest.Sessions, *session.Exchange, *exchanged) {
		failed = nil
		sessions := sessiontest.New(t, func(s *session.Settings) {
			s.OnEvent = func(_ context.Context, e session.Event) {
				if e.Kind == session.EventFailed {
					failed = append(failed, e)
				}
			}
		})
		x, server := exchange(sessions.Manager, sessions.Request("GET", "/", nil, options...), status)
		return sessions, x, server
	}

	t.Run("the storage fails", func(t *testing.T) {
		sessions, x, server := begin(200)
		require.NoError(t, x.Session().Set("user", "ada"))
		sessions.Store.Fail(store.ErrUnavailable)
		require.ErrorIs(t, x.Finish(), store.ErrUnavailable)
		require.Equal(t, http.StatusServiceUnavailable, server.Code)
		require.True(t, x.Drops("Etag"))
		require.False(t, x.Drops("Set-Cookie"))
		sessions.Store.Fail(nil)
		require.NoError(t, x.Close())
		require.Empty(t, failed, "it was answered")
	})
	t.Run("an error that was taken", func(t *testing.T) {
		for status, answered := range map[int]bool{0: true, 200: false} {
			_, x, _ := begin(status)
			x.Session().Check(session.ErrTooLarge)
			_ = x.Session().Err()
			err := x.Finish()
			require.Equal(t, answered, err != nil, "status %d", status)
		}
	})
	t.Run("the response has left", func(t *testing.T) {
		_, x, server := begin(200)
		require.NoError(t, x.Session().Set("user", "ada"))
		x.Late()
		require.Empty(t, server.Header())
		require.Len(t, failed, 1)
		require.ErrorIs(t, failed[0].Err, session.ErrHeadersSent)

		_, x, _ = begin(200)
		x.Late()
		require.ErrorIs(t, x.Session().Renew(), session.ErrHeadersSent)
		require.Empty(t, failed)

		_, x, _ = begin(200, sessiontest.With("user", "ada"))
		require.NoError(t, x.Session().Set("user", "grace"))
		x.Late()
		require.False(t, x.Session().Modified(), "it was saved")
		require.Empty(t, failed)
	})
	t.Run("a change after Finish", func(t *testing.T) {
		_, x, _ := begin(200)
		require.NoError(t, x.Finish())
		require.NoError(t, x.Session().Set("user", "ada"))
		require.NoError(t, x.Close())
		require.NoError(t, x.Close())
		require.Len(t, failed, 1)
		require.ErrorIs(t, failed[0].Err, session.ErrHeadersSent)
	})
	t.Run("a look after Finish", func(t *testing.T) {
		_, x, _ := begin(200, sessiontest.With("user", "ada"))
		require.NoError(t, x.Finish())
		_, err := x.Session().Keys()
		require.ErrorIs(t, err, session.ErrHeadersSent)
		require.Len(t, failed, 1)

		_, x, server := begin(200, sessiontest.With("user", "ada"))
		require.NoError(t, x.Finish())
		x.Look()
		keys, err := x.Session().Keys()
		require.NoError(t, err)
		require.Equal(t, []string{"user"}, keys)
		require.Equal(t, "Cookie", server.Header().Get("Vary"))
		require.Equal(t, "private", server.Header().Get("Cache-Control"))

		_, x, _ = begin(http.StatusSwitchingProtocols, sessiontest.With("user", "ada"))
		require.NoError(t, x.Finish())
		_, err = x.Session().Keys()
		require.NoError(t, err, "no cache keeps what follows")
	})
	t.Run("a panic", func(t *testing.T) {
		sessions, x, _ := begin(200)
		require.NoError(t, x.Session().Set("user", "ada"))
		require.NoError(t, x.Close())
		require.Zero(t, sessions.Store.Calls(store.OpSet))
		require.Empty(t, failed)
	})
}

// TestExchangeAround: a Handler whose request has an exchange's context is within it.
func TestExchangeAround(t *testing.T) {
	var clashes int
	sessions := sessiontest.New(t, func(s *session.Settings) {
		s.OnEvent = func(_ context.Context, e session.Event) {
			if e.Kind == session.EventClash {
				clashes++
			}
		}
	})
	r := sessions.Request("GET", "/", nil, sessiontest.With("user", "ada"))
	x, server := exchange(sessions.Manager, r, 200)
	sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.Same(t, x.Session(), session.From(r))
	})).ServeHTTP(httptest.NewRecorder(), r.WithContext(x))
	require.Equal(t, 1, server.asked)

	other, err := session.New(sessions.Store, sessions.Settings)
	require.NoError(t, err)
	inner := new(session.Exchange)
	other.Begin(x, inner, &exchanged{httptest.NewRecorder(), r, 0, 200}, true)
	require.Equal(t, 1, clashes)
	require.NotSame(t, x.Session(), inner.Session())
	require.Same(t, x.Session(), inner.Value(sessions.Manager))
}

// TestExchangeLocked: goroutines that save do not meet the server at the header.
func TestExchangeLocked(t *testing.T) {
	sessions := sessiontest.New(t)
	x, server := exchange(sessions.Manager, sessions.Request("GET", "/", nil), 200)
	require.NoError(t, x.Session().Set("user", "ada"))
	require.NoError(t, x.Session().Save())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if s := x.Session(); s.Renew() == nil {
					_ = s.Save()
				}
			}
		})
	}
	for range 50 {
		x.Locked(func() { server.Header().Set("X-Of-The-Handler", "1") })
	}
	require.NoError(t, x.Finish())
	x.Locked(func() { require.Len(t, server.Header()["Set-Cookie"], 1) })
	all.Wait()
}
