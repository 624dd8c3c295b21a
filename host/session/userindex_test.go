package session_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// interposed is a store that lets something happen just before a write.
type interposed struct {
	store.Store
	before func(w store.Write)
}

func (s *interposed) Set(ctx context.Context, w store.Write) error {
	if f := s.before; f != nil {
		s.before = nil
		f(w)
	}
	return s.Store.Set(ctx, w)
}

// TestListThatComesAgain: between the reading and the writing of a user's list it
// is emptied and begun anew. What the new list has must not be written over.
func TestListThatComesAgain(t *testing.T) {
	shared := store.NewMemory()
	slow := &interposed{Store: shared}
	first, err := session.New(slow, session.Defaults())
	require.NoError(t, err)
	second, err := session.New(shared, session.Defaults())
	require.NoError(t, err)
	logIn := func(m *session.Manager) *session.Session {
		s := m.Open(ctx, "")
		require.NoError(t, s.LogIn("ada", nil))
		require.NoError(t, s.Save())
		return s
	}
	logIn(second)
	slow.before = func(store.Write) {
		_, err := second.EndAll(ctx, "ada")
		require.NoError(t, err)
		logIn(second)
	}
	logIn(first)
	list, err := second.Sessions(ctx, "ada")
	require.NoError(t, err)
	require.Len(t, list, 2)
}
