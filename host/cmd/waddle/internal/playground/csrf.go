package playground

import (
	"errors"
	"net/http"

	"github.com/waddle-sessions/waddle/host/session"
)

// csrfToken answers with a token for a form of this session.
func (a api) csrfToken(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	writeJSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{session.Value(s, s.CSRFToken)})
}

// checkCSRF says whether a form with this token would be accepted.
func (a api) checkCSRF(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if !readFields(w, r, &body, `{"token":"text"}`) {
		return
	}
	s := session.From(r)
	err := s.CheckCSRF(body.Token)
	if !errors.Is(err, session.ErrCSRF) {
		s.Check(err)
	}
	writeJSON(w, http.StatusOK, struct {
		Valid bool `json:"valid"`
	}{err == nil})
}
