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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(next, w, r) })
}

// serve is a method of its own because a compiler that inlines Handler elsewhere would
// not inline WithContext in it, whose copy would then take an allocation.
func (m *Manager) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	outer := writerOf(r.Context())
	if outer != nil {
		if reached := outer.reaches(m, r); reached != nil {
			m.serveWithin(next, w, r, reached, outer)
			return
		}
	}
	q := &request{Context: r.Context()}
	core := &q.writer.flusher.responseWriter
	core.ResponseWriter, core.request, core.manager, core.outer = w, r, m, outer
	if r.ContentLength != 0 {
		// A request with a body may have been under way for long when the handler
		// first looks at the session.
		core.began = m.now()
	}
	q.inner = *r.WithContext(q)
	defer q.end() // after a panic, too
	next.ServeHTTP(q.writer.as(abilitiesOf(w)), &q.inner)
	core.finish()
}

// serveWithin serves a request that already has this manager's session.
func (m *Manager) serveWithin(next http.Handler, w http.ResponseWriter, r *http.Request, reached, innermost *responseWriter) {
	if innermost == reached {
		next.ServeHTTP(w, r)
		return
	}
	// Another manager is in between, and From must find the innermost.
	inner := r.WithContext(&withinContext{r.Context(), reached})
	defer handBack(r, inner)
	next.ServeHTTP(w, inner)
}

// reaches looks for a manager's session among those around a handler, beginning
// with this one. A request that a handler makes itself, with its own context, may
// be somebody else's: it has the session only if it brings the same ids.
func (w *responseWriter) reaches(m *Manager, r *http.Request) *responseWriter {
	for ; w != nil; w = w.outer {
		if w.over.Load() || !w.manager.sameClient(w.knownRequest(), r) {
			continue
		}
		if w.manager == m {
			return w
		}
		m.nestedIn(w.manager, r)
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

// request holds in one piece of memory all that a request needs whose handler does
// not look at its session: the handler's copy of it, the copy's context, and the
// writer. Handlers may keep any of them, so it is never used again.
type request struct {
	context.Context // of the request that Handler was given
	inner           http.Request
	writer          ableWriter
}

// end hands back what the handler learnt. What comes later does not count.
func (q *request) end() {
	q.writer.over.Store(true)
	handBack(q.writer.request, &q.inner)
}

type (
	contextKey struct{} // of the session
	writerKey  struct{} // of the writer, which makes the session when it is asked for
)

func (q *request) Value(key any) any { return q.writer.value(q.Context, key) }

// withinContext is a context with the session of a Handler that is not the innermost.
type withinContext struct {
	context.Context
	writer *responseWriter
}

func (c *withinContext) Value(key any) any { return c.writer.value(c.Context, key) }

func (w *responseWriter) value(around context.Context, key any) any {
	switch key {
	case contextKey{}, any(w.manager):
		return w.session()
	case writerKey{}:
		return w
	}
	return around.Value(key)
}

// writerOf returns the innermost writer of a context, or nil.
func writerOf(ctx context.Context) *responseWriter {
	switch c := ctx.(type) {
	case *request:
		return &c.writer.responseWriter
	case *withinContext:
		return c.writer
	}
	w, _ := ctx.Value(writerKey{}).(*responseWriter)
	return w
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
	if w := writerOf(ctx); w != nil {
		return w.session(), true
	}
	return nil, false
}

// From returns this manager's session of a request, for an application with
// several managers. It panics like the function From.
func (m *Manager) From(r *http.Request) *Session {
	ctx := r.Context()
	if w := writerOf(ctx); w != nil && w.manager == m {
		return w.session()
	}
	s, ok := ctx.Value(m).(*Session)
	if !ok {
		panic("session: the request has no session of this manager: wrap the handler with its Handler")
	}
	return s
}
