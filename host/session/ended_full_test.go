package session_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// full is a full store: it removes but stores nothing.
type full struct {
	store.Store
	is bool
}

func (f *full) Set(ctx context.Context, w store.Write) error {
	if f.is && (w.Expires == 0 || w.Expires > w.Now) {
		return store.ErrNoSpace
	}
	return f.Store.Set(ctx, w)
}

// TestDestroyWithoutRoom: a log-out works even if nothing can be stored.
func TestDestroyWithoutRoom(t *testing.T) {
	s := &full{Store: store.NewMemory()}
	a := newApp(t, s)
	b := a.browser()
	b.set("user", "ada")
	s.is = true
	thief := a.browser()
	thief.plant("session_id", b.id())
	b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
	require.Empty(t, thief.values())
	require.Empty(t, b.values())
}
