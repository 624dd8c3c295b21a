package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestSessionIsOne: however and whenever a request's goroutines ask for its session, all
// get the same one, also while the response begins and after the request has ended.
func TestSessionIsOne(t *testing.T) {
	m, err := session.New(store.NewMemory(), session.Settings{OnEvent: session.Events()})
	require.NoError(t, err)
	type wrapped struct{ context.Context }
	for range 300 {
		var late *http.Request
		sessions := make(chan *session.Session, 100)
		serve(t, m, "", func(w http.ResponseWriter, r *http.Request) {
			late = r
			timed, cancel := context.WithTimeout(wrapped{r.Context()}, time.Hour)
			defer cancel()
			var all sync.WaitGroup
			start := make(chan struct{})
			for i := range 8 {
				all.Go(func() {
					<-start
					switch i % 4 {
					case 0:
						sessions <- session.From(r)
					case 1:
						s, _ := session.FromContext(timed)
						sessions <- s
					case 2:
						sessions <- m.From(r.WithContext(timed))
					case 3:
						s := session.From(r.Clone(timed))
						_ = s.Renew() // before the response begins, or too late
						sessions <- s
					}
				})
			}
			close(start)
			_, _ = w.Write([]byte("x"))
			all.Wait()
		})
		sessions <- session.From(late)
		close(sessions)
		first := <-sessions
		for s := range sessions {
			require.Same(t, first, s)
		}
	}
}

// TestFirstLookAfterTheRequest: a session that is first asked for when its request is over
// knows that.
func TestFirstLookAfterTheRequest(t *testing.T) {
	m, err := session.New(store.NewMemory(), session.Settings{OnEvent: session.Events()})
	require.NoError(t, err)
	id := saveNew(t, m, "x")
	var kept *http.Request
	answer := serve(t, m, id, func(_ http.ResponseWriter, r *http.Request) { kept = r })
	require.Empty(t, answer.Header())
	s := session.From(kept)
	_, err = benchUser.Get(s)
	require.ErrorIs(t, err, session.ErrHeadersSent)
	require.NoError(t, benchCount.Set(s, 7))
	require.NoError(t, s.Save(), "a change that needs no cookie")
	n, err := benchCount.Get(m.Session(t.Context(), id))
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.ErrorIs(t, s.Renew(), session.ErrHeadersSent)
}

// serve makes a request with a session's cookie.
func serve(t *testing.T, m *session.Manager, id string, h http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if id != "" {
		r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
	}
	w := httptest.NewRecorder()
	m.Handler(h).ServeHTTP(w, r)
	return w
}
