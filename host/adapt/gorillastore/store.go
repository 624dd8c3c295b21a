// Package gorillastore keeps the sessions of github.com/gorilla/sessions in any
// [store.Store]: a bundled engine, a plugin of your own, the native store.
//
//	sessions, err := gorillastore.New(engine, gorillastore.Settings{})
//	session, err := sessions.Get(r, "name")
//
// The cookie holds 256 random bits, and the store learns a hash of them. Sessions
// may be larger than a cookie. Requests that change different values of one
// session at the same time both keep their change: [Store.Save] merges them. A
// session that was deleted stays so: see [ErrEnded].
//
// [TakeOver] lets a server with a [session.Manager] go on with the sessions that
// gorilla left behind, in cookies, files or elsewhere.
package gorillastore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/host/adapt/internal/records"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrEnded is returned when a request saves a session that another request deleted
// or gave another id, or that expired meanwhile. Nothing is stored, and no cookie is
// sent.
var ErrEnded = fmt.Errorf("gorillastore: %w", records.ErrEnded)

// Settings say how sessions are kept. The zero value of each is its default.
type Settings struct {
	// Options are those of new sessions, until [Store.Options] is changed. nil stands
	// for path "/", 30 days, HttpOnly, Secure and SameSite=Lax.
	Options *sessions.Options

	// Lifetime is how long a session is kept after it was saved if its Options.MaxAge is
	// 0, so that its cookie ends with the browser; default 7 days. Otherwise it is kept
	// for MaxAge.
	Lifetime time.Duration

	// Codecs sign or encrypt the id in the cookie, as gorilla's own stores do; see
	// [securecookie.CodecsFromPairs]. Nobody can guess an id, so nil is safe, too.
	Codecs []securecookie.Codec

	// Namespace keeps applications apart that share a store. It has up to
	// [session.MaxNamespace] bytes and no NUL. Sessions of different names are kept
	// apart anyway.
	Namespace string

	// Keyring seals sessions before they reach the store; nil leaves them readable to
	// it. Until ReadUnsealedUntil those that are not sealed are read as well, so that a
	// Keyring can be set without logging anybody out.
	Keyring           *session.Keyring
	ReadUnsealedUntil time.Time

	// MaxSize bounds the encoded values, in bytes; default 1 MiB. More is
	// [session.ErrTooLarge].
	MaxSize int

	// Timeout bounds one call of the store; default 10 seconds, [session.Off] for none.
	// The request's context bounds it as well.
	Timeout time.Duration

	// OnCorrupt is told of a session that the store has and that cannot be read, as
	// after a change of the Keyring. It counts as absent. nil logs it.
	OnCorrupt func(ctx context.Context, err error)

	// Now is the clock, for tests; default time.Now.
	Now func() time.Time
}

// Store is a store of gorilla/sessions. It may be used by many goroutines, each
// with a request of its own. It does not own the store beneath it: close that
// after the server.
type Store struct {
	// Options are those of new sessions. They must not be changed while requests are
	// served.
	Options *sessions.Options

	records  *records.Records
	codecs   []securecookie.Codec
	lifetime time.Duration
	origins  origins
}

var _ sessions.Store = (*Store)(nil)

// New returns a store of sessions. It returns [session.ErrSettings] for settings
// that cannot work.
func New(s store.Store, settings Settings) (*Store, error) {
	kept, err := records.New(s, records.Settings{
		Kind: "gorilla", Namespace: settings.Namespace,
		Keyring: settings.Keyring, ReadUnsealedUntil: settings.ReadUnsealedUntil,
		MaxSize: settings.MaxSize, Timeout: settings.Timeout, OnCorrupt: settings.OnCorrupt, Now: settings.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("gorillastore: %w", err)
	}
	if settings.Lifetime < 0 {
		return nil, fmt.Errorf("gorillastore: %w: Lifetime is %v: must be 0 for the default, or above", session.ErrSettings, settings.Lifetime)
	}
	if settings.Lifetime == 0 {
		settings.Lifetime = 7 * 24 * time.Hour
	}
	options := sessions.Options{Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	if settings.Options != nil {
		options = *settings.Options
	}
	return &Store{Options: &options, records: kept, codecs: settings.Codecs, lifetime: settings.Lifetime}, nil
}

// Get returns the request's session of a name, the same one for each call with the
// request. If there is none, or an error, it returns a new one.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// maxCandidates bounds how many cookies of a name are looked up. A browser has more
// than one if it got one for a domain and one for the host, or for two paths.
const maxCandidates = 4

// New reads the request's session of a name from the store. It returns a new one if
// there is none, and for a cookie that this store did not make. It returns a new
// one with an error if the store does not answer; saving that is the same error,
// since it would replace a session that may be there. It also returns a new one
// with an error if the session is there and its values cannot be decoded, as when
// their types are not registered with gob.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	fresh := sessions.NewSession(s, name)
	options := *s.Options
	fresh.Options = &options
	fresh.IsNew = true
	from := s.origins.add(fresh)
	candidates := 0
	for _, c := range r.CookiesNamed(name) {
		id, ok := s.idOf(name, c.Value)
		if !ok {
			continue
		}
		if candidates++; candidates > maxCandidates {
			break
		}
		kept, err := s.records.Load(r.Context(), token(name, id))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			from.failed, from.unread = fmt.Errorf("gorillastore: the session could not be loaded: %w", err), id
			return fresh, from.failed
		}
		values, err := decode(kept.Data)
		if err != nil {
			from.unread = id
			return fresh, fmt.Errorf("gorillastore: %w", err)
		}
		fresh.ID, fresh.Values, fresh.IsNew = id, values, false
		from.id, from.data, from.revision = id, kept.Data, kept.Revision
		return fresh, nil
	}
	return fresh, nil
}

// MaxAge sets how long new sessions and their cookies last, in seconds. It must not
// be called while requests are served.
func (s *Store) MaxAge(age int) {
	s.Options.MaxAge = age
	for _, c := range s.codecs {
		if c, ok := c.(*securecookie.SecureCookie); ok {
			c.MaxAge(age)
		}
	}
}

// MaxLength sets Settings.MaxSize. It must not be called while requests are served.
func (s *Store) MaxLength(bytes int) { s.records.SetMaxSize(bytes) }

// Renew gives a session a new id when it is saved next, and ends it under the old
// one. This must be done when somebody logs in or gains rights: the old id is then
// worthless to anyone who knew it. The values stay.
func Renew(s *sessions.Session) { s.ID = "" }

// token returns the token under which a session's record is kept: sessions of different
// names are different ones, whatever cookie a client sends.
func token(name, id string) string { return name + "\x00" + id }

const idBytes = 32 // 256 random bits

var idEncoding = base64.RawURLEncoding.Strict()

func newID() string {
	var bits [idBytes]byte
	_, _ = rand.Read(bits[:]) // never fails
	return idEncoding.EncodeToString(bits[:])
}

// idOf returns the id in a cookie, and false if this store cannot have made it.
func (s *Store) idOf(name, value string) (id string, ok bool) {
	id = value
	if len(s.codecs) > 0 {
		if err := securecookie.DecodeMulti(name, value, &id, s.codecs...); err != nil {
			return "", false
		}
	}
	bits, err := idEncoding.DecodeString(id)
	return id, err == nil && len(bits) == idBytes
}
