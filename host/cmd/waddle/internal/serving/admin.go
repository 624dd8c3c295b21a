package serving

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/waddle-sessions/waddle/host/session"
)

// Operator answers whoever runs the service: what is stored, and how it is.
func (s *Service) Operator() http.Handler {
	return s.handler(&s.operator, map[string]route{
		"/v1/admin/count": {http.MethodPost, s.count},
		"/v1/admin/list":  {http.MethodPost, s.list},
		"/v1/admin/end":   {http.MethodPost, s.end},
	}, nil)
}

// maxListed bounds an answer with sessions.
const maxListed = 10000

// count counts all sessions.
func (s *Service) count(c *call) ([]byte, error) {
	if err := readBody(c.body, fields{}); err != nil {
		return nil, err
	}
	n := 0
	for _, err := range s.manager.AllSessions(c.Context()) {
		if err != nil {
			return nil, err
		}
		n++
	}
	return append(strconv.AppendInt([]byte(`{"sessions":`), int64(n), 10), "}\n"...), nil
}

// list lists sessions.
func (s *Service) list(c *call) ([]byte, error) {
	limit := count{n: 100}
	var user string
	if err := readBody(c.body, fields{"limit": &limit, "user": &user}); err != nil {
		return nil, err
	}
	if limit.n < 1 || limit.n > maxListed {
		return nil, badRequest("limit is %d: must be from 1 to %d", limit.n, maxListed)
	}
	b, n, more := []byte(`{"sessions":[`), uint64(0), false
	for info, err := range s.manager.AllSessions(c.Context()) {
		if err != nil {
			return nil, err
		}
		if user != "" && info.User != user {
			continue
		}
		if more = n == limit.n; more {
			break
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = appendInfo(b, &info)
		b = append(b, '}')
	}
	b = strconv.AppendBool(append(b, `],"more":`...), more)
	return append(b, "}\n"...), nil
}

// appendInfo appends a session as operators see it, without the last brace.
func appendInfo(b []byte, info *session.SessionInfo) []byte {
	b = appendText(append(b, `{"handle":`...), info.Handle)
	b = appendText(append(b, `,"user":`...), info.User)
	b = appendText(append(b, `,"public_id":`...), info.PublicID)
	b = appendTime(append(b, `,"created":`...), info.Created)
	b = appendTime(append(b, `,"last_seen":`...), info.LastSeen)
	b = appendTime(append(b, `,"expires":`...), info.Expires)
	return strconv.AppendInt(append(b, `,"size":`...), int64(info.Size), 10)
}

// end ends one session, or all of a user.
func (s *Service) end(c *call) ([]byte, error) {
	var handle, user string
	if err := readBody(c.body, fields{"handle": &handle, "user": &user}); err != nil {
		return nil, err
	}
	if (handle == "") == (user == "") {
		return nil, badRequest("the body has handle %t and user %t: must have one of them", handle != "", user != "")
	}
	if user != "" {
		n, err := s.manager.RevokeAll(c.Context(), user)
		return endedMany(n), err
	}
	yes, err := s.manager.RevokeHandle(c.Context(), handle)
	n := 0
	if yes {
		n = 1
	}
	return endedMany(n), err
}

var _ = json.Valid
