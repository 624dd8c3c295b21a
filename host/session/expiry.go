package session

import (
	"fmt"
	"time"
)

// SetExpiry gives this session a time to live of its own, counted from each
// change, instead of Settings.Duration. It returns ErrSettings for a time
// below one second or above a hundred years.
func (s *Session) SetExpiry(d time.Duration) error {
	if d < time.Second || d > maxLifetime {
		return fmt.Errorf("%w: a session's expiry of %v, and it must be from 1s to %v", ErrSettings, d, maxLifetime)
	}
	s.setLife(lifeChange{set: true, lifetime: d.Milliseconds()})
	return nil
}

// SetExpiryTime gives this session a fixed end that changes do not move. One
// that has passed ends the session when it is saved.
func (s *Session) SetExpiryTime(t time.Time) {
	s.setLife(lifeChange{set: true, lifetime: max(1, t.UnixMilli()), fixed: true})
}

// ResetExpiry makes the session follow the settings again.
func (s *Session) ResetExpiry() {
	s.setLife(lifeChange{set: true, setBrowser: true})
}

// SetBrowserClose says for this session what Settings.ExpireAtBrowserClose says
// for all: "remember me" is SetBrowserClose(BrowserKeeps).
func (s *Session) SetBrowserClose(b BrowserClose) {
	s.setLife(lifeChange{setBrowser: true, browser: min(b, BrowserKeeps)})
}

func (s *Session) setLife(c lifeChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	if c.set {
		s.life.set, s.life.lifetime, s.life.fixed = true, c.lifetime, c.fixed
	}
	if c.setBrowser {
		s.life.setBrowser, s.life.browser = true, c.browser
	}
}

// Seen returns when the session was last looked at or changed, as far as that
// is kept: looks are noted with IdleTimeout, once in a tenth of it, and with
// SeenEvery. It is the zero time for a session that is not stored.
func (s *Session) Seen() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil || !s.exists {
		return time.Time{}, err
	}
	return time.UnixMilli(s.record.Seen), nil
}

// Expires returns when the session ends if nothing more happens; for one that
// NeedsUpdate or is new, as it would be if it were saved now.
func (s *Session) Expires() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil {
		return time.Time{}, err
	}
	record, now := s.record, s.manager.now()
	switch {
	case !s.exists:
		record = Record{Created: now}
		s.age(&record, now)
	case s.modified():
		s.age(&record, now)
	case s.refreshDue(now):
		record.Expires = s.manager.expires(&record, now)
	}
	return time.UnixMilli(record.Expires), nil
}

// age gives a record that is saved now its times, as the settings and the
// pending changes of this session have it.
func (s *Session) age(r *Record, now int64) {
	if s.life.set {
		r.Lifetime, r.Fixed = s.life.lifetime, s.life.fixed
	}
	if s.life.setBrowser {
		r.Browser = s.life.browser
	}
	r.Saved, r.Seen = now, now
	r.Expires = s.manager.expires(r, now)
}

// lasts returns when a record ends if its session is never idle.
func (m *Manager) lasts(r *Record) int64 {
	end := r.Saved + m.duration
	switch {
	case r.Fixed:
		end = r.Lifetime
	case r.Lifetime != 0:
		end = r.Saved + r.Lifetime
	}
	if m.absolute != 0 {
		end = min(end, r.Created+m.absolute)
	}
	return end
}

// expires returns when a record ends whose session was looked at now.
func (m *Manager) expires(r *Record, now int64) int64 {
	end := m.lasts(r)
	if m.idle != 0 {
		end = min(end, now+m.idle)
	}
	return end
}

// ended reports whether a record is over, whatever the store thinks of it. The
// absolute timeout is looked at anew: it may have been shortened since.
func (m *Manager) ended(r *Record, now int64) bool {
	return now >= r.Expires || m.absolute != 0 && now >= r.Created+m.absolute
}

// refreshDue reports whether looking at the session now moves its idle end by
// a tenth of the timeout or more, or is to be noted for its own sake.
func (s *Session) refreshDue(now int64) bool {
	m := s.manager
	if !s.exists || now < s.lookAgain || s.modified() {
		return false
	}
	return m.idle != 0 && m.expires(&s.record, now)-s.record.Expires >= max(1, m.idle/10) ||
		m.seenEvery != 0 && now-s.record.Seen >= m.seenEvery
}

// cookieUntil returns until when the browser should keep the cookie of a
// record, 0 for until it closes. Being idle does not count: the cookie
// need not be sent again whenever somebody looks.
func (m *Manager) cookieUntil(r *Record) int64 {
	closes := m.settings.ExpireAtBrowserClose
	switch r.Browser {
	case BrowserEnds:
		closes = true
	case BrowserKeeps:
		closes = false
	}
	if closes {
		return 0
	}
	return m.lasts(r)
}

// cookieStale reports whether the browser's copy of the cookie, kept until
// told, should be replaced by one kept until want: it would be forgotten when
// more than a tenth of its time is still to come, or kept for too long.
func cookieStale(told, want, now int64) bool {
	if told == 0 || want == 0 {
		return told != want
	}
	return want < told || want-told > (want-now)/10
}
