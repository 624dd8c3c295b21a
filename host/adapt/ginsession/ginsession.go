// Package ginsession puts sessions into gin.
//
//	engine.Use(gin.Logger(), gin.Recovery(), ginsession.New(sessions))
//	engine.GET("/", func(c *gin.Context) {
//		n, err := session.Increment(ginsession.From(c), visits, 1)
//		…
//	})
//
// The package's README says more.
package ginsession

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/host/session"
)

// New returns middleware for an engine, a group or a route. The handlers behind
// it have a session of the manager. It does what [session.Manager.Handler] does: a
// session is loaded when it is first accessed, and its changes are saved just before
// the response begins, however the handler answers.
//
// A handler that panics saves nothing if gin's recovery comes before this
// middleware. Used twice with one manager, also with the manager's Handler around
// the engine, there is one session and one cookie.
//
// The middleware may be used by several engines.
func New(m *session.Manager) gin.HandlerFunc {
	h := m.Handler(http.HandlerFunc(serve))
	return func(c *gin.Context) {
		w := &writer{ResponseWriter: c.Writer, gin: c}
		// This also happens after a panic: an answer to the panic must not save the session.
		defer w.end()
		h.ServeHTTP((*beneath)(w), c.Request)
	}
}

// serve is the handler within the manager's. It runs the rest of gin's handlers with
// the request and the writer that it is given.
func serve(w http.ResponseWriter, r *http.Request) {
	if b, ok := w.(*beneath); ok {
		// The manager is around already, and gin's writer leads to its own.
		b.gin.Request = r
		b.gin.Next()
		return
	}
	// The manager's writer is right above the one that New made.
	front := (*writer)(w.(interface{ Unwrap() http.ResponseWriter }).Unwrap().(*beneath))
	front.session = w
	front.gin.Request, front.gin.Writer = r, front
	front.gin.Next()
}

// From returns the request's session. It panics if New's middleware does not come
// before the calling handler, and no manager's Handler is around the engine. With
// several managers it returns the innermost one's; for another one's, call
// [session.Manager.From] with c.Request.
func From(c *gin.Context) *session.Session {
	s, ok := session.FromContext(c.Request.Context())
	if !ok {
		panic("ginsession: the request has no session: put the middleware of ginsession.New before the handler")
	}
	return s
}

// Abort answers for an error of the session, or any other, and keeps the handlers
// after this one from running. The response is that of Settings.OnError, for example
// 503 for a storage that is down, in place of the handler's own; the session stores
// nothing more. The error is among c.Errors, so that gin's logger shows it. After the
// first byte only an event can report it; see [session.Session.Check]. An error that
// says only that the client has left is not answered.
//
//	n, err := session.Increment(ginsession.From(c), visits, 1)
//	if err != nil {
//		ginsession.Abort(c, err)
//		return
//	}
func Abort(c *gin.Context, err error) {
	_ = c.Error(err)
	if left := c.Request.Context().Err(); left == nil || !errors.Is(err, context.Canceled) {
		From(c).Check(err)
	}
	c.Abort()
}

// Protect returns middleware, for use behind New's, that lets a request that changes
// something through only if no other site can have made a browser send it. See
// [session.Manager.Protect]; nil is for no trusted origins. A request that is refused
// does not reach the handlers after this one.
//
//	account := engine.Group("/account", ginsession.New(sessions), ginsession.Protect(sessions, nil))
func Protect(m *session.Manager, origins *http.CrossOriginProtection) gin.HandlerFunc {
	protect := m.Protect(origins)
	return func(c *gin.Context) {
		passed := false
		protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

// FromContext returns the session of a context that is a [gin.Context] or was made
// from one. It does not need gin's ContextWithFallback, which session.FromContext does
// if it is given such a context. For any other context it is session.FromContext.
func FromContext(ctx context.Context) (s *session.Session, ok bool) {
	if r, isGin := ctx.Value(gin.ContextRequestKey).(*http.Request); isGin {
		ctx = r.Context()
	}
	return session.FromContext(ctx)
}
