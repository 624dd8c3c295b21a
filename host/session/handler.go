package session

import (
	"context"
	"net/http"
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/handback"
)

// Handler wraps a handler with sessions. It is middleware: it may be passed as a
// func(http.Handler) http.Handler.
//
// The session's changes are saved before the response begins, so that a client
// with the response can rely on them, and once more when the handler has
// returned. A handler that panics saves nothing beyond what was stored by then:
// at the response's beginning, or by Save or Update.
//
// If its handler looked at the session, a response says "Vary: Cookie", and
// "Cache-Control: private" unless the handler said something of its own. A
// handler that first looks after the response has begun gets ErrHeadersSent,
// unless the response itself said "Vary: Cookie", "private" or "no-store": a
// cache in between could otherwise show one visitor's page to others.
//
// The handler must write to the ResponseWriter that it is given. Frameworks with
// their own must be told to: see the package's README.
//
// The handler gets a copy of the request. The copy's Pattern and parsed forms are
// handed back, so that middleware around this one sees them; path values are not.
// Uploaded files are removed from the temporary directory when the handler has
// returned or panicked, except for a form that was parsed outside, or on another
// copy. Inside, http.StripPrefix, http.MaxBytesHandler and http.TimeoutHandler
// make such copies: they belong around this Handler.
//
// Inside another Handler of this manager it does nothing: there is one session
// and one cookie.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer, _ := FromContext(r.Context())
		if outer != nil {
			if s := outer.reaches(m, r); s != nil {
				m.serveWithin(next, w, r, s)
				return
			}
		}
		q := &request{context: requestContext{Context: r.Context()}}
		q.context.session = &q.session
		core := &q.writer.flusher.responseWriter
		core.ResponseWriter, core.request, core.session, core.outer = w, r, &q.session, outer
		q.session.attach(m, r.Context(), core)
		if r.ContentLength != 0 {
			// A request with a body may have been under way for long when the handler
			// first looks at the session.
			q.session.began = m.now()
		}
		inner := r.WithContext(&q.context)
		defer func() { // after a panic, too
			core.over.Store(true)
			handBack(r, inner)
		}()
		next.ServeHTTP(q.writer.as(abilitiesOf(w)), inner)
		core.finish()
	})
}

// serveWithin serves a request that already has this manager's session.
func (m *Manager) serveWithin(next http.Handler, w http.ResponseWriter, r *http.Request, s *Session) {
	if innermost, _ := FromContext(r.Context()); innermost == s {
		next.ServeHTTP(w, r)
		return
	}
	// Another manager is in between, and From must find the innermost.
	inner := r.WithContext(&requestContext{r.Context(), s})
	defer handBack(r, inner)
	next.ServeHTTP(w, inner)
}

// reaches looks for a manager's session among those around a handler, beginning
// with this one. A request that a handler makes itself, with its own context, may
// be somebody else's: it has the session only if it brings the same ids.
func (s *Session) reaches(m *Manager, r *http.Request) *Session {
	for ; s != nil && s.w != nil; s = s.w.outer {
		if s.w.over.Load() || !s.manager.sameClient(s.w.request, r) {
			continue
		}
		if s.manager == m {
			return s
		}
		m.nestedIn(s.manager, r)
	}
	return nil
}

// sameClient reports whether two requests bring the same ids in the same way.
// Other cookies may be gone: middleware in between has taken its own.
func (m *Manager) sameClient(a, b *http.Request) bool {
	var roomA, roomB [1]string
	idsA, byA, rejectedA := m.idsOf(roomA[:0], a.Header)
	idsB, byB, rejectedB := m.idsOf(roomB[:0], b.Header)
	return byA == byB && rejectedA == rejectedB && slices.Equal(idsA, idsB)
}

// handBack gives the request that Handler was given what a handler learnt about
// its copy. net/http removes the files of the forms that it knows, but not after
// a panic or a hijack, and not if somebody outside made a copy too.
func handBack(to, from *http.Request) {
	uploads := to.MultipartForm == nil && from.MultipartForm != nil
	handback.Give(to, from)
	if uploads {
		_ = from.MultipartForm.RemoveAll()
	}
}

// request holds all that a request needs in one piece of memory.
type request struct {
	context requestContext
	session Session
	writer  ableWriter
}

// requestContext is the request's context with the session in it.
type requestContext struct {
	context.Context
	session *Session
}

type contextKey struct{}

func (c *requestContext) Value(key any) any {
	switch key {
	case contextKey{}, any(c.session.manager):
		return c.session
	}
	return c.Context.Value(key)
}

// From returns the session of a request. It panics if no manager's Handler is
// around the calling handler: there is then no session. With several managers it
// returns the innermost one's; see [Manager.From].
func From(r *http.Request) *Session {
	s, ok := FromContext(r.Context())
	if !ok {
		panic("session: the request has no session: wrap the handler with (*session.Manager).Handler")
	}
	return s
}

// FromContext returns the session of a request's context.
func FromContext(ctx context.Context) (s *Session, ok bool) {
	s, ok = ctx.Value(contextKey{}).(*Session)
	return s, ok
}

// From returns this manager's session of a request, for an application with
// several managers. It panics like the function From.
func (m *Manager) From(r *http.Request) *Session {
	s, ok := r.Context().Value(m).(*Session)
	if !ok {
		panic("session: the request has no session of this manager: wrap the handler with its Handler")
	}
	return s
}
