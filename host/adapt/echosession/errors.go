package echosession

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// OnError is for [session.Settings].OnError. It lets echo answer for sessions that
// could not be loaded or saved, so that these errors look like all others of the
// application:
//
//	sessions, err := session.New(engine, session.Settings{OnError: echosession.OnError})
//
// The middleware then returns an *echo.HTTPError, which middlewares further out see
// and echo's HTTPErrorHandler answers. It has the status that the session package
// would answer with, and wraps the cause. The header Retry-After is set where trying
// again may help. After the error the handler's writes are discarded, and the client
// gets the answer when the handler has returned: check the errors that writing
// returns.
//
// Outside of the middleware, as in a manager's Handler around all of echo, OnError
// answers with a text.
func OnError(w http.ResponseWriter, _ *http.Request, err error) {
	if wait, again := session.RetryAfter(err); again {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if b, ok := w.(*base); ok {
		b.failed = err
		return
	}
	failure := httpError(err)
	c := contextOf(w)
	if c == nil {
		http.Error(w, failure.Message, failure.Code)
		return
	}
	// The handler has called Manager.WriteError.
	defer c.SetResponse(c.Response())
	c.SetResponse(w)
	c.Echo().HTTPErrorHandler(c, failure.Wrap(err))
}

// contextOf returns the context whose response a writer writes to, or nil.
func contextOf(w http.ResponseWriter) *echo.Context {
	for {
		if b, ok := w.(*base); ok {
			return b.c
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = wrapper.Unwrap()
	}
}

// httpError returns the error for echo to show. The status is that with which the
// session package answers by default.
func httpError(err error) *echo.HTTPError {
	_, again := session.RetryAfter(err)
	switch {
	case again:
		return echo.NewHTTPError(http.StatusServiceUnavailable, "The session storage is not available. Please try again.")
	case errors.Is(err, session.ErrCrossSite):
		return echo.NewHTTPError(http.StatusForbidden, "This request came from another site, so no session was begun.")
	case errors.Is(err, session.ErrCSRF):
		return echo.NewHTTPError(http.StatusForbidden, "This request may have come from another site. Load the page again and repeat it.")
	case errors.Is(err, session.ErrTooLarge):
		return echo.NewHTTPError(http.StatusInsufficientStorage, "The session would be too large to be stored.")
	case errors.Is(err, session.ErrGone):
		return echo.NewHTTPError(http.StatusConflict, "The session has ended. Please try again.")
	}
	return echo.NewHTTPError(http.StatusInternalServerError, "The session could not be saved.")
}

// fromSession reports whether an error that a handler returned comes from a session
// or its store. Bare errors of contexts may come from anywhere.
func fromSession(err error) bool {
	for _, own := range [...]error{
		store.ErrUnavailable, store.ErrNoSpace, store.ErrDenied, store.ErrClosed, store.ErrTooLarge,
		store.ErrConflict, store.ErrCorrupt, store.ErrInternal, store.ErrInvalid, store.ErrUnsupported,
		session.ErrGone, session.ErrConflict, session.ErrTooLarge, session.ErrCrossSite, session.ErrCSRF,
		session.ErrHeadersSent, session.ErrEncode, session.ErrDecode, session.ErrKey, session.ErrOverflow,
		session.ErrInvalidExpiry, session.ErrInvalidUser, session.ErrInvalidNote, session.ErrSettings,
	} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}
