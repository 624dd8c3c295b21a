package session

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// maxMoves bounds how many ids behind a client may be. More than one is possible
	// only with a grace longer than the time between timed renewals.
	maxMoves = 4

	// maxLeads bounds how many ids behind a long request, such as a stream, may be
	// that has loaded its session, and so how many records timed renewal leaves of one
	// session.
	maxLeads = 64
)

// leadsFor returns how long a record leads from an old id to the next one.
// Clients are led on only within the grace; the rest is for running requests.
func (m *Manager) leadsFor() store.Millis {
	return max(m.grace, min(endedFor, maxLeads*m.renewEvery))
}

// moveKey names the value by which a RecordMoved leads on.
const moveKey = reservedPrefix + "moved"

const moveSaltSize = 32

// renewedID makes the id that follows another one in a timed renewal. If a
// client sends the old id within the grace, the host can make the new one and
// tell it again, in case the response that told it got lost. The store, which
// has the salt, knows neither id.
func renewedID(id string, salt []byte) string {
	h := sha256.New()
	h.Write([]byte("waddle renewed id 1\x00"))
	h.Write(salt)
	h.Write([]byte(id))
	return idEncoding.EncodeToString(h.Sum(nil))
}

// movedTo returns a session's next id, from the record left under the old one.
func movedTo(id string, r *Record) (string, error) {
	salt, ok := r.Values.lookup(moveKey)
	if !ok || len(salt) != moveSaltSize {
		return "", fmt.Errorf("%w: the record of a session that got a new id does not lead to it", ErrDecode)
	}
	return renewedID(id, salt), nil
}

// renewalDue reports whether the session's id has served its time.
func (s *Session) renewalDue(now store.Millis) bool {
	if !s.exists || !s.used || s.w == nil || s.record.Transport != TransportCookie {
		return false
	}
	every := s.manager.renewEvery
	return every != 0 && now-s.record.Issued >= every || s.record.takenOver()
}

// idMayChange reports whether the client can be told another id now: just before
// the response begins, since the grace of the old id would otherwise run while
// the handler still works.
//
// A request that has ended tells it to nobody.
func (s *Session) idMayChange() bool { return s.w != nil && s.w.beginning && s.ctx.Err() == nil }

// moved makes the record that is left under the old id.
func (m *Manager) moved(from *Record, now store.Millis) (r *Record, salt []byte, err error) {
	salt = make([]byte, moveSaltSize)
	if _, err := io.ReadFull(m.settings.Rand, salt); err != nil {
		return nil, nil, fmt.Errorf("session: no random bits for an id: %w", err)
	}
	var o overlay
	o.set(moveKey, salt)
	grace, leads := m.grace, m.leadsFor()
	if from.takenOver() {
		grace, leads = max(grace, endedGrace), max(leads, endedFor)
	}
	r = &Record{
		Revision:    from.Revision + 1,
		Codec:       from.Codec,
		Created:     from.Created,
		Expires:     now + leads,
		CookieUntil: now + grace,
		Transport:   from.Transport,
		State:       RecordMoved,

		AbsoluteTimeout: from.AbsoluteTimeout, // otherwise the general one would end it
	}
	r.Values = o.apply(0, Values{})
	return r, salt, nil
}
