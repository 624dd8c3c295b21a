package echo4session

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/waddle-sessions/waddle/host/session"
)

// Config says how the middleware works.
type Config struct {
	// Manager has the sessions. It is required.
	Manager *session.Manager

	// Skipper returns true for requests without a session, in whose handlers From
	// panics. nil skips none. Echo's middleware.Skipper can be assigned to it.
	Skipper func(c echo.Context) bool

	// HandleError makes the middleware call echo's HTTPErrorHandler as soon as a
	// handler returns an error, so that it can still read and change the session: for
	// error pages that say who is logged in. Without it, echo calls the
	// HTTPErrorHandler when all middlewares have returned, and the session has been
	// saved by then. With it, middlewares further out get the error, but the response
	// has begun.
	HandleError bool
}

// New returns the middleware for an echo instance, a group or a route. It panics
// if there is no manager.
//
// The session is saved before the response begins, and again when the handler has
// returned, with an error or without. A handler that panics saves nothing more,
// whether echo's Recover is outside or inside.
//
// If a handler returns an error of its session or of the store, and has neither
// answered nor given the error a status, the session's OnError answers, by default
// with 503 and Retry-After if the storage is down, and nothing is saved. Put
// [OnError] into the settings if echo's HTTPErrorHandler is to answer. Echo
// answers all other errors.
//
// Twice around a handler, or inside the manager's Handler, it does nothing: there
// is one session and one cookie.
func New(m *session.Manager) echo.MiddlewareFunc {
	return NewWithConfig(Config{Manager: m})
}

// NewWithConfig is like New. It panics if the config is wrong.
func NewWithConfig(config Config) echo.MiddlewareFunc {
	middleware, err := config.ToMiddleware()
	if err != nil {
		panic(err)
	}
	return middleware
}

// ToMiddleware returns the middleware, or an error if there is no manager.
func (config Config) ToMiddleware() (echo.MiddlewareFunc, error) {
	if config.Manager == nil {
		return nil, errors.New("echo4session: Manager is nil: must be what session.New returned")
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if config.Skipper != nil && config.Skipper(c) {
				return next(c)
			}
			return config.serve(c, next)
		}
	}, nil
}

// From returns the session of a request. It panics if the middleware is not around
// the handler, or skipped the request: there is then no session. With several
// managers it returns the innermost one's. The From of a manager takes c.Request().
func From(c echo.Context) *session.Session {
	s, ok := session.FromContext(c.Request().Context())
	if !ok {
		panic("echo4session: the request has no session: call e.Use(echo4session.New(manager)) first, and look at its Skipper")
	}
	return s
}

func (config *Config) serve(c echo.Context, next echo.HandlerFunc) (err error) {
	b := &base{Response: c.Response(), c: c}
	// After a panic, too: an answer to the panic must not save the session.
	defer c.SetResponse(b.Response)
	config.Manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.SetRequest(r)
		if w != http.ResponseWriter(b) { // or else the manager's Handler is around this already
			b.inner = echo.NewResponse(w, c.Echo())
			b.inner.Status = http.StatusOK // as echo's own begins
			c.SetResponse(b.inner)
		}
		defer keepForm(r, c)
		err = next(c)
		switch {
		case err == nil || c.Response().Committed:
		case !hasStatus(err) && fromSession(err):
			config.Manager.From(r).Check(err)
		case config.HandleError:
			c.Error(err)
		}
	})).ServeHTTP(b, c.Request())
	if b.failed != nil {
		return httpError(b.failed).WithInternal(withCause(b.failed, err))
	}
	return err
}

func hasStatus(err error) bool {
	var with *echo.HTTPError
	return errors.As(err, &with)
}

// withCause adds the error that a handler returned to the one for which its session
// failed. It is usually the same error, from a write.
func withCause(failed, returned error) error {
	if returned == nil || errors.Is(returned, failed) {
		return failed
	}
	return errors.Join(failed, returned)
}

// keepForm shows the session's middleware a form that was parsed on a copy of the
// request, such as ContextTimeout makes, so that uploaded files are removed.
func keepForm(r *http.Request, c echo.Context) {
	if last := c.Request(); last != r && r.MultipartForm == nil {
		r.MultipartForm = last.MultipartForm
	}
}

// base is the writer that the session's writer writes to: the Response that
// middlewares further out know. It leads OnError to echo's context.
type base struct {
	*echo.Response
	inner  *echo.Response // the handler's, which writes to the session; nil if that is further out
	c      echo.Context
	failed error // from OnError, for echo to answer
}

// WriteHeader tells the handler's Response which status the client gets, since that may
// be the status of an error.
func (b *base) WriteHeader(status int) {
	b.Response.WriteHeader(status)
	if b.inner != nil {
		b.inner.Status = b.Response.Status
	}
}

func (b *base) Unwrap() http.ResponseWriter { return b.Response }

// Written tells the session's middleware of handlers that write to the outer
// Response, past the session's writer.
func (b *base) Written() bool { return b.Committed }
