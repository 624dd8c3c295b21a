package session_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestEndingThatIsRefused: a removal that fails or conflicts does not count as
// an end.
func TestEndingThatIsRefused(t *testing.T) {
	for _, second := range []error{store.ErrConflict, store.ErrUnavailable, store.ErrNoSpace} {
		a := newApp(t, store.NewMemory())
		b := a.browser()
		b.set("user", "ada")
		sets := 0
		a.store.fail(func(o operation) error {
			if o.name != "set" {
				return nil
			}
			if sets++; sets == 1 {
				return store.ErrNoSpace
			}
			return second
		}, nil)
		b.do(func(s *session.Session) {
			err := s.Destroy()
			require.ErrorIs(t, err, store.ErrNoSpace, second)
			require.False(t, errors.Is(err, session.ErrGone))
		})
		a.store.fail(nil, nil)
		require.Equal(t, 2, sets)
		require.Equal(t, "ada", b.values()["user"])
	}
}
