package session

import (
	"context"
	"errors"
	"net/http"

	"github.com/waddle-sessions/waddle/host/store"
)

// Manager makes the sessions of an application. It may be used by many
// goroutines. It does not own the store: close that after the server.
type Manager struct {
	settings Settings
	engine   Engine

	duration, idle, absolute      int64 // milliseconds
	seenEvery, rotateEvery, grace int64
	looksCount                    bool // looking at a session may change its record
}

// New returns a manager of sessions in a store. It returns ErrSettings for
// settings that cannot work, see [Settings.Check].
func New(s store.Store, settings Settings) (*Manager, error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	settings.TrustedProxies = unmapped(settings.TrustedProxies)
	if settings.Keyring != nil {
		s = &sealedStore{Store: s, keyring: settings.Keyring, random: settings.Rand}
	}
	engine, err := openEngine(settings.Engine, s)
	if err != nil {
		return nil, err
	}
	if settings.OnError == nil {
		settings.OnError = answerError
	}
	if settings.OnEvent == nil {
		settings.OnEvent = logSerious
	}
	m := &Manager{
		settings:    settings,
		engine:      engine,
		duration:    settings.Duration.Milliseconds(),
		idle:        settings.IdleTimeout.Milliseconds(),
		absolute:    settings.AbsoluteTimeout.Milliseconds(),
		seenEvery:   settings.SeenEvery.Milliseconds(),
		rotateEvery: settings.RotateEvery.Milliseconds(),
		grace:       settings.RotateGrace.Milliseconds(),
	}
	m.looksCount = m.idle != 0 || m.seenEvery != 0 || m.rotateEvery != 0
	return m, nil
}

// Handler wraps a handler with sessions, as one does with middleware: it may
// be passed where a func(http.Handler) http.Handler is asked for.
//
// The session's changes are saved before the response begins, so that whoever
// has the response can rely on them, and once more when the handler has
// returned. A handler that panics saves nothing beyond what was stored by then:
// at the response's beginning, or by Save or Update.
//
// A response whose handler looked at the session says "Vary: Cookie", and
// "Cache-Control: private" unless the handler said something of its own.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{context: requestContext{Context: r.Context()}}
		q.context.session = &q.session
		q.session.attach(m, r.Context(), &q.writer)
		q.writer.ResponseWriter, q.writer.request, q.writer.session = w, r, &q.session
		next.ServeHTTP(&q.writer, r.WithContext(&q.context))
		q.writer.finish()
	})
}

// request is all that a request needs, in one piece of memory.
type request struct {
	context requestContext
	session Session
	writer  responseWriter
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
// around the handler that asks: there is then no session to be had. Of several
// managers it takes the innermost; see [Manager.From].
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

// From returns this manager's session of a request, for an application that
// has several managers. It panics as the function From does.
func (m *Manager) From(r *http.Request) *Session {
	s, ok := r.Context().Value(m).(*Session)
	if !ok {
		panic("session: the request has no session of this manager: wrap the handler with its Handler")
	}
	return s
}

// Open returns the session with an id, or a new one for an id that is empty,
// unknown or expired, for uses without a request and its cookie: a background
// job, a token in a header. Nothing is saved but by Save and Update. [Session.ID]
// then tells the id.
func (m *Manager) Open(ctx context.Context, id string) *Session {
	s := &Session{haveIDs: true, transport: TransportAny}
	s.attach(m, ctx, nil)
	if validID(id) {
		s.ids = []string{id}
	} else if id != "" {
		m.event(ctx, Event{Kind: EventRejected})
	}
	return s
}

// Error answers a request as Settings.OnError says, for a handler that could
// not load its session. Headers that the handler set for its own answer's body
// and for caches are dropped first.
func (m *Manager) Error(w http.ResponseWriter, r *http.Request, err error) {
	dropContentHeaders(w.Header())
	m.settings.OnError(w, r, err)
}

func (m *Manager) now() int64 { return m.settings.Now().UnixMilli() }

func (m *Manager) event(ctx context.Context, e Event) { m.settings.OnEvent(ctx, e) }

// answerError is the default of Settings.OnError.
func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	switch {
	case isUnavailable(err):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "The session storage is not available. Please try again.", http.StatusServiceUnavailable)
	case errors.Is(err, ErrGone):
		http.Error(w, "The session has ended. Please try again.", http.StatusConflict)
	default:
		http.Error(w, "The session could not be saved.", http.StatusInternalServerError)
	}
}
