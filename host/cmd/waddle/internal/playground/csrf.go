package playground

import (
	"errors"
	"net/http"

	"github.com/waddle-sessions/waddle/host/session"
)

// csrfToken answers with a token for a form of this session.
func (a api) csrfToken(w http.ResponseWriter, r *http.Request) {
	token, err := session.From(r).CSRFToken()
	if err != nil {
		a.manager.Error(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{token})
}

// checkCSRF says whether a form with this token would be accepted.
func (a api) checkCSRF(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if !readFields(w, r, &body, `{"token":"text"}`) {
		return
	}
	err := session.From(r).CheckCSRF(body.Token)
	if err != nil && !errors.Is(err, session.ErrCSRF) {
		a.manager.Error(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Valid bool `json:"valid"`
	}{err == nil})
}
