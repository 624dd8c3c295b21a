package gorillastore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/host/adapt/internal/records"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// maxTries bounds how often a save meets the changes of other requests.
const maxTries = 256

// Save stores a session and puts its cookie into the response, so call it before
// the response begins. With a MaxAge below 0 it deletes the session, in the store
// and in the browser, even if it could not be loaded. With 0 the cookie ends with the browser, and the session is
// kept for Settings.Lifetime.
//
// If other requests saved the session since it was loaded, Save stores the changes of
// this one on top: if both changed a value, the last one wins. Then session.Values is
// what was stored.
//
// It returns ErrEnded if the session was deleted or has expired, or got another
// id, since it was loaded; [session.ErrTooLarge] if it is above MaxSize;
// [session.ErrEncode] for values that gob cannot write; and errors of the store. It
// then stores nothing and sends no cookie, except that a store that does not answer
// may have done what it was asked.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, saved *sessions.Session) error {
	if saved.Options == nil {
		options := *s.Options
		saved.Options = &options
	}
	from := s.origins.of(saved)
	from.mu.Lock()
	defer from.mu.Unlock()
	if err := s.save(r.Context(), saved, from); err != nil {
		if errors.Is(err, ErrEnded) {
			return err
		}
		return fmt.Errorf("gorillastore: %w", err)
	}
	value := ""
	if saved.Options.MaxAge >= 0 {
		value = saved.ID
		if len(s.codecs) > 0 {
			var err error
			if value, err = securecookie.EncodeMulti(saved.Name(), saved.ID, s.codecs...); err != nil {
				return fmt.Errorf("gorillastore: the cookie cannot be made: %w", err)
			}
		}
	}
	http.SetCookie(w, sessions.NewCookie(saved.Name(), value, saved.Options))
	return nil
}

func (s *Store) save(ctx context.Context, saved *sessions.Session, from *origin) error {
	name := saved.Name()
	switch {
	case saved.Options.MaxAge < 0:
		for _, id := range []string{from.id, saved.ID, from.unread} {
			if id == "" {
				continue
			}
			if err := s.records.End(ctx, token(name, id)); err != nil {
				return err
			}
		}
		from.id, from.failed, from.unread, saved.ID = "", nil, "", ""
		return nil
	case from.failed != nil:
		return from.failed
	case from.id == "" && saved.ID == "":
		return s.create(ctx, saved, from)
	case from.id == "":
		// The application chose the id.
		data, err := encode(saved.Values)
		if err != nil {
			return err
		}
		err = s.records.Put(ctx, token(name, saved.ID), data, s.expires(saved))
		if errors.Is(err, records.ErrEnded) {
			return ErrEnded
		}
		return err
	case saved.ID == "":
		return s.renew(ctx, saved, from)
	}
	return s.replace(ctx, saved, from)
}

// create stores a session under a new id.
func (s *Store) create(ctx context.Context, saved *sessions.Session, from *origin) error {
	data, err := encode(saved.Values)
	if err != nil {
		return err
	}
	id := newID()
	revision, err := s.records.Replace(ctx, token(saved.Name(), id), data, s.expires(saved), store.Absent)
	if err != nil {
		return err
	}
	saved.ID, from.id, from.data, from.revision = id, id, data, revision
	return nil
}

// replace stores a session over the record it was loaded from, or over what other
// requests made of that since.
func (s *Store) replace(ctx context.Context, saved *sessions.Session, from *origin) error {
	key := token(saved.Name(), from.id)
	for range maxTries {
		data, err := encode(saved.Values)
		if err != nil {
			return err
		}
		revision, err := s.records.Replace(ctx, key, data, s.expires(saved), from.revision)
		if err == nil {
			from.data, from.revision = data, revision
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := s.catchUp(ctx, saved, from); err != nil {
			return err
		}
	}
	return tooMany()
}

// renew stores a session under a new id and ends it under the old one. The new one
// is there before the old one goes, so that a crash in between loses nobody.
func (s *Store) renew(ctx context.Context, saved *sessions.Session, from *origin) error {
	for range maxTries {
		next := origin{}
		if err := s.create(ctx, saved, &next); err != nil {
			return err
		}
		err := s.records.EndRevision(ctx, token(saved.Name(), from.id), from.revision)
		if err == nil {
			from.id, from.data, from.revision = next.id, next.data, next.revision
			return nil
		}
		// Nobody knows the new id. If this fails too, it expires unseen.
		_ = s.records.End(ctx, token(saved.Name(), next.id))
		saved.ID = ""
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := s.catchUp(ctx, saved, from); err != nil {
			return err
		}
	}
	return tooMany()
}

// catchUp takes the changes that other requests stored since into a session.
func (s *Store) catchUp(ctx context.Context, saved *sessions.Session, from *origin) error {
	newest, err := s.records.Load(ctx, token(saved.Name(), from.id))
	if errors.Is(err, store.ErrNotFound) {
		return ErrEnded
	}
	if err != nil {
		return err
	}
	base, err := decode(from.data)
	if err != nil {
		return err
	}
	theirs, err := decode(newest.Data)
	if err != nil {
		return err
	}
	merged := merge(base, saved.Values, theirs)
	if saved.Values == nil {
		saved.Values = make(values)
	}
	// The application may hold on to the map.
	clear(saved.Values)
	maps.Copy(saved.Values, merged)
	from.data, from.revision = newest.Data, newest.Revision
	return nil
}

func (s *Store) expires(saved *sessions.Session) time.Time {
	lasts := s.lifetime
	if saved.Options.MaxAge > 0 {
		lasts = time.Duration(saved.Options.MaxAge) * time.Second
	}
	return s.records.Now().Add(lasts)
}

func tooMany() error {
	return fmt.Errorf("%w: %d tries to store a session met other changes of it", session.ErrConflict, maxTries)
}
