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
	// ErrSettings is a setting that is wrong by itself or beside another one.
	ErrSettings = errors.New("session: invalid settings")

	// ErrExpiry is a time to live, an end or a timeout that a session cannot
	// have.
	ErrExpiry = errors.New("session: invalid expiry")

	// ErrHeadersSent is a change that needs a cookie, made when the response's
	// headers had already left.
	ErrHeadersSent = errors.New("session: the response headers were already sent")

	// ErrCrossSite is a new session for a request from which the browser keeps
	// the session's cookie back: it would replace the one that the browser has.
	ErrCrossSite = errors.New("session: a request of another site, from which browsers keep the session's cookie back")

	// ErrGone is a change to a session that another request destroyed or
	// renewed in the meantime. The change was not stored.
	ErrGone = errors.New("session: the session was ended by another request")

	// ErrRenewed is ErrGone of a session that lives on: another request gave it a
	// new id, by Renew or LogIn, and whoever has the old one has nothing more.
	// A session that got a new id because it was time to (Settings.RotateEvery)
	// is followed, and no error.
	ErrRenewed error = renewedError{}

	// ErrConflict is a change that could not be stored in the time or number of
	// tries that there is for it (see Settings.StoreTimeout), because others kept
	// changing the same session.
	ErrConflict = errors.New("session: too many conflicting changes")

	// ErrTooLarge is a session above Settings.MaxSize, or above what the store
	// takes; there it comes along with [store.ErrTooLarge].
	ErrTooLarge = errors.New("session: too large")

	// ErrKey is a name for a value that is empty or longer than MaxKey.
	ErrKey = errors.New("session: invalid key")

	// ErrEncode is a value that the codec cannot encode.
	ErrEncode = errors.New("session: value cannot be encoded")

	// ErrDecode is a value or record that cannot be decoded.
	ErrDecode = errors.New("session: cannot be decoded")
)

type renewedError struct{}

func (renewedError) Error() string {
	return "session: another request renewed the session, which goes on under a new id"
}

func (renewedError) Unwrap() error { return ErrGone }

// RetryAfter reports whether what failed may succeed if it is tried again later, and
// the time until then, for an OnError of one's own: the storage is down, full,
// closed, or may not be written to for now, it took too long, or others changed the
// session all the time. It is at least a second.
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
