package playground

import (
	"net/http"
	"strconv"

	"github.com/waddle-sessions/waddle/host/session"
)

// user is the value that shows who is logged in, among the other values. Decisions
// use [session.Session.User], which no visitor can set by hand.
var user = session.NewKey[string]("user")

// Names in the note that a log-in leaves for the list of devices. The note has no
// address, since anybody may log in under any name here and see that list.
const (
	noteBrowser    = "browser"
	noteRemembered = "remembered"
)

func (a api) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		User     string `json:"user"`
		Remember *bool  `json:"remember"`
	}
	const form = `{"user":"name"}, where the name is a string and not empty, and optionally "remember":true or false`
	if !readFields(w, r, &body, form) {
		return
	}
	if body.User == "" {
		writeError(w, http.StatusBadRequest, "the body must be "+form)
		return
	}
	if !a.hasRoom(w, r, user.Name()) {
		return
	}
	s := session.From(r)
	note := map[string]string{noteBrowser: browserOf(r.UserAgent())}
	if body.Remember != nil {
		note[noteRemembered] = strconv.FormatBool(*body.Remember)
	}
	// LogIn renews the id: the old one is worthless to anybody who knew it.
	s.Check(s.LogIn(body.User, note))
	user.Put(s, body.User)
	s.SetPersistence(rememberMe(body.Remember))
	a.show(w, r)
}

// rememberMe translates the "Remember me" box for the cookie. Without the box, the
// settings decide.
func rememberMe(box *bool) session.Persistence {
	switch {
	case box == nil:
		return session.PersistenceDefault
	case *box:
		return session.Persist
	}
	return session.EndWithBrowser
}

func (a api) logout(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	s.Check(s.Destroy())
	a.show(w, r)
}
