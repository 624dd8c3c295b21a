package serving

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

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

// list lists sessions, of all or of one user.
func (s *Service) list(c *call) ([]byte, error) {
	limit, user := count{n: 100}, ""
	if err := readBody(c.body, fields{"limit": &limit, "user": &user}); err != nil {
		return nil, err
	}
	if limit.n < 1 || limit.n > maxListed {
		return nil, badRequest("limit is %d: must be from 1 to %d", limit.n, maxListed)
	}
	found := make([]session.SessionInfo, 0, 16)
	if user != "" {
		var err error
		if found, err = s.manager.UserSessionInfos(c.Context(), user); err != nil {
			return nil, err
		}
	} else {
		for info, err := range s.manager.AllSessions(c.Context()) {
			if err != nil {
				return nil, err
			}
			if found = append(found, info); uint64(len(found)) > limit.n {
				break
			}
		}
	}
	more := uint64(len(found)) > limit.n
	b := []byte(`{"sessions":[`)
	for i := range found[:min(uint64(len(found)), limit.n)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendInfo(append(b, '{'), &found[i]), '}')
	}
	b = strconv.AppendBool(append(b, `],"more":`...), more)
	return append(b, "}\n"...), nil
}

// appendInfo appends the fields of a session as operators see it.
func appendInfo(b []byte, info *session.SessionInfo) []byte {
	b = appendText(append(b, `"handle":`...), info.Handle)
	b = appendText(append(b, `,"user":`...), info.User)
	b = appendText(append(b, `,"public_id":`...), info.PublicID)
	b = appendTime(append(b, `,"created":`...), info.Created)
	b = appendTime(append(b, `,"last_seen":`...), info.LastSeen)
	b = appendTime(append(b, `,"expires":`...), info.Expires)
	return strconv.AppendInt(append(b, `,"size":`...), int64(info.Size), 10)
}

// show answers with all that is stored of a session, but its id.
func (s *Service) show(c *call) ([]byte, error) {
	handle := required("")
	if err := readBody(c.body, fields{"handle": &handle}); err != nil {
		return nil, err
	}
	d, err := s.manager.SessionByHandle(c.Context(), string(handle))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, problemf(http.StatusGone, codeGone, "no session has this handle: it was ended, has expired, or never was")
	case errors.Is(err, session.ErrRenewed):
		return nil, problemf(http.StatusGone, codeGone, "the session has another handle by now; list the sessions again")
	case err != nil:
		return nil, err
	}
	b := appendInfo([]byte(`{"session":{`), &d.SessionInfo)
	b = strconv.AppendUint(append(b, `,"revision":`...), d.Revision, 10)
	b = appendTime(append(b, `,"issued":`...), d.Issued)
	b = appendTime(append(b, `,"logged_in":`...), d.LoggedIn)
	b = append(b, `,"note":`...)
	b = appendNote(b, d.Note)
	b = appendText(append(b, `,"persistence":`...), persistences[d.Persistence])
	b = append(b, `,"unreadable":`...)
	b = appendJSON(b, append([]string{}, d.Unreadable...))
	b = append(b, `,"values":{`...)
	for i, name := range slices.Sorted(maps.Keys(d.Values)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		b = append(b, d.Values[name]...)
	}
	return append(b, "}}}\n"...), nil
}

func appendNote(b []byte, note map[string]string) []byte {
	if note == nil {
		return append(b, "{}"...)
	}
	return appendJSON(b, note)
}

// end ends one session, or all of a user.
func (s *Service) end(c *call) ([]byte, error) {
	var handle, user string
	if err := readBody(c.body, fields{"handle": &handle, "user": &user}); err != nil {
		return nil, err
	}
	if (handle == "") == (user == "") {
		return nil, badRequest("the body must have handle or user, and not both")
	}
	if user != "" {
		n, err := s.manager.RevokeAll(c.Context(), user)
		return endedMany(n), err
	}
	yes, err := s.manager.RevokeHandle(c.Context(), handle)
	if errors.Is(err, session.ErrRenewed) {
		return nil, problemf(http.StatusGone, codeGone, "the session has another handle by now; list the sessions again")
	}
	n := 0
	if yes {
		n = 1
	}
	return endedMany(n), err
}
