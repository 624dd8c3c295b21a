package session

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// Save stores the session's changes now instead of when the response begins, for
// callers that must know that they are stored. The cookie, if one is needed,
// still goes out with the response. A new session without changes is not stored
// unless SetModified was called.
//
// It returns ErrGone if another request ended the session; ErrRenewed, which is
// an ErrGone too, if it lives on under a new id; ErrHeadersSent if a cookie is
// needed and the headers have left; ErrTooLarge, ErrConflict, or an error of the
// storage. The changes then stay pending, except after ErrGone, which drops them. After an
// error of the storage they may be stored all the same: its answer may have got lost.
// Saving them again does no harm.
func (s *Session) Save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(nil)
}

// Renew gives the session a new id when it is saved. This must be done when
// somebody logs in or gains rights: the old id is then worthless to anyone who
// knew it. The values stay. Requests that still run under the old id get
// ErrRenewed for what they change after that. Renew returns ErrHeadersSent if it
// is too late for a new cookie.
//
// The save fails, and changes nothing, if the request's context has ended by
// then, because nobody would get the new id. If another request ended or renewed
// the session a moment ago, and this one had not looked at it before, Renew
// begins a new session.
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
	// A token handed out under the old id is no longer worth anything.
	s.overlay.put(change{key: csrfKey, deleted: true})
	s.dropVisitor()
	return nil
}

// forget makes this a session that is not stored and has no changes.
func (s *Session) forget() {
	s.id, s.key, s.record, s.exists, s.issued, s.stale = "", storageKey{}, Record{}, false, false, false
	s.ended, s.endedID = nil, ""
	if s.seldom != nil {
		s.seldom.half = nil
	}
	s.changesSaved()
}

// changesSaved drops the pending changes.
func (s *Session) changesSaved() {
	s.overlay.reset()
	s.force, s.renew, s.bind, s.life = false, false, nil, nil
}

// canSendID returns an error if the client can no longer be told of a new id, or
// of having none any more.
func (s *Session) canSendID() error {
	switch {
	case s.w == nil || !s.w.sent:
		return s.notKeptBack()
	case s.w.bypassed:
		return fmt.Errorf("%w: the change needs a cookie; %s", ErrHeadersSent, bypass)
	default:
		return fmt.Errorf("%w: the change needs a cookie; make it before the first write, Flush or Hijack", ErrHeadersSent)
	}
}

// canScope returns an error if the cookie to be sent has a scope that does not
// work.
func (s *Session) canScope() error {
	if s.manager.settings.CookieFor == nil || s.transport != TransportCookie {
		return nil
	}
	_, err := s.manager.scope(s.w.request)
	return err
}

// edit changes an overlay according to what it finds there and in the newest
// stored values. It is called again if those changed before the result was
// stored. With errNothing the commit ends without storing anything.
type edit func(o *overlay, base Values) error

var errNothing = errors.New("session: nothing to change")

// editError is an error of an edit itself.
type editError struct{ error }

// commit stores the pending changes, and those that e makes, if it is not nil.
// The lock is held.
func (s *Session) commit(e edit) error {
	s.tries.begin()
	defer s.tries.end()
	if err := s.endRest(); err != nil {
		return err
	}
	if s.failure != nil {
		return s.failure
	}
	if e == nil && !s.modified() {
		s.commitRefresh()
		return nil
	}
	if e != nil {
		if err := s.mayLook(); err != nil {
			return err
		}
	}
	saw := s.loaded
	if err := s.loadUnseen(s.saving()); err != nil {
		return err
	}
	err := s.commitLoaded(e, saw)
	s.renounce()
	if own, ok := err.(editError); ok {
		return own.error
	}
	if err != nil {
		s.storageFailed(err)
	}
	return err
}

// commitLoaded stores the changes of a loaded session. saw is whether it was
// loaded before, so that the request may have acted on what it read.
func (s *Session) commitLoaded(e edit, saw bool) error {
	if s.ended != nil {
		saw = false // nothing was there to be read
		if err := s.survives(s.ended, saw); err != nil {
			return err
		}
	}
	for {
		if again, err := s.try(e, s.manager.now()); !again {
			return err
		}
		if err := s.manager.again(&s.tries, "save the session"); err != nil {
			return err
		}
		if err := s.reload(saw); err != nil {
			return err
		}
	}
}

// commitRefresh stores what looking at the session changes. A failure here does
// not fail the request: the handler already has its data. A change or end by
// another request in between takes its place.
func (s *Session) commitRefresh() {
	if !s.exists || !s.used || !s.manager.mayRefresh(&s.record) {
		return
	}
	now := s.manager.now()
	timed := s.renewalDue(now) && s.idMayChange()
	if !timed && !s.refreshDue(now) {
		return
	}
	s.refreshAgain = now + s.manager.refreshPause(&s.record)
	err := s.refresh(now, timed)
	if err != nil && !errors.Is(err, ErrGone) {
		s.storageFailed(err)
	}
}

func (s *Session) refresh(now store.Millis, timed bool) error {
	if s.stale {
		// A long request met the change of another one, and would never be up to date
		// again.
		if err := s.refetch(s.saving()); err != nil {
			return err
		}
		s.refreshAgain = 0
		if due := s.refreshDue(now); !due && !timed {
			return nil
		}
		s.refreshAgain = now + s.manager.refreshPause(&s.record)
	}
	if s.manager.expires(&s.record, now) <= now {
		return nil // it has ended, or ends at the time in the record
	}
	again, err := s.try(nil, now)
	if s.stale = again; again {
		return nil
	}
	return err
}

// reload fetches the session after a conflict. A commit never creates a session
// again that was there before, so ending a session is final.
func (s *Session) reload(saw bool) error {
	if s.seldom.takenID() != "" && !s.exists {
		return errTaken
	}
	s.event(EventConflict, nil)
	if !s.exists {
		// Only the end of the session can have taken a fresh id: see Manager.Revoke.
		return s.gone(ErrGone)
	}
	if s.inherited() {
		// Somebody has its id after all, or ended it.
		s.renounce()
		return s.survives(s.ended, saw)
	}
	err := s.refetch(s.saving())
	if errors.Is(err, ErrGone) {
		return s.survives(err, saw)
	}
	return err
}

// attempt is one try to store the pending changes.
type attempt struct {
	next    Record // the record to store
	expect  int64  // the revision that it replaces
	id      string
	key     *storageKey
	refresh bool         // nothing was changed: the idle end moves, the end by Lifetime only with Rolling
	fresh   bool         // id is new
	left    *Record      // the record to leave under the old id, if there is one
	half    bool         // the record is stored; whether left is too is not known
	until   store.Millis // when the cookie ends, if it is sent
	send    bool         // send the cookie, or the token
}

// try stores the pending changes and those of e on top of the record as last
// known. It asks to be called again if the stored session has changed since.
func (s *Session) try(e edit, now store.Millis) (again bool, err error) {
	if s.renew && s.ctx.Err() != nil {
		return false, fmt.Errorf("session: the request ended before its session had a new id, which its client would never have learnt; nothing was saved: %w", s.ctx.Err())
	}
	if err := s.isAt(); err != nil {
		return false, err
	}
	t := attempt{next: s.record, expect: int64(s.record.Revision), id: s.id, key: &s.key}
	timed := !s.renew && s.renewalDue(now) && s.idMayChange()
	t.fresh = !s.exists || s.renew || timed
	if !s.exists {
		t.next = Record{Created: now, Transport: s.transport}
		t.expect = store.Absent
	}
	t.next.Revision++
	t.next.Held = !t.fresh && s.held()
	t.refresh = e == nil && s.exists && !s.modified()
	if t.refresh {
		t.next.LastSeen = now
		t.next.Expires = s.manager.expires(&t.next, now)
	} else {
		s.age(&t.next, now)
	}
	if t.next.Expires <= now {
		return false, s.end(e, now)
	}
	if err := s.planID(&t, timed, now); err != nil {
		return false, err
	}
	if err := s.planValues(&t, e, now); err != nil {
		if err == errNothing {
			err = nil
		}
		return errors.Is(err, errUnlisted), err
	}
	if size := t.next.size(); size > s.manager.settings.MaxSize {
		return false, fmt.Errorf("%w: %d bytes: must be at most %d, Settings.MaxSize", ErrTooLarge, size, s.manager.settings.MaxSize)
	}
	err = s.store(&t, now)
	if err != nil && !t.half {
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
		s.replaced(now)
		s.manager.event(s.ctx, e)
	}
	s.unindexUnbound()
	if t.half {
		s.rarely().half = &halfEnded{s.id, s.key}
	}
	s.id, s.key, s.record, s.exists, s.issued = t.id, *t.key, t.next, true, s.issued || t.fresh
	s.changesSaved()
	s.stale, s.destroyed, s.ended, s.endedID = false, false, nil, ""
	if t.send {
		s.resend = false
		s.sendID(t.id, t.until, now)
	}
	return false, err
}

// held reports whether somebody has the session's id: a client that changed the
// session before, or this request, unless it made the id itself.
func (s *Session) held() bool { return s.record.Held || s.id != "" && !s.issued }

// planID decides the id of the record to store, and whether to tell the client.
func (s *Session) planID(t *attempt, timed bool, now store.Millis) (err error) {
	t.until = s.manager.cookieUntil(&t.next, now)
	asked := s.life.pending()
	// Without a response nobody tells the client: the next response does. A client need
	// not know when a token ends.
	t.send = s.w != nil && (t.fresh || s.transport == TransportCookie &&
		(s.resend || asked && t.next.CookieUntil != t.until ||
			(!t.refresh || s.cookieRefreshes(&t.next)) && cookieStale(t.next.CookieUntil, t.until, now)))
	if t.send {
		err := s.canSendID()
		// If the cookie cannot be sent again with a late change, the browser forgets it
		// somewhat early unless the next change sends it. What the handler asked for
		// must not fail unseen.
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
	if timed {
		var salt []byte
		if t.left, salt, err = s.manager.moved(&s.record, now); err != nil {
			return err
		}
		t.id = renewedID(s.id, salt)
	} else if taken := s.seldom.takenID(); taken != "" && !s.exists {
		t.id = taken
	} else if t.id, err = newID(s.manager.settings.Rand); err != nil {
		return err
	}
	key := s.manager.keyOf(t.id)
	t.key = &key
	if s.exists && !timed {
		t.left = s.manager.tombstone(t.next.Revision, s.record.Transport, now)
		t.left.Held = s.held()
		t.left.setSuccessor(key)
	}
	return nil
}

// planValues lays the changes over the values as last known. Only what is stored
// in the end counts as changed: the changes of e and of the list of a user's
// sessions are made to a copy.
func (s *Session) planValues(t *attempt, e edit, now store.Millis) error {
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
	o, err := s.index(t, s.keepTaken(t, s.keepCSRF(t, o)), now)
	if err != nil {
		return err
	}
	t.next.setValues(s.keepCodecs(&t.next, o), s.record.Values)
	return nil
}

// end removes a session that is over when it is saved, because the handler said
// so or because it ran out while the request was under way.
func (s *Session) end(e edit, now store.Millis) error {
	asked := e == nil && s.life.ends(&s.record, now)
	if err := s.destroy(); err != nil || asked {
		return err
	}
	// Unless another request was faster, the next change begins a new session, as after
	// Destroy.
	by := ErrGone
	if s.ended != nil {
		by = s.ended
	}
	err := fmt.Errorf("%w; its changes were dropped", by)
	s.event(EventGone, err)
	return err
}
