package sessiontest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Sessions are the sessions of an application under test. Only the test's own
// goroutine may call its methods, since they end the test when they fail.
type Sessions struct {
	// Manager is the sessions' manager; sessions.Handler wraps a handler.
	*session.Manager

	// Settings are the manager's. An application that makes its own manager of these
	// and Store shares the sessions.
	Settings session.Settings

	// Store is where the sessions are kept, and Clock the time by which they
	// live.
	Store *Store
	Clock *Clock

	t testing.TB
}

// New makes sessions in the memory of this process, with the default settings and
// what the functions change in them. Settings.Now is always the Clock's. Settings
// that cannot work end the test.
//
// A nil t is for examples: what would end the test then panics.
func New(t testing.TB, change ...func(*session.Settings)) *Sessions {
	if t != nil {
		t.Helper()
	}
	memory := store.NewMemory()
	s := NewOver(t, memory, change...)
	if t != nil {
		t.Cleanup(func() { _ = memory.Close(context.Background()) })
	}
	return s
}

// NewOver is [New] over a store of the caller, such as a plugin. It does not
// close the store.
func NewOver(t testing.TB, over store.Store, change ...func(*session.Settings)) *Sessions {
	s := &Sessions{Settings: session.Defaults(), Store: NewStore(over), Clock: new(Clock), t: t}
	for _, f := range change {
		f(&s.Settings)
	}
	s.Settings = s.Settings.WithDefaults()
	s.Settings.Now = s.Clock.Now
	m, err := session.New(s.Store, s.Settings)
	if err != nil {
		s.helper()
		s.fatalf("sessiontest: %v", err)
	}
	s.Manager = m
	return s
}

// Option prepares the session that a request comes with. Any function of this
// type is an option, for what [With], [WithKey] and [LoggedIn] do not do.
type Option func(*session.Session) error

// With puts a value into the session.
func With(name string, v any) Option {
	return func(s *session.Session) error { return s.Set(name, v) }
}

// WithKey puts a value into the session under a typed key.
func WithKey[T any](key session.Key[T], v T) Option {
	return func(s *session.Session) error { return key.Set(s, v) }
}

// LoggedIn binds the session to a user, as [session.Session.LogIn] does.
func LoggedIn(user string) Option {
	return func(s *session.Session) error { return s.LogIn(user, nil) }
}

// Request returns a request for a handler under test, as [httptest.NewRequest]
// makes it. It brings the cookie of a session that the options prepared and that
// was stored a moment ago. Without options it brings none.
//
// The test ends if the session cannot be stored: set faults after that.
func (s *Sessions) Request(method, target string, body io.Reader, options ...Option) *http.Request {
	s.helper()
	r := httptest.NewRequest(method, target, body)
	for _, c := range s.cookies(options) {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return r
}

// Token returns the id of a session that the options prepared and that was stored
// a moment ago, for a client that sends it in the header Settings.TokenHeader.
// The test ends if that is not set or nothing is stored.
func (s *Sessions) Token(options ...Option) string {
	s.helper()
	if s.Settings.TokenHeader == "" {
		s.fatalf("sessiontest: Settings.TokenHeader is empty: must be set for Token")
	}
	r := httptest.NewRequest(http.MethodGet, origin, nil)
	r.Header[s.Settings.TokenHeader] = []string{""}
	token := s.begin(r, options).Header.Get(s.Settings.TokenHeader)
	if token == "" {
		s.fatalf("sessiontest: Token needs options that put something into the session")
	}
	return token
}

// After returns the session that a client has once its request is answered: the
// one whose id the response gives it, otherwise the one that the request
// brought. It is a look at what is stored, like one by
// [session.Manager.Session], and does not exist if the session was ended. A nil
// response is for a look before the request is answered.
func (s *Sessions) After(r *http.Request, response *http.Response) *session.Session {
	return s.Session(context.Background(), s.idAfter(r, response))
}

func (s *Sessions) idAfter(r *http.Request, response *http.Response) string {
	name, header := s.Settings.CookieName, s.Settings.TokenHeader
	if header != "" && len(r.Header[header]) > 0 {
		if response != nil && len(response.Header[header]) > 0 {
			return response.Header.Get(header)
		}
		return r.Header.Get(header)
	}
	if response != nil {
		// The last one counts, as in a browser.
		sent := response.Cookies()
		for i := len(sent) - 1; i >= 0; i-- {
			switch c := sent[i]; {
			case c.Name != name:
			case c.MaxAge < 0:
				return ""
			default:
				return c.Value
			}
		}
	}
	for _, c := range r.CookiesNamed(name) {
		if exists, err := s.Session(context.Background(), c.Value).Exists(); exists || err != nil {
			return c.Value
		}
	}
	return ""
}

// cookies stores a session that the options prepare and returns the cookies that
// a browser gets for it.
func (s *Sessions) cookies(options []Option) []*http.Cookie {
	s.helper()
	if len(options) == 0 {
		return nil
	}
	return s.begin(httptest.NewRequest(http.MethodGet, origin, nil), options).Cookies()
}

// begin makes the middleware answer a request whose handler applies the options.
func (s *Sessions) begin(r *http.Request, options []Option) *http.Response {
	s.helper()
	var err error
	w := httptest.NewRecorder()
	s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun := s.From(r)
		for _, option := range options {
			if err = option(begun); err != nil {
				return
			}
		}
		err = begun.Save()
	})).ServeHTTP(w, r)
	if err != nil {
		s.fatalf("sessiontest: the session could not be prepared: %v", err)
	}
	return w.Result()
}

// Value returns what a session has under a key, or the zero value if nothing. The
// test ends if the session cannot be read. A nil t is for examples, as with
// [New].
func Value[T any](t testing.TB, from *session.Session, key session.Key[T]) T {
	v, err := key.Get(from)
	if err != nil {
		if t != nil {
			t.Helper()
		}
		fatalf(t, "sessiontest: value %q: %v", key.Name(), err)
	}
	return v
}

// Values returns all values of a session, decoded into the types that the codec
// chooses by itself: with CBOR, whole numbers become int64. The test ends if the
// session cannot be read or a value cannot be decoded. A nil t is for examples,
// as with [New].
func Values(t testing.TB, from *session.Session) map[string]any {
	if t != nil {
		t.Helper()
	}
	names, err := from.Keys()
	if err != nil {
		fatalf(t, "sessiontest: %v", err)
	}
	values := make(map[string]any, len(names))
	for _, name := range names {
		var v any
		switch ok, err := from.Get(name, &v); {
		case err != nil:
			fatalf(t, "sessiontest: value %q: %v", name, err)
		case !ok:
			fatalf(t, "sessiontest: value %q cannot be decoded", name)
		}
		values[name] = v
	}
	return values
}

// origin is where the requests of this package go unless they say otherwise: over
// TLS, so that cookies that need it are sent.
const origin = "https://example.com/"

func (s *Sessions) helper() {
	if s.t != nil {
		s.t.Helper()
	}
}

func (s *Sessions) fatalf(format string, args ...any) {
	s.helper()
	fatalf(s.t, format, args...)
}

func fatalf(t testing.TB, format string, args ...any) {
	if t == nil {
		panic(fmt.Sprintf(format, args...))
	}
	t.Helper()
	t.Fatalf(format, args...)
}
