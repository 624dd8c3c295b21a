package session

import (
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// These compute the life of a session from its record and the settings. Times are
// Unix milliseconds.

// maxCookieAge is the longest time for which browsers keep a cookie, whatever
// they are told.
const maxCookieAge = store.Millis(400 * 24 * time.Hour / time.Millisecond)

// timeoutNone in a record says that the session has no timeout.
const timeoutNone = -1

func (m *Manager) idleOf(r *Record) store.Millis { return timeout(r.IdleTimeout, m.idle) }

func (m *Manager) absoluteOf(r *Record) store.Millis { return timeout(r.AbsoluteTimeout, m.absolute) }

// timeout returns the one that applies, or 0 for none.
func timeout(own, general store.Millis) store.Millis {
	switch {
	case own == 0:
		return general
	case own == timeoutNone:
		return 0
	}
	return own
}

// lifeOf returns how long a session without a fixed end lives after a change.
func (m *Manager) lifeOf(r *Record) store.Millis {
	switch {
	case r.Lifetime != 0 && !r.Fixed:
		return r.Lifetime
	case m.anonymousLifetime != 0 && !r.bound:
		return m.anonymousLifetime
	}
	return m.lifetime
}

// lasts returns when a record ends if its session is never idle.
func (m *Manager) lasts(r *Record) store.Millis { return m.lastsSeen(r, r.LastSeen) }

// lastsSeen is lasts for a session that was last looked at when seen says.
func (m *Manager) lastsSeen(r *Record, seen store.Millis) store.Millis {
	from := r.Saved
	if m.rolling {
		from = max(from, seen)
	}
	end := from + m.lifeOf(r)
	if r.Fixed {
		end = r.Lifetime
	}
	if absolute := m.absoluteOf(r); absolute != 0 {
		end = min(end, r.Created+absolute)
	}
	return end
}

// expires returns when a record ends if its session is looked at now.
func (m *Manager) expires(r *Record, now store.Millis) store.Millis {
	end := m.lastsSeen(r, now)
	if idle := m.idleOf(r); idle != 0 {
		end = min(end, now+idle)
	}
	return end
}

// endOf returns when a record is over, whatever the store thinks. The absolute
// timeout is applied anew, since it may have been shortened.
func (m *Manager) endOf(r *Record) store.Millis {
	if absolute := m.absoluteOf(r); absolute != 0 {
		return min(r.Expires, r.Created+absolute)
	}
	return r.Expires
}

func (m *Manager) ended(r *Record, now store.Millis) bool { return now >= m.endOf(r) }

// mayRefresh reports whether looking at a session may change its record.
func (m *Manager) mayRefresh(r *Record) bool {
	return m.refreshes || r.IdleTimeout > 0 || m.outlivesCookies(r) || r.takenOver()
}

// refreshStep returns how far a look must move a session's end to be worth a
// write: a tenth of the time that looks extend, or 0 if they extend nothing.
func (m *Manager) refreshStep(r *Record) store.Millis {
	span := m.idleOf(r)
	if m.rolling && !r.Fixed && (span == 0 || m.lifeOf(r) < span) {
		span = m.lifeOf(r)
	}
	if span == 0 {
		return 0
	}
	return max(1, span/10)
}

// refreshPause returns how long to wait before a look that could not be
// recorded is tried anew.
func (m *Manager) refreshPause(r *Record) store.Millis {
	pause := m.refreshStep(r)
	if m.lastSeenResolution != 0 && (pause == 0 || m.lastSeenResolution < pause) {
		pause = m.lastSeenResolution
	}
	return max(1, pause)
}

// refreshDue reports whether the request's look at the session should be saved.
func (s *Session) refreshDue(now store.Millis) bool {
	m, r := s.manager, &s.record
	if !s.exists || !s.used || now < s.refreshAgain || s.modified() {
		return false
	}
	if m.lastSeenResolution != 0 && now-r.LastSeen >= m.lastSeenResolution {
		return true
	}
	if step := m.refreshStep(r); step != 0 && m.expires(r, now)-r.Expires >= step {
		return true
	}
	return s.w != nil && !s.w.sent && s.cookieRefreshes(r) && cookieStale(r.CookieUntil, m.cookieUntil(r, now), now)
}

// outlivesCookies reports whether a session may live longer than a browser keeps
// its cookie.
func (m *Manager) outlivesCookies(r *Record) bool { return m.lasts(r)-r.Saved > maxCookieAge }

// cookieRefreshes reports whether a session's cookie is sent again even if
// nothing was changed.
func (s *Session) cookieRefreshes(r *Record) bool {
	return s.transport == TransportCookie && (s.manager.rolling || s.manager.outlivesCookies(r))
}

// cookieUntil returns until when the browser should keep the cookie of a record,
// or 0 for until it closes. Being idle does not count: the cookie need not be
// sent again with every look.
func (m *Manager) cookieUntil(r *Record, now store.Millis) store.Millis {
	closes := m.settings.ExpireAtBrowserClose
	switch r.Persistence {
	case EndWithBrowser:
		closes = true
	case Persist:
		closes = false
	}
	if closes {
		return 0
	}
	return min(m.lasts(r), now+maxCookieAge)
}

// cookieStale reports whether the browser's copy of the cookie, kept until told,
// should be replaced by one kept until want. It should if the browser would
// forget it with more than a tenth of its time still to come, or keep it for too
// long. The latter includes a cookie sent for longer than browsers keep one.
func cookieStale(told, want, now store.Millis) bool {
	if told == 0 || want == 0 {
		return told != want
	}
	return want < told || want-told > (want-now)/10
}
