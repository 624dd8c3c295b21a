package serving

import "strconv"

// userSessions lists the sessions of a user.
func (s *Service) userSessions(c *call) ([]byte, error) {
	user := required("")
	if err := readBody(c.body, fields{"user": &user}); err != nil {
		return nil, err
	}
	list, err := s.manager.UserSessions(c.Context(), string(user))
	if err != nil {
		return nil, err
	}
	b := []byte(`{"sessions":[`)
	for i, one := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"public_id":`...), one.PublicID)
		b = append(b, `,"note":`...)
		b = appendNote(b, one.Note)
		b = appendTime(append(b, `,"logged_in":`...), one.LoggedIn)
		b = appendTime(append(b, `,"created":`...), one.Created)
		b = appendTime(append(b, `,"last_seen":`...), one.LastSeen)
		b = appendTime(append(b, `,"expires":`...), one.Expires)
		b = append(b, '}')
	}
	return append(b, "]}\n"...), nil
}

// revoke ends one session of a user.
func (s *Service) revoke(c *call) ([]byte, error) {
	var user, publicID required
	if err := readBody(c.body, fields{"user": &user, "public_id": &publicID}); err != nil {
		return nil, err
	}
	yes, err := s.manager.Revoke(c.Context(), string(user), string(publicID))
	if err != nil {
		return nil, err
	}
	return ended(yes), nil
}

// revokeAll ends all sessions of a user but some.
func (s *Service) revokeAll(c *call) ([]byte, error) {
	var user required
	var except []string
	if err := readBody(c.body, fields{"user": &user, "except": &except}); err != nil {
		return nil, err
	}
	n, err := s.manager.RevokeAll(c.Context(), string(user), except...)
	if err != nil {
		return nil, err
	}
	return endedMany(n), nil
}

func endedMany(n int) []byte {
	return append(strconv.AppendInt([]byte(`{"ended":`), int64(n), 10), "}\n"...)
}
