package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestNativeStoreForgetsVisitors: the native store forgets sessions of visitors
// who do not come back, although nobody sweeps it.
func TestNativeStoreForgetsVisitors(t *testing.T) {
	const alive = 500 // visitors within a session's life
	memory := store.NewMemory()
	sessions := sessiontest.NewOver(t, memory, func(s *session.Settings) {
		s.Lifetime = alive * time.Second
	})
	app := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, sessions.From(r).Set("visit", 1))
	}))
	for range 30 * alive {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com/", nil))
		require.NotEmpty(t, w.Result().Cookies())
		sessions.Clock.Advance(time.Second)
	}
	require.LessOrEqual(t, memory.Len(), 4*alive)
}
