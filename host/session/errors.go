package session

import (
	"context"
	"errors"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Errors of this package. Those of the storage beneath come through wrapped
// and unchanged, so [errors.Is] finds [store.ErrUnavailable] and the others.
var (
	// ErrSettings is returned when a setting is wrong by itself or beside another.
	ErrSettings = errors.New("session: invalid settings")

	// ErrInvalidExpiry is returned when a time to live, an end or a timeout is one
	// that a session cannot have.
	ErrInvalidExpiry = errors.New("session: invalid expiry")

	// ErrHeadersSent is returned when a change needs a cookie and the response's
	// headers have already left.
	ErrHeadersSent = errors.New("session: the response headers were already sent")

	// ErrCrossSite is returned when a session would begin in a request for which the
	// browser keeps the session's cookie back: it would replace the one that the
	// browser has.
	ErrCrossSite = errors.New("session: with a request from another site, browsers do not send the session's cookie")

	// ErrGone is returned when another request destroyed or renewed the session in the
	// meantime. The change was not stored.
	ErrGone = errors.New("session: the session was ended by another request")

	// ErrRenewed, which is also an ErrGone, is returned when the session lives on:
	// another request gave it a new id, by Renew or LogIn, and the old id is
	// worthless. A session whose id was renewed by age (Settings.RenewEvery) is
	// followed, without an error.
	ErrRenewed error = renewedError{}

	// ErrConflict is returned when a change could not be stored within its time or
	// number of tries (see Settings.StoreTimeout), because others kept changing the
	// same session.
	ErrConflict = errors.New("session: too many conflicting changes")

	// ErrTooLarge is returned when a session is above Settings.MaxSize, or above what
	// the store takes, then together with [store.ErrTooLarge].
	ErrTooLarge = errors.New("session: too large")

	// ErrKey is returned when the name of a value is empty or longer than MaxKey.
	ErrKey = errors.New("session: invalid key")

	// ErrEncode is returned when the codec cannot encode a value.
	ErrEncode = errors.New("session: value cannot be encoded")

	// ErrDecode is returned when a value or record cannot be decoded.
	ErrDecode = errors.New("session: cannot be decoded")
)

type renewedError struct{}

func (renewedError) Error() string {
	return "session: another request renewed the session, which goes on under a new id"
}

func (renewedError) Unwrap() error { return ErrGone }

// RetryAfter reports whether what failed may succeed if it is tried again later,
// and how long to wait, for your own OnError. It may if the storage is down,
// full, closed, or not writable for now, if it took too long, or if others kept
// changing the session. The wait is at least a second.
func RetryAfter(err error) (wait time.Duration, ok bool) {
	for _, curable := range [...]error{
		store.ErrUnavailable, store.ErrNoSpace, store.ErrDenied, store.ErrClosed, ErrConflict,
		context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, curable) {
			return max(time.Second, store.RetryIn(err)), true
		}
	}
	return 0, false
}
