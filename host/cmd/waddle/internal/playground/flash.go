package playground

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/host/session"
)

// flash is the queue of messages for the next page.
var flash = session.NewFlash[string]("page")

// maxMessage bounds a message, in characters.
const maxMessage = 200

// addFlash leaves a message for the next page load.
func (a api) addFlash(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Message string `json:"message"`
	}
	if !readFields(w, r, &body, `{"message":"text"}`) {
		return
	}
	if n := utf8.RuneCountInString(body.Message); n == 0 || n > maxMessage {
		writeError(w, http.StatusBadRequest, fmt.Sprintf(`the message has %d characters: must be {"message":"text"} with 1 to %d`, n, maxMessage))
		return
	}
	s := session.From(r)
	s.Check(flash.Add(s, body.Message))
	a.show(w, r)
}

// takeFlash answers with the messages and removes them, for a page that shows them.
func (a api) takeFlash(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	messages, err := flash.PopAll(s)
	s.Check(err)
	if messages == nil {
		messages = []string{}
	}
	writeJSON(w, http.StatusOK, struct {
		Messages []string `json:"messages"`
	}{messages})
}
