package session

import (
	"fmt"
	"net/http"
	"strings"
)

// mayLook returns an error if the session may no longer be looked at. Once a
// response has begun that any cache may keep and give to anybody, its content
// must not depend on who asked. All ways of looking call it, with the lock held.
func (s *Session) mayLook() error {
	w := s.w
	if w == nil || !w.sent || w.lookable || s.answer.failed != nil || s.saysItVaries(w.Header()) {
		return nil
	}
	if !w.told {
		w.told = true
		s.event(EventFailed, errLateLook)
	}
	return errLateLook
}

// errLateLook is reported when it happens.
var errLateLook = fmt.Errorf("%w: caches may keep this response and give it to others, so it is too late to look at the session; "+
	`look before the first write, Flush or WriteHeader, or send "Vary: Cookie" or "Cache-Control: private"`, ErrHeadersSent)

// saysItVaries reports whether the headers of a response keep caches from giving
// it to somebody else, without the help of this package.
func (s *Session) saysItVaries(h http.Header) bool {
	if lists(h["Cache-Control"], "private") || lists(h["Cache-Control"], "no-store") || lists(h["Vary"], "*") {
		return true
	}
	token := s.manager.settings.TokenHeader
	return lists(h["Vary"], "Cookie") && (token == "" || lists(h["Vary"], token))
}

// lists reports whether the list in a header contains a word.
func lists(lines []string, word string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), word) {
				return true
			}
		}
	}
	return false
}

// wentPast ends a response that the handler wrote to a writer beneath ours, so
// that nothing can be added to it any more. It saves what needs no header and
// reports the rest.
func (s *Session) wentPast() {
	s.w.sent, s.w.bypassed = true, true
	err := s.commitAtEnd()
	if err == nil && !s.saysItVaries(s.w.Header()) {
		err = fmt.Errorf("%w: nothing tells caches that the response depends on the session; %s", ErrHeadersSent, bypass)
	}
	if err != nil {
		s.event(EventFailed, err)
	}
}

const bypass = "the handler wrote to another ResponseWriter than the one that Handler gave it: " +
	"make the framework write to that one, or put Handler around the whole framework"

// begunBeneath reports whether a writer beneath knows that its response has
// begun. net/http's own does not tell; those of frameworks do.
func (w *responseWriter) begunBeneath() bool {
	if f, ok := beneath[interface{ Written() bool }](w); ok && f.Written() { // gin, negroni
		return true
	}
	if f, ok := beneath[interface{ BytesWritten() int }](w); ok && f.BytesWritten() > 0 { // chi
		return true
	}
	f, ok := beneath[interface{ Size() int }](w)
	return ok && f.Size() > 0
}
