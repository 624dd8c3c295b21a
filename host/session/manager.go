package session

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Manager makes the sessions of an application. It may be used by many
// goroutines. It does not own the store: close the store after the server.
type Manager struct {
	settings  Settings
	namespace string // of its keys in the store
	records   boundedRecords

	lifetime, anonymousLifetime, idle, absolute store.Millis // milliseconds
	lastSeenResolution, renewEvery, grace       store.Millis
	rolling                                     bool
	plain                                       bool // Settings.Codec is CBOR itself
	refreshes                                   bool // looking at a session may change its record

	madeAt string      // the place in the program
	clash  atomic.Bool // another manager with the same cookie was reported

	said saidNotices
	dead deadCookies
}

// New returns a manager of sessions in a store; [Settings]{} are the defaults. It
// returns ErrSettings for settings that cannot work, see [Settings.Check].
func New(s store.Store, settings Settings) (*Manager, error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	settings = settings.WithDefaults()
	settings.RenewGrace, settings.StoreTimeout = lasting(settings.RenewGrace), lasting(settings.StoreTimeout)
	settings.TrustedProxies = unmapped(settings.TrustedProxies)
	settings.ReadCodecs = slices.Clone(settings.ReadCodecs)
	if settings.Keyring != nil {
		s = newSealedStore(s, &settings)
	}
	opened, err := settings.openRecords(s)
	if err != nil {
		return nil, err
	}
	if settings.OnError == nil {
		settings.OnError = answerError
	}
	if settings.OnEvent == nil {
		settings.OnEvent = logSerious()
	}
	m := &Manager{
		settings:           settings,
		madeAt:             callerOfNew(),
		namespace:          settings.namespace(),
		records:            boundedRecords{RecordStore: opened, timeout: settings.StoreTimeout},
		lifetime:           store.Span(settings.Lifetime),
		anonymousLifetime:  store.Span(settings.AnonymousLifetime),
		idle:               store.Span(settings.IdleTimeout),
		absolute:           store.Span(settings.AbsoluteTimeout),
		lastSeenResolution: store.Span(settings.LastSeenResolution),
		renewEvery:         store.Span(settings.RenewEvery),
		grace:              store.Span(settings.RenewGrace),
		rolling:            settings.Rolling,
	}
	m.records.byDefault, _ = m.records.RecordStore.(*records)
	_, m.plain = settings.Codec.(cborCodec)
	m.refreshes = m.rolling || m.idle != 0 || m.lastSeenResolution != 0 || m.renewEvery != 0
	return m, nil
}

// Session returns the session with an id, or a new one if the id is empty,
// unknown or expired. It is for uses without a request and its cookie: a
// background job, a token in a header. Only Save and Update save anything;
// [Session.ID] then returns the id. The id of a session that was ended or
// renewed a moment ago gives an empty one whose changes are ErrGone.
func (m *Manager) Session(ctx context.Context, id string) *Session {
	s := &Session{haveIDs: true, transport: TransportAny, began: m.now()}
	s.attach(m, ctx, nil)
	if validID(id) {
		s.ids = []string{id}
	} else if id != "" {
		m.event(ctx, Event{Kind: EventRejected})
	}
	return s
}

// WriteError answers a request with Settings.OnError, for a handler that met an
// error of its session and says so at once; Session.Check leaves it to the
// response. It first drops headers that the handler set for its own answer's
// body, for caches, and for where the client should go; cookies and all others
// stay.
func (m *Manager) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if s, ok := r.Context().Value(m).(*Session); ok {
		s.takeFailure()
	}
	dropContentHeaders(w.Header())
	m.settings.OnError(w, r, err)
}

func (m *Manager) now() store.Millis { return store.At(m.settings.Now()) }

func (m *Manager) event(ctx context.Context, e Event) { m.settings.OnEvent(ctx, e) }

// seconds returns a time in the form of Retry-After.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// answerError is the default of Settings.OnError.
func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	wait, again := RetryAfter(err)
	switch {
	case again:
		w.Header().Set("Retry-After", seconds(wait))
		http.Error(w, "The session storage is not available. Please try again.", http.StatusServiceUnavailable)
	case errors.Is(err, ErrCrossSite):
		http.Error(w, "This request came from another site, so the browser did not send the session's cookie, as the cookie's SameSite attribute demands. "+
			"A new session would have replaced the one that the browser still has, so none was begun. "+
			"For the developers of this site: host/session/README.md of Waddle, \"Answers that come from another site\", shows the ways to do it.", http.StatusForbidden)
	case errors.Is(err, ErrCSRF):
		http.Error(w, refused, http.StatusForbidden)
	case errors.Is(err, ErrTooLarge):
		// Not 413, which is about the request's body: this request may have none.
		http.Error(w, "The session would be too large to be stored. What this request changed in it was not saved.", http.StatusInsufficientStorage)
	case errors.Is(err, ErrGone):
		http.Error(w, "The session has ended. Please try again.", http.StatusConflict)
	default:
		http.Error(w, "The session could not be saved.", http.StatusInternalServerError)
	}
}
