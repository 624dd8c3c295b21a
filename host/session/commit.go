package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// maxAttempts bounds how often a change is tried again because others changed
// the session in between. Each failed try means that another one succeeded, so
// that only a storage that lies, or very many writers at once, reach it.
const maxAttempts = 256

// Save stores the session's changes now instead of when the response begins,
// for whoever must know that they are stored. The cookie, if one is needed,
// still goes out with the response. A new session without changes is
// not stored unless SetModified was called.
//
// It returns ErrGone if another request ended the session, ErrHeadersSent if
// a cookie is needed and the headers have left, ErrTooLarge, ErrConflict, or an
// error of the storage; the changes then stay as they were, unsaved, but are
// dropped after ErrGone.
func (s *Session) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(nil)
}

// Renew gives the session a new id when it is saved, as must be done when
// somebody logs in or gets more rights: whoever knew the old id then
// has nothing. The values stay. Requests that still run under the old id get
// ErrGone for what they change after that. It returns ErrHeadersSent if it is
// too late for a new cookie.
func (s *Session) Renew() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.canSetCookie(); err != nil {
		return err
	}
	s.touched = true
	s.renew = true
	return nil
}

// Destroy ends the session: it is removed from the storage at once, with all
// changes of this request, and the browser is told to forget the cookie. What
// the request sets after that goes into a new session.
func (s *Session) Destroy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.destroy()
}

func (s *Session) destroy() error {
	s.touched = true
	ids := s.clientIDs()
	if s.id != "" && !contains(ids, s.id) {
		ids = append(ids, s.id)
	}
	now := s.manager.now()
	for _, id := range ids {
		key := keyOf(id)
		if err := s.manager.engine.Delete(&s.saving, key[:], now); err != nil {
			return err
		}
		s.manager.event(s.ctx, Event{Kind: EventDestroyed, Session: key.label()})
	}
	s.forget()
	s.ids, s.haveIDs, s.loaded = nil, true, true
	s.destroyed = len(ids) > 0
	if s.w != nil {
		s.w.dropCookie()
	}
	return nil
}

// forget makes this a session that is not stored and has no changes.
func (s *Session) forget() {
	s.id, s.key, s.record, s.exists = "", storageKey{}, Record{}, false
	s.overlay.reset()
	s.changesSaved()
}

// changesSaved drops the pending changes.
func (s *Session) changesSaved() {
	s.overlay.reset()
	s.force, s.renew, s.life = false, false, lifeChange{}
}

func (s *Session) canSetCookie() error {
	if s.w != nil && s.w.sent {
		return fmt.Errorf("%w: the change needs a cookie; make it before the first write, Flush or Hijack", ErrHeadersSent)
	}
	return nil
}

// update is a read-modify-write of one value, done anew if the stored session
// was changed in between.
type update struct {
	key string
	fn  func(old []byte, ok bool) (value []byte, err error)
}

// commit stores the pending changes, and those that u makes of the newest
// values, if there are any. The lock is held.
func (s *Session) commit(u *update) error {
	if u == nil && !s.modified() {
		if s.manager.idle != 0 {
			if now := s.manager.now(); s.refreshDue(now) {
				return s.refresh(now)
			}
		}
		return nil
	}
	if err := s.load(&s.saving); err != nil {
		return err
	}
	for attempt := range maxAttempts {
		pause(attempt)
		if again, err := s.try(u, s.manager.now()); !again {
			return err
		}
		if err := s.reload(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %d tries", ErrConflict, maxAttempts)
}

// pause keeps many writers of one session from hindering each other for ever.
func pause(attempt int) {
	if attempt > 3 {
		time.Sleep(time.Duration(rand.Int64N(int64(50*time.Microsecond) << min(attempt-4, 7))))
	}
}

// reload fetches the session after a conflict. A commit of a session that was
// there never creates it again, so that ending a session is final.
func (s *Session) reload() error {
	if !s.exists {
		// The fresh id was taken: 256 random bits met twice.
		return fmt.Errorf("%w: a fresh id is in use; is the source of random bits broken?", store.ErrInternal)
	}
	s.event(EventConflict, nil)
	record, err := s.fetch(&s.saving, s.manager.now())
	if errors.Is(err, store.ErrNotFound) {
		return s.gone()
	}
	if err == nil {
		s.record = record
	}
	return err
}

// gone drops the pending changes of a session that another request ended.
func (s *Session) gone() error {
	err := fmt.Errorf("%w; its changes were dropped", ErrGone)
	s.event(EventGone, err)
	s.forget()
	return err
}

// try stores the pending changes and those of u upon the record as it is known.
// It asks to be called again if the stored session is another by now.
func (s *Session) try(u *update, now int64) (again bool, err error) {
	next := s.record
	expect := int64(next.Revision)
	fresh := !s.exists || s.renew
	if !s.exists {
		next = Record{Created: now}
		expect = store.Absent
	}
	next.Revision++
	next.Codec = s.manager.settings.Codec.ID()
	s.age(&next, now)
	if next.Expires <= now {
		return false, s.end(u, now)
	}
	want := s.manager.cookieUntil(&next)
	asked := s.life.set || s.life.setBrowser
	// Without a response nobody tells the browser: the next response does.
	stale := s.w != nil && (fresh || asked && next.CookieUntil != want || cookieStale(next.CookieUntil, want, now))
	if stale {
		err := s.canSetCookie()
		// A cookie that is forgotten somewhat early because it could not be
		// sent again with a late change is sent with the next one. What
		// the handler asked for must not fail unseen.
		if err != nil && (fresh || asked) {
			return false, err
		}
		if stale = err == nil; stale {
			next.CookieUntil = want
		}
	}
	if u == nil {
		next.setValues(&s.overlay, s.record.Values)
	} else {
		old, ok := s.overlay.lookup(s.record.Values, u.key)
		value, err := u.fn(old, ok)
		if err != nil {
			return false, err
		}
		// Only what is stored counts as changed: a try that fails must leave
		// the changes as they were.
		with := overlay{cleared: s.overlay.cleared, changes: append(make([]change, 0, len(s.overlay.changes)+1), s.overlay.changes...)}
		with.set(u.key, value)
		next.setValues(&with, s.record.Values)
	}
	if size := len(next.room); size > s.manager.settings.MaxSize {
		return false, fmt.Errorf("%w: %d bytes, and Settings.MaxSize is %d", ErrTooLarge, size, s.manager.settings.MaxSize)
	}

	id, key := s.id, &s.key
	if fresh {
		if id, err = newID(s.manager.settings.Rand); err != nil {
			return false, err
		}
		freshKey := keyOf(id)
		key = &freshKey
	}
	if err := s.store(key, &next, expect, now); err != nil {
		if errors.Is(err, store.ErrTooLarge) {
			err = fmt.Errorf("%w: %w", ErrTooLarge, err)
		}
		return errors.Is(err, store.ErrConflict), err
	}
	if s.exists && s.renew {
		s.manager.event(s.ctx, Event{Kind: EventRenewed, Session: key.label()})
	} else if !s.exists {
		s.manager.event(s.ctx, Event{Kind: EventCreated, Session: key.label()})
	}
	s.id, s.key, s.record, s.exists = id, *key, next, true
	s.changesSaved()
	s.destroyed = false
	if stale {
		s.w.setCookie(s.manager.settings.setCookie(id, want, now))
	}
	return false, nil
}

// end removes a session whose time is over when it is saved: because the
// handler said so, or because it ran out while the request was under way.
func (s *Session) end(u *update, now int64) error {
	asked := u == nil && s.life.fixed && s.life.lifetime <= now
	if err := s.destroy(); err != nil || asked {
		return err
	}
	return s.gone()
}

// store writes the record: over the one it was made from, or, for a new id,
// beside it.
func (s *Session) store(key *storageKey, next *Record, expect, now int64) error {
	defer func() { next.room = nil }()
	engine, ctx := s.manager.engine, &s.saving
	if !s.exists || !s.renew {
		return engine.Store(ctx, key[:], next, expect, now)
	}
	// The new record is there before the old one goes, so that a crash in
	// between loses nobody. The old one goes only if it is still what the new
	// one was made from: else a change made meanwhile would be lost.
	if err := engine.Store(ctx, key[:], next, store.Absent, now); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("%w: a fresh id is in use; is the source of random bits broken?", store.ErrInternal)
		}
		return err
	}
	passed := Record{Revision: next.Revision, Codec: next.Codec, Expires: 1}
	err := engine.Store(ctx, s.key[:], &passed, expect, now)
	if err != nil {
		// Nobody knows the new id yet; what is left of it if this fails too
		// expires unseen.
		_ = engine.Delete(ctx, key[:], now)
	}
	return err
}

// refresh moves the idle end of a session that was looked at. Whoever changed
// or ended the session in between has done better: nothing is tried again.
func (s *Session) refresh(now int64) error {
	next := s.record
	expect := int64(next.Revision)
	next.Revision++
	next.Expires = s.manager.expires(&next, now)
	err := s.manager.engine.Store(&s.saving, s.key[:], &next, expect, now)
	switch {
	case err == nil:
		s.record = next
	case !errors.Is(err, store.ErrConflict):
		return err
	}
	s.refreshed = true
	return nil
}
