package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// delayed is an error of a store that knows when to retry.
type delayed struct {
	error
	wait time.Duration
}

func (d delayed) RetryIn() time.Duration { return d.wait }
func (d delayed) Unwrap() error          { return d.error }

// TestRetryAfterIsTheStores: Retry-After gives the store's time, in whole
// seconds, and at least one.
func TestRetryAfterIsTheStores(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{store.ErrUnavailable, "1"},
		{delayed{store.ErrUnavailable, 0}, "1"},
		{delayed{store.ErrUnavailable, -time.Hour}, "1"},
		{delayed{store.ErrNoSpace, 10 * time.Millisecond}, "1"},
		{delayed{store.ErrUnavailable, time.Second}, "1"},
		{delayed{store.ErrUnavailable, time.Second + 1}, "2"},
		{fmt.Errorf("detail: %w", delayed{store.ErrUnavailable, 29 * time.Second}), "29"},
		{errors.Join(errors.New("first"), delayed{store.ErrNoSpace, 2 * time.Second}), "2"},
		{delayed{errors.New("what no time mends"), time.Second}, ""},
	} {
		for _, when := range []string{"get", "set"} {
			var s *site
			s = newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
				if _, err := session.From(r).Has("user"); err != nil {
					s.manager.WriteError(w, r, err)
					return
				}
				require.NoError(t, session.From(r).Set("n", 1))
			})
			id := s.login("ada")
			s.store.fail(on(when, c.err), nil)
			got := s.get(id)
			require.Equal(t, c.says, got.Header.Get("Retry-After"), "%v at %s", c.err, when)
			status := http.StatusServiceUnavailable
			if c.says == "" {
				status = http.StatusInternalServerError
			}
			require.Equal(t, status, got.StatusCode, "%v at %s", c.err, when)
			s.store.fail(nil, nil)
			require.Equal(t, http.StatusOK, s.get(id).StatusCode)
		}
	}
}

// TestWhatARetryMayCure: these are exactly the errors by which a storage
// reports its own state.
func TestWhatARetryMayCure(t *testing.T) {
	for _, err := range []error{
		store.ErrUnavailable, store.ErrNoSpace, store.ErrDenied, store.ErrClosed,
		session.ErrConflict, context.DeadlineExceeded, context.Canceled,
	} {
		wait, ok := session.RetryAfter(fmt.Errorf("saving: %w", err))
		require.True(t, ok, err)
		require.Equal(t, time.Second, wait, err)
	}
	for _, err := range []error{store.ErrCorrupt, session.ErrTooLarge, session.ErrGone, session.ErrHeadersSent} {
		_, ok := session.RetryAfter(err)
		require.False(t, ok, err)
	}
}
