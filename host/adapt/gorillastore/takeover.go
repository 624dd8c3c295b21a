package gorillastore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
)

// TakeOver returns middleware for inside m.Handler by which a server goes on with
// the sessions that a store of gorilla/sessions has under a name: in cookies
// ([sessions.CookieStore]), files ([sessions.FilesystemStore]) or elsewhere. old is
// the store as it was, with its keys and Options. The two cookies may have the
// same name. Values whose keys are not strings get the name that fmt.Sprint gives
// them.
//
// A cookie that does not verify, that is too old, or whose session is gone is
// ignored. A cookie store cannot end a session: whoever has an earlier value of the
// cookie than the one that was taken over can use it until settings.Until, so let
// that be soon.
//
// It returns [session.ErrSettings] if settings.Until is not set.
func TakeOver(m *session.Manager, old sessions.Store, name string, settings takeover.Settings) (func(http.Handler) http.Handler, error) {
	if old == nil {
		return nil, fmt.Errorf("%w: the old store is nil: must be as it was in use", session.ErrSettings)
	}
	f := former{old, name}
	// A new session has the Options of its store.
	blank, err := old.New(&http.Request{Header: make(http.Header)}, name)
	if err != nil || blank == nil || blank.Options == nil {
		return nil, fmt.Errorf("%w: the old store makes no session named %q: %v", session.ErrSettings, name, err)
	}
	library := takeover.Library{Cookie: *sessions.NewCookie(name, "", blank.Options), Token: f.token, Read: f.read, Remove: f.remove}
	if _, inCookie := old.(*sessions.CookieStore); inCookie {
		library.Remove = nil
	}
	return takeover.Handler(m, library, settings)
}

// former reads and removes sessions as gorilla does.
type former struct {
	sessions.Store
	name string
}

// token returns the token that names a session of the old store in a cookie. A store of
// files makes a new value each time it saves, with the id in it. For other stores the
// value itself is the token.
func (f former) token(value string) (string, bool) {
	files, ok := f.Store.(*sessions.FilesystemStore)
	if !ok {
		return value, value != ""
	}
	var id string
	err := securecookie.DecodeMulti(f.name, value, &id, files.Codecs...)
	return id, err == nil && id != ""
}

func (f former) read(r *http.Request, _ string) (map[string]any, bool, error) {
	old, err := f.open(r)
	if err != nil || old == nil {
		return nil, false, err
	}
	byName := make(map[string]any, len(old.Values))
	for key, value := range old.Values {
		byName[fmt.Sprint(key)] = value
	}
	return byName, true, nil
}

// open returns the old session of a request, or nil if there is none.
func (f former) open(r *http.Request) (*sessions.Session, error) {
	// A store may keep what it finds in the request's context.
	own := r.WithContext(r.Context())
	old, err := f.New(own, f.name)
	switch {
	case err == nil && old != nil && !old.IsNew:
		return old, nil
	case err == nil, errors.Is(err, fs.ErrNotExist), unverified(err):
		return nil, nil
	}
	return nil, fmt.Errorf("gorillastore: the old session cannot be read: %w", err)
}

// unverified reports whether a cookie was not made with the store's keys, or too
// long ago. A value that verifies and cannot be read is another matter: its types
// are not registered with gob in this program, and every visitor would be logged
// out.
func unverified(err error) bool {
	var cookie securecookie.Error
	if !errors.As(err, &cookie) || !cookie.IsDecode() {
		return false
	}
	var each securecookie.MultiError
	if !errors.As(err, &each) {
		each = securecookie.MultiError{cookie}
	}
	for _, err := range each {
		var e securecookie.Error
		if !errors.As(err, &e) || e.Cause() == nil {
			continue
		}
		var form base64.CorruptInputError // not the library's cookie at all
		if !errors.As(e.Cause(), &form) {
			return false
		}
	}
	return true
}

func (f former) remove(r *http.Request, _ string) error {
	old, err := f.open(r)
	if err != nil || old == nil {
		return err
	}
	old.Options.MaxAge = -1
	return f.Save(r.WithContext(r.Context()), discard{make(http.Header)}, old)
}

// discard takes the cookie that an old store writes when a session is removed.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
