package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// ErrChanged is returned when a session has another revision than the caller
// expects. The change was not stored.
var ErrChanged = errors.New("session: the session was changed by another request")

// Snapshot is a session as it is stored, for a program that hands sessions to
// others. Changes of a request are in it only after they were saved.
type Snapshot struct {
	// ID is the id that the session has by now: anyone who has it can use it.
	ID string

	// Revision is at least 1, and differs after every write of the session, also
	// after one that only records an access.
	Revision uint64

	// User is the user to whom the session is bound, and PublicID its name in that
	// user's list. Both are empty if it is bound to nobody.
	User, PublicID string

	Created, LastSeen, Expires time.Time

	// CookieUntil is when a cookie that is sent now should end, or the zero time for
	// "when the browser closes". The idle timeout does not count, so that the cookie
	// need not be sent again with every access.
	CookieUntil time.Time

	Persistence Persistence
	Values      []EncodedValue
}

// EncodedValue is a value of a session in its stored form.
type EncodedValue struct {
	Name  string
	Data  []byte // must not be changed
	Codec Codec  // that wrote it; nil if it is not among the manager's
}

// JSON returns the value as JSON. A value of codec [JSON] is returned as it is, without a
// copy; it must not be changed. [SessionDetail].Values says how values of other codecs
// look. JSON returns ErrDecode for a value that cannot be shown.
func (v *EncodedValue) JSON() (json.RawMessage, error) {
	var err error
	switch _, ok := v.Codec.(jsonCodec); {
	case ok && json.Valid(v.Data) && utf8.Valid(v.Data):
		return v.Data, nil
	case v.Codec != nil && !ok:
		var shown json.RawMessage
		if shown, err = shownBy(v.Codec, v.Data); err == nil {
			return shown, nil
		}
	}
	// Without the codec's own words, which quote the value.
	return nil, fmt.Errorf("%w: value %q cannot be shown as JSON", ErrDecode, v.Name)
}

// Snapshot returns the session as it is stored. ok is false if it is not stored.
// It counts as an access, which the next Save records. Pending changes are not in it.
func (s *Session) Snapshot() (snapshot Snapshot, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil || !s.exists {
		return Snapshot{}, false, err
	}
	m, r := s.manager, &s.record
	b, _ := bindingOf(&overlay{}, r.Values)
	snapshot = Snapshot{
		ID:          s.id,
		Revision:    r.Revision,
		User:        b.user,
		PublicID:    b.publicID,
		Created:     r.Created.Time(),
		LastSeen:    r.LastSeen.Time(),
		Expires:     m.endOf(r).Time(),
		Persistence: r.Persistence,
		Values:      make([]EncodedValue, 0, r.Values.n),
	}
	if until := m.cookieUntil(r, m.now()); until != 0 {
		snapshot.CookieUntil = until.Time()
	}
	var list []byte
	if r.Values.own {
		list, _ = r.Values.lookup(codecsKey)
	}
	for name, data := range r.Values.All() {
		if !reserved(name) {
			snapshot.Values = append(snapshot.Values, EncodedValue{name, data, m.codec(codecIn(list, name, r.Codec))})
		}
	}
	return snapshot, true, nil
}

// SetEncoded is [Session.Set] for a value that Settings.Codec, or a program in
// another language in its place, has encoded. It is stored as it is, byte for byte,
// and must not be changed any more. SetEncoded returns ErrEncode, and changes nothing,
// for a value that the codec could not read back.
func (s *Session) SetEncoded(key string, value []byte) error {
	if err := checkName(key); err != nil {
		return err
	}
	if err := s.manager.readable(value); err != nil {
		return fmt.Errorf("%w: value %q: %w", ErrEncode, key, err)
	}
	s.put(key, value)
	return nil
}

// readable returns an error if the codec of new values cannot decode one.
func (m *Manager) readable(value []byte) error {
	codec := m.settings.Codec
	if _, ok := codec.(jsonCodec); !ok {
		var v any
		return codec.Unmarshal(value, &v)
	}
	// Without decoding it.
	switch {
	case !json.Valid(value):
		return errors.New("is not JSON")
	case !utf8.Valid(value):
		return errors.New("is not UTF-8: must be UTF-8 in JSON")
	}
	return boundJSON(value)
}

// SaveAt is [Session.Save] on the condition that the stored session still has a
// revision, which [Session.Snapshot] gave. If it has another one by now, it returns
// ErrChanged, and the changes stay pending. It returns ErrGone, and drops them, for
// a session that is not stored: it never begins one.
func (s *Session) SaveAt(revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.saving()); err != nil { // the answer depends on the stored session
		return err
	}
	if !s.exists {
		return s.gone(ErrGone)
	}
	s.changeLife().at = revision
	defer func() {
		if s.life != nil {
			s.life.at = 0
		}
	}()
	if err := s.isAt(); err != nil {
		return err
	}
	return s.commit(nil)
}

// isAt returns an error if the session as last known has another revision than
// SaveAt expects.
func (s *Session) isAt() error {
	if c := s.life; c != nil && c.at != 0 && c.at != s.record.Revision {
		return fmt.Errorf("%w: it has revision %d: must have %d", ErrChanged, s.record.Revision, c.at)
	}
	return nil
}
