package session

import (
	"fmt"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// SetExpiry gives this session its own time to live, counted from each change,
// instead of Settings.Lifetime. To remember a visitor for 90 days where others
// have an idle timeout of half an hour:
//
//	err := errors.Join(s.SetIdleTimeout(session.Off), s.SetExpiry(90*24*time.Hour))
//	s.SetPersistence(session.Persist)
//
// It returns ErrInvalidExpiry, and changes nothing, for a time below one second
// or above a hundred years, and for one that the session could not have: longer
// than its absolute timeout, or longer than Settings.Lifetime where
// Settings.IdleTimeout would end it before. Give the session its own timeouts
// first.
func (s *Session) SetExpiry(d time.Duration) error {
	if d < time.Second || d > maxLifetime {
		return fmt.Errorf("%w: the time to live is %v: must be from 1s to %v", ErrInvalidExpiry, d, maxLifetime)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, now, err := s.lifeToChange()
	if err != nil {
		return err
	}
	ms := store.Span(d)
	if absolute := s.manager.absoluteOf(&r); absolute != 0 && ms > absolute {
		return cut("AbsoluteTimeout", d, absolute)
	}
	if err := s.cutByIdle(&r, now, now+ms); err != nil {
		return err
	}
	c := s.changeLife()
	c.set, c.lifetime, c.fixed = true, ms, false
	return nil
}

// SetExpiryTime gives this session a fixed end that changes do not move. An end
// that has passed ends the session when it is saved. Like SetExpiry, it returns
// ErrInvalidExpiry for an end that the session could not live to see.
func (s *Session) SetExpiryTime(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, now, err := s.lifeToChange()
	if err != nil {
		return err
	}
	end := max(1, store.At(t))
	left := min(end-now, store.Span(maxLifetime)+1).Duration()
	if left > maxLifetime {
		return fmt.Errorf("%w: the end is %v: must be at most %v from now", ErrInvalidExpiry, t, maxLifetime)
	}
	if absolute := s.manager.absoluteOf(&r); absolute != 0 && end > r.Created+absolute {
		return cut("AbsoluteTimeout", left, r.Created+absolute-now)
	}
	if err := s.cutByIdle(&r, now, end); err != nil {
		return err
	}
	c := s.changeLife()
	c.set, c.lifetime, c.fixed = true, end, true
	return nil
}

// SetIdleTimeout gives this session its own idle timeout instead of
// Settings.IdleTimeout: [Off] for none, 0 for what the settings say. It returns
// ErrInvalidExpiry for any other time below one second or above a hundred years.
func (s *Session) SetIdleTimeout(d time.Duration) error {
	ms, err := ownTimeout("idle timeout", d)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	c := s.changeLife()
	c.setIdle, c.idle = true, ms
	return nil
}

// SetAbsoluteTimeout ends this session that long after its creation, whatever
// happens, instead of Settings.AbsoluteTimeout: [Off] for never, 0 for what the
// settings say. A timeout that has passed ends the session when it is saved. It
// returns ErrInvalidExpiry for any other time below one second or above a hundred
// years.
func (s *Session) SetAbsoluteTimeout(d time.Duration) error {
	ms, err := ownTimeout("absolute timeout", d)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	c := s.changeLife()
	c.setAbsolute, c.absolute = true, ms
	return nil
}

// ResetExpiry makes the session follow the settings again, including its timeouts
// and the end of its cookie.
func (s *Session) ResetExpiry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	*s.changeLife() = lifeChange{set: true, setIdle: true, setAbsolute: true, setBrowser: true}
}

// SetPersistence overrides Settings.ExpireAtBrowserClose for this session:
// "remember me" is SetPersistence(Persist).
func (s *Session) SetPersistence(b Persistence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	c := s.changeLife()
	c.setBrowser, c.browser = true, min(b, Persist)
}

// LastSeen returns when the session was last looked at or changed, as far as
// that is recorded. Looks are recorded with IdleTimeout and Rolling, once in a
// tenth of the time, and with LastSeenResolution. It returns the zero time for
// a session that is not stored.
//
// LastSeen, Created and Expires are about the session's life and do not count as
// looks into it: a page that shows how much of it is left does not prolong it.
func (s *Session) LastSeen() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.peek(s.ctx); err != nil || !s.exists {
		return time.Time{}, err
	}
	return s.record.LastSeen.Time(), nil
}

// Created returns when the session was first stored, or the zero time. It does
// not count as a look; see LastSeen.
func (s *Session) Created() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.peek(s.ctx); err != nil || !s.exists {
		return time.Time{}, err
	}
	return s.record.Created.Time(), nil
}

// Expires returns when the session ends if nothing happens after this request:
// its changes count as saved now, and so does its look, if that will move the
// end. It returns the zero time for a session that is not stored and will not
// be. It does not count as a look; see LastSeen.
func (s *Session) Expires() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.peek(s.ctx); err != nil {
		return time.Time{}, err
	}
	m, r, now := s.manager, s.record, s.manager.now()
	switch {
	case s.ended != nil:
		return time.Time{}, nil // its changes are dropped
	case s.modified():
		if !s.exists {
			r = Record{Created: now}
		}
		s.age(&r, now)
	case !s.exists:
		return time.Time{}, nil
	case s.w != nil && (s.refreshDue(now) || s.renewalDue(now) && s.canSendID() == nil):
		r.LastSeen = now
		r.Expires = m.expires(&r, now)
	}
	return m.endOf(&r).Time(), nil
}

// lifeChange is a pending change of a session's own expiry and timeouts.
type lifeChange struct {
	lifetime, idle, absolute store.Millis

	set, fixed, setIdle, setAbsolute, setBrowser bool

	browser Persistence

	// at is the only revision that SaveAt may change, or 0 for any. It is here because a
	// session has no room for a field that few programs use.
	at uint64
}

// changeLife returns the changes, to be made.
func (s *Session) changeLife() *lifeChange {
	if s.life == nil {
		s.life = new(lifeChange)
	}
	return s.life
}

func (c *lifeChange) pending() bool {
	return c != nil && (c.set || c.setIdle || c.setAbsolute || c.setBrowser)
}

// apply makes the changes to a record.
func (c *lifeChange) apply(r *Record) {
	if c == nil {
		return
	}
	if c.set {
		r.Lifetime, r.Fixed = c.lifetime, c.fixed
	}
	if c.setIdle {
		r.IdleTimeout = c.idle
	}
	if c.setAbsolute {
		r.AbsoluteTimeout = c.absolute
	}
	if c.setBrowser {
		r.Persistence = c.browser
	}
}

// ends reports whether the change itself ends a session.
func (c *lifeChange) ends(r *Record, now store.Millis) bool {
	return c != nil && (c.set && c.fixed && c.lifetime <= now ||
		c.setAbsolute && c.absolute > 0 && r.Created+c.absolute <= now)
}

// ownTimeout returns a timeout in the form that records have.
func ownTimeout(name string, d time.Duration) (store.Millis, error) {
	switch {
	case d == Off:
		return timeoutNone, nil
	case d == 0:
		return 0, nil // the settings decide
	case d < time.Second || d > maxLifetime:
		return 0, fmt.Errorf("%w: the %s is %v: must be from 1s to %v, session.Off for none, or 0 for what the settings say",
			ErrInvalidExpiry, name, d, maxLifetime)
	}
	return store.Span(d), nil
}

// lifeToChange returns what is known of the session's life, including pending
// changes.
func (s *Session) lifeToChange() (r Record, now store.Millis, err error) {
	if err := s.loadUnseen(s.ctx); err != nil {
		return r, 0, err
	}
	now = s.manager.now()
	if r = s.record; !s.exists {
		r.Created = now
	}
	s.life.apply(&r)
	return r, now, nil
}

// cutByIdle returns an error for an end beyond Settings.Lifetime if
// Settings.IdleTimeout would come first.
func (s *Session) cutByIdle(r *Record, now, end store.Millis) error {
	m := s.manager
	if m.idle == 0 || r.IdleTimeout != 0 || end-now <= m.lifetime {
		return nil
	}
	return cut("IdleTimeout", (end - now).Duration(), m.idle)
}

func cut(timeout string, wanted time.Duration, after store.Millis) error {
	return fmt.Errorf("%w: the time to live is %v, but %s would end the session after %v; change that by Session.Set%s first",
		ErrInvalidExpiry, wanted, timeout, after.Duration(), timeout)
}

// changesHands reports whether another user than before logs in with the session.
// How the one before wished to be remembered is not this one's wish.
func (s *Session) changesHands() bool {
	if s.bind == nil || !s.exists {
		return false
	}
	before, ok := bindingOf(&overlay{}, s.record.Values)
	return ok && before.user != s.bind.user
}

// age sets the times of a record that is saved now, by the settings and the
// pending changes of this session.
func (s *Session) age(r *Record, now store.Millis) {
	if s.changesHands() {
		r.Lifetime, r.Fixed, r.IdleTimeout, r.AbsoluteTimeout, r.Persistence = 0, false, 0, 0, PersistenceDefault
	}
	s.life.apply(r)
	if s.manager.anonymousLifetime != 0 {
		_, kept := s.bindingAfter(&s.overlay)
		r.bound = kept || s.bind != nil
	}
	r.Saved, r.LastSeen = now, now
	r.Expires = s.manager.expires(r, now)
}
