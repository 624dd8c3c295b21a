package scsstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
)

// remembered is the name under which scs keeps the choice of RememberMe.
const remembered = "__rememberMe"

// TakeOver returns middleware for inside m.Handler by which a server goes on with
// the sessions of scs. old is the scs.SessionManager as it was, with its store,
// codec and cookie; its LoadAndSave is no longer needed. A new SessionManager with the
// same settings works as well. The two cookies may have the same name. A session that
// scs was told to remember is remembered.
//
// It returns [session.ErrSettings] if settings.Until is not set.
func TakeOver(m *session.Manager, old *scs.SessionManager, settings takeover.Settings) (func(http.Handler) http.Handler, error) {
	if old == nil || old.Store == nil || old.Codec == nil {
		return nil, fmt.Errorf("%w: the scs.SessionManager is nil, or lacks its Store or Codec: must be as it was in use", session.ErrSettings)
	}
	reader := formerReader{old}
	return takeover.Handler(m, takeover.Library{
		Cookie: http.Cookie{
			Name: old.Cookie.Name, Domain: old.Cookie.Domain, Path: old.Cookie.Path,
			Secure: old.Cookie.Secure, HttpOnly: old.Cookie.HttpOnly, SameSite: old.Cookie.SameSite, Partitioned: old.Cookie.Partitioned,
		},
		Own: func(fresh *session.Session, values map[string]any) {
			if yes, _ := values[remembered].(bool); yes && !old.Cookie.Persist {
				fresh.SetPersistence(session.Persist)
			}
			delete(values, remembered)
		},
		Read:   reader.read,
		Remove: reader.remove,
	}, settings)
}

// formerReader reads and removes sessions as scs does.
type formerReader struct{ *scs.SessionManager }

func (f formerReader) read(r *http.Request, token string) (map[string]any, bool, error) {
	b, found, err := f.find(r.Context(), f.key(token))
	if err != nil || !found {
		return nil, false, err
	}
	deadline, values, err := f.Codec.Decode(b)
	if err != nil {
		return nil, false, fmt.Errorf("scsstore: the old session cannot be decoded: %w", err)
	}
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return nil, false, nil
	}
	if values == nil {
		values = make(map[string]any)
	}
	return values, true, nil
}

func (f formerReader) find(ctx context.Context, key string) ([]byte, bool, error) {
	if s, ok := f.Store.(scs.CtxStore); ok {
		return s.FindCtx(ctx, key)
	}
	return f.Store.Find(key)
}

func (f formerReader) remove(r *http.Request, token string) error {
	if s, ok := f.Store.(scs.CtxStore); ok {
		return s.DeleteCtx(r.Context(), f.key(token))
	}
	return f.Store.Delete(f.key(token))
}

// key is the name under which scs keeps a token.
func (f formerReader) key(token string) string {
	if !f.HashTokenInStore {
		return token
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
