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
	return s.renewLocked()
}

func (s *Session) renewLocked() error {
	if err := s.canSendID(); err != nil {
		return err
	}
	s.touched = true
	s.renew = true
	// A token that was handed out under the old id is worth nothing any more.
	s.overlay.put(change{key: csrfKey, deleted: true})
	s.dropVisitor()
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
	for _, id := range ids {
		if err := s.remove(id); err != nil {
			s.storageFailed(err)
			return err
		}
	}
	s.unlist()
	s.forget()
	s.dropVisitor()
	s.ids, s.haveIDs, s.loaded = nil, true, true
	s.destroyed = len(ids) > 0
	if s.w != nil {
		s.w.dropID()
	}
	return nil
}

// remove ends the session of an id.
func (s *Session) remove(id string) error {
	engine, now := s.manager.engine, s.manager.now()
	if s.manager.rotateEvery == 0 && s.manager.settings.TokenHeader == "" {
		key, was := s.manager.keyOf(id), s.record.Values
		if !s.exists || s.id != id {
			// Nobody looked. Whose session ends, the record says.
			r, err := engine.Load(&s.saving, key[:], now)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			was = r.Values
		}
		if err := engine.Delete(&s.saving, key[:], now); err != nil {
			return err
		}
		s.manager.event(s.ctx, Event{Kind: EventDestroyed, Session: key.label(), User: s.manager.boundLabel(was)})
		return nil
	}
	// An id that came another way than its session's must not end it. And under
	// a rotation that goes on at the same time, what is removed must be what was
	// found, or the session lives on under an id that nobody saw.
	for attempt := range maxAttempts {
		pause(attempt)
		var r Record
		_, key, err := s.find(&s.saving, id, now, &r)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		gone := Record{Revision: r.Revision + 1, Codec: r.Codec, Expires: 1}
		err = engine.Store(&s.saving, key[:], &gone, int64(r.Revision), now)
		if err == nil {
			s.manager.event(s.ctx, Event{Kind: EventDestroyed, Session: key.label(), User: s.manager.boundLabel(r.Values)})
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: %d tries", ErrConflict, maxAttempts)
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
	s.force, s.renew, s.bind, s.life = false, false, nil, lifeChange{}
}

// canSendID reports whether the client can still be told a new id, or that it
// has one no more.
func (s *Session) canSendID() error {
	switch {
	case s.w == nil || !s.w.sent:
		return nil
	case s.w.bypassed:
		return fmt.Errorf("%w: the change needs a cookie; %s", ErrHeadersSent, bypass)
	default:
		return fmt.Errorf("%w: the change needs a cookie; make it before the first write, Flush or Hijack", ErrHeadersSent)
	}
}

// canScope reports whether the cookie that is to be sent has a scope that works.
func (s *Session) canScope() error {
	if s.manager.settings.CookieFor == nil || s.transport != TransportCookie {
		return nil
	}
	_, err := s.manager.scope(s.w.request)
	return err
}

// edit changes an overlay by what it finds in it and in the newest stored
// values. It is called again if those were changed before the result was
// stored. errNothing has the commit end without storing anything.
type edit func(o *overlay, base Values) error

var errNothing = errors.New("session: nothing to change")

// editError is what an edit itself failed with.
type editError struct{ error }

// commit stores the pending changes, and those that e makes, if there are any.
// The lock is held.
func (s *Session) commit(e edit) error {
	if e == nil && !s.modified() {
		s.commitLook()
		return nil
	}
	if e != nil {
		if err := s.mayLook(); err != nil {
			return err
		}
	}
	if err := s.loadUnseen(&s.saving); err != nil {
		return err
	}
	err := s.commitLoaded(e)
	if own, ok := err.(editError); ok {
		return own.error
	}
	if err != nil {
		s.storageFailed(err)
	}
	return err
}

func (s *Session) commitLoaded(e edit) error {
	for attempt := range maxAttempts {
		pause(attempt)
		if again, err := s.try(e, s.manager.now()); !again {
			return err
		}
		if err := s.reload(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %d tries", ErrConflict, maxAttempts)
}

// commitLook stores what having looked at the session changes. It is not worth
// failing a request for: what the request was after, it has got. It is tried
// once; whoever changed or ended the session in between has done better.
func (s *Session) commitLook() {
	if !s.manager.looksCount || !s.exists {
		return
	}
	now := s.manager.now()
	rotate := s.rotationDue(now) && s.idMayChange()
	if !rotate && !s.refreshDue(now) {
		return
	}
	if s.manager.expires(&s.record, now) <= now {
		return // it has ended, or is to end as the record has it
	}
	_, err := s.try(nil, now)
	s.looked = true
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, errUnlisted) {
		s.storageFailed(err)
	}
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
	s.event(EventConflict, nil)
	if !s.exists {
		// A fresh id that is taken was taken by the end of the session: see
		// Manager.End.
		return s.gone()
	}
	id, key, err := s.find(&s.saving, s.id, s.manager.now(), &s.record)
	if errors.Is(err, store.ErrNotFound) {
		return s.gone()
	}
	if err != nil {
		return err
	}
	s.resend = s.resend || id != s.id
	s.id, s.key = id, key
	return nil
}

// gone drops the pending changes of a session that another request ended.
func (s *Session) gone() error {
	err := fmt.Errorf("%w; its changes were dropped", ErrGone)
	s.event(EventGone, err)
	s.forget()
	return err
}

// attempt is one try to store the pending changes.
type attempt struct {
	next   Record // to be stored
	expect int64  // over what
	id     string
	key    *storageKey
	look   bool    // nothing was changed: the idle end moves, the duration does not
	fresh  bool    // id is a new one
	left   *Record // to be left under the old id, if there is one and it is to be led on
	until  int64   // that the cookie is to be kept, if it is to be sent
	send   bool    // the cookie, or the token
}

// try stores the pending changes and those of e upon the record as it is known.
// It asks to be called again if the stored session is another by now.
func (s *Session) try(e edit, now int64) (again bool, err error) {
	t := attempt{next: s.record, expect: int64(s.record.Revision), id: s.id, key: &s.key}
	rotate := !s.renew && s.rotationDue(now) && s.idMayChange()
	t.fresh = !s.exists || s.renew || rotate
	if !s.exists {
		t.next = Record{Created: now, Transport: s.transport}
		t.expect = store.Absent
	}
	t.next.Revision++
	t.look = e == nil && s.exists && !s.modified()
	if t.look {
		t.next.Seen = now
		t.next.Expires = s.manager.expires(&t.next, now)
	} else {
		s.age(&t.next, now)
	}
	if t.next.Expires <= now {
		return false, s.end(e, now)
	}
	if err := s.planID(&t, rotate, now); err != nil {
		return false, err
	}
	if err := s.planValues(&t, e, now); err != nil {
		if err == errNothing {
			err = nil
		}
		return errors.Is(err, errUnlisted), err
	}
	if size := len(t.next.room); size > s.manager.settings.MaxSize {
		return false, fmt.Errorf("%w: %d bytes, and Settings.MaxSize is %d", ErrTooLarge, size, s.manager.settings.MaxSize)
	}
	if err := s.store(&t, now); err != nil {
		if errors.Is(err, store.ErrTooLarge) {
			err = fmt.Errorf("%w: %w", ErrTooLarge, err)
		}
		return errors.Is(err, store.ErrConflict), err
	}
	if t.fresh {
		e := Event{Kind: EventCreated, Session: t.key.label(), User: s.manager.boundLabel(t.next.Values)}
		if s.exists {
			e.Kind, e.Previous = EventRenewed, s.key.label()
		}
		s.manager.event(s.ctx, e)
	}
	s.unlistUnbound()
	s.id, s.key, s.record, s.exists = t.id, *t.key, t.next, true
	s.changesSaved()
	s.destroyed = false
	if t.send {
		s.resend = false
		s.w.sendID(t.id, t.until, now)
	}
	return false, nil
}

// planID decides on the id of what is stored, and whether to tell the client.
func (s *Session) planID(t *attempt, rotate bool, now int64) (err error) {
	t.until = s.manager.cookieUntil(&t.next)
	asked := s.life.set || s.life.setBrowser
	// Without a response nobody tells the client: the next response does. A
	// token has no end that the client would have to know.
	t.send = s.w != nil && (t.fresh || s.transport == TransportCookie &&
		(s.resend || asked && t.next.CookieUntil != t.until ||
			!t.look && cookieStale(t.next.CookieUntil, t.until, now)))
	if t.send {
		err := s.canSendID()
		// A cookie that is forgotten somewhat early because it could not be
		// sent again with a late change is sent with the next one. What
		// the handler asked for must not fail unseen.
		if err != nil && (t.fresh || asked) {
			return err
		}
		if t.send = err == nil; t.send {
			t.next.CookieUntil = t.until
			if err := s.canScope(); err != nil {
				return err
			}
		}
	}
	if !t.fresh {
		return nil
	}
	t.next.Issued = now
	if rotate {
		var salt []byte
		if t.left, salt, err = s.manager.moved(&s.record, now); err != nil {
			return err
		}
		t.id = rotatedID(s.id, salt)
	} else if t.id, err = newID(s.manager.settings.Rand); err != nil {
		return err
	}
	key := s.manager.keyOf(t.id)
	t.key = &key
	return nil
}

// planValues lays the changes over the values as they are known. Only what is
// stored in the end counts as changed: those of e, and of the list of a user's
// sessions, are made to a copy.
func (s *Session) planValues(t *attempt, e edit, now int64) error {
	o := &s.overlay
	if e != nil {
		edited := s.overlay.copy()
		if err := e(&edited, s.record.Values); err == errNothing {
			return err
		} else if err != nil {
			return editError{err}
		}
		o = &edited
	}
	o, err := s.list(t, s.keepCSRF(t, o), now)
	if err != nil {
		return err
	}
	t.next.setValues(s.keepCodecs(&t.next, o), s.record.Values)
	return nil
}

// end removes a session whose time is over when it is saved: because the
// handler said so, or because it ran out while the request was under way.
func (s *Session) end(e edit, now int64) error {
	asked := e == nil && s.life.fixed && s.life.lifetime <= now
	if err := s.destroy(); err != nil || asked {
		return err
	}
	return s.gone()
}

// store writes the record: over the one it was made from, or, for a new id,
// beside it.
func (s *Session) store(t *attempt, now int64) error {
	defer func() { t.next.room = nil }()
	engine, ctx := s.manager.engine, &s.saving
	if !t.fresh {
		return engine.Store(ctx, t.key[:], &t.next, t.expect, now)
	}
	// The new record is there before the old one goes, so that a crash in
	// between loses nobody. The old one goes only if it is still what the new
	// one was made from: else a change made meanwhile would be lost.
	if err := s.create(t, now); err != nil || !s.exists {
		return err
	}
	left := t.left
	if left == nil {
		left = &Record{Revision: t.next.Revision, Codec: t.next.Codec, Expires: 1}
	}
	err := engine.Store(ctx, s.key[:], left, t.expect, now)
	if err != nil && !errors.Is(err, store.ErrConflict) && t.left != nil {
		switch led, known := s.leads(t, now); {
		case led:
			return nil // only the answer got lost
		case !known:
			return err // the old record may lead to the new one
		}
	}
	if err != nil {
		// Nobody knows the new id yet; what is left of it if this fails too
		// expires unseen.
		_ = engine.Delete(ctx, t.key[:], now)
	}
	return err
}

// leads reports whether the old record leads to the new one by now, if that
// can be known.
func (s *Session) leads(t *attempt, now int64) (led, known bool) {
	r, err := s.manager.engine.Load(&s.saving, s.key[:], now)
	if err != nil {
		return false, errors.Is(err, store.ErrNotFound)
	}
	if r.State != RecordMoved {
		return false, true
	}
	id, err := movedTo(s.id, &r)
	return err == nil && id == t.id, err == nil
}

// create writes a record under a new key. What can be there already is the end
// of the session that is being stored, see Manager.End, and that is a conflict.
func (s *Session) create(t *attempt, now int64) error {
	engine, ctx := s.manager.engine, &s.saving
	err := engine.Store(ctx, t.key[:], &t.next, store.Absent, now)
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	if r, errLoad := engine.Load(ctx, t.key[:], now); errLoad == nil && r.State != RecordEnded {
		return fmt.Errorf("%w: a fresh id is in use; is the source of random bits broken?", store.ErrInternal)
	}
	return err
}
