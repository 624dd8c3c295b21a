package serving

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
)

// load answers with a session.
func (s *Service) load(c *call) ([]byte, error) {
	id, touch := required(""), true
	if err := readBody(c.body, fields{"id": &id, "touch": &touch}); err != nil {
		return nil, err
	}
	one := s.manager.Session(c.Context(), string(id))
	if touch {
		if err := touched(one); err != nil {
			return nil, err
		}
	}
	snapshot, found, err := one.Snapshot()
	if err != nil {
		return nil, err
	}
	if !found {
		return []byte("{\"found\":false}\n"), nil
	}
	b := append(make([]byte, 0, sizeOf(&snapshot)), `{"found":true,"session":`...)
	return append(s.appendSession(b, &snapshot), "}\n"...), nil
}

// touched records an access to a session.
func touched(one *session.Session) error {
	if exists, err := one.Exists(); err != nil || !exists {
		return err
	}
	return one.Save()
}

// touch records an access and answers how long the session lives.
func (s *Service) touch(c *call) ([]byte, error) {
	id := required("")
	if err := readBody(c.body, fields{"id": &id}); err != nil {
		return nil, err
	}
	one := s.manager.Session(c.Context(), string(id))
	if err := touched(one); err != nil {
		return nil, err
	}
	snapshot, found, err := one.Snapshot()
	if err != nil {
		return nil, err
	}
	if !found {
		return []byte("{\"found\":false}\n"), nil
	}
	b := append([]byte(`{"found":true,"revision":`), strconv.FormatUint(snapshot.Revision, 10)...)
	b = appendTime(append(b, `,"expires":`...), snapshot.Expires)
	b = appendTime(append(b, `,"cookie_until":`...), snapshot.CookieUntil)
	return append(b, "}\n"...), nil
}

// renew gives a session a new id.
func (s *Service) renew(c *call) ([]byte, error) {
	id := required("")
	if err := readBody(c.body, fields{"id": &id}); err != nil {
		return nil, err
	}
	one, err := s.existing(c, id)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(one.Renew(), one.Save()); err != nil {
		return nil, err
	}
	return s.stored(one, `{"session":`, "}\n")
}

// destroy ends a session.
func (s *Service) destroy(c *call) ([]byte, error) {
	id := required("")
	if err := readBody(c.body, fields{"id": &id}); err != nil {
		return nil, err
	}
	one := s.manager.Session(c.Context(), string(id))
	exists, err := one.Exists()
	if err != nil {
		return nil, err
	}
	// Also what does not count here: a record that this program cannot read may be a session
	// to another, which has its secret.
	if err := one.Destroy(); err != nil {
		return nil, err
	}
	return ended(exists), nil
}

func ended(yes bool) []byte {
	return append(strconv.AppendBool([]byte(`{"ended":`), yes), "}\n"...)
}

// existing returns the session with an id, which must be stored.
func (s *Service) existing(c *call, id required) (*session.Session, error) {
	one := s.manager.Session(c.Context(), string(id))
	if exists, err := one.Exists(); err != nil {
		return nil, err
	} else if !exists {
		return nil, gone()
	}
	return one, nil
}

// stored answers with a session as it is stored by now.
func (s *Service) stored(one *session.Session, before, after string) ([]byte, error) {
	snapshot, ok, err := one.Snapshot()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, gone() // its own change ended it
	}
	b := append(make([]byte, 0, sizeOf(&snapshot)), before...)
	return append(s.appendSession(b, &snapshot), after...), nil
}

// commit stores changes of a session, or a new session.
func (s *Service) commit(c *call) ([]byte, error) {
	q, err := readCommit(c.body)
	if err != nil {
		return nil, err
	}
	if q.expires.given && !q.expires.t.After(s.settings.Now()) {
		return nil, badRequest("expires has passed: must be in the future; /v1/destroy ends a session")
	}
	one := s.manager.Session(c.Context(), q.id)
	var before session.Snapshot
	if q.id != "" {
		var found bool
		if before, found, err = one.Snapshot(); err != nil {
			return nil, err
		} else if !found {
			return nil, gone()
		}
	}
	if err := q.apply(one); err != nil {
		return nil, err
	}
	changed := one.Modified()
	if q.fail && q.id != "" {
		err = one.SaveAt(q.revision.n)
	} else {
		err = one.Save()
	}
	if errors.Is(err, session.ErrChanged) {
		return nil, s.conflict(c, q.id, err)
	}
	if err != nil {
		return nil, err
	}
	after, ok, err := one.Snapshot()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, gone() // its own change ended it
	}
	merged := q.revision.given && q.revision.n != before.Revision || q.id != "" && changed && after.Revision != before.Revision+1
	b := append(make([]byte, 0, sizeOf(&after)), `{"session":`...)
	b = append(s.appendSession(b, &after), `,"merged":`...)
	return append(strconv.AppendBool(b, merged), "}\n"...), nil
}

// conflict is the answer to a commit on a condition that does not hold. It has the
// newest session, so that the client need not ask for it.
func (s *Service) conflict(c *call, id string, why error) error {
	snapshot, found, err := s.manager.Session(c.Context(), id).Snapshot()
	if err != nil {
		return err
	}
	if !found {
		return gone()
	}
	p := problemf(http.StatusConflict, codeConflict, "%v; nothing was stored", why)
	p.session = s.appendSession(nil, &snapshot)
	return p
}

// sizeOf is about how long a session is as JSON.
func sizeOf(snapshot *session.Snapshot) int {
	size := 512 + len(snapshot.User)
	for i := range snapshot.Values {
		size += len(snapshot.Values[i].Name) + len(snapshot.Values[i].Data) + 8
	}
	return size
}

// appendSession appends a session as clients see it.
func (s *Service) appendSession(b []byte, snapshot *session.Snapshot) []byte {
	b = appendText(append(b, `{"id":`...), snapshot.ID)
	b = strconv.AppendUint(append(b, `,"revision":`...), snapshot.Revision, 10)
	b = appendText(append(b, `,"user":`...), snapshot.User)
	b = appendText(append(b, `,"public_id":`...), snapshot.PublicID)
	for _, t := range [...]struct {
		name string
		time time.Time
	}{
		{`,"created":`, snapshot.Created}, {`,"last_seen":`, snapshot.LastSeen}, {`,"expires":`, snapshot.Expires}, {`,"cookie_until":`, snapshot.CookieUntil},
	} {
		b = appendTime(append(b, t.name...), t.time)
	}
	b = appendText(append(b, `,"persistence":`...), persistences[snapshot.Persistence])
	b = append(b, `,"values":{`...)
	first := true
	for i := range snapshot.Values {
		v := &snapshot.Values[i]
		data, err := v.JSON()
		if err != nil {
			// It counts as absent, as everywhere, and is left alone in the storage.
			s.log.Warn("a value was left out of an answer", "error", err)
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendText(b, v.Name), ':')
		b = append(b, data...)
	}
	return append(b, "}}"...)
}

var persistences = [...]string{session.PersistenceDefault: "default", session.EndWithBrowser: "browser", session.Persist: "persist"}
