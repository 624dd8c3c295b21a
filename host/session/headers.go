package session

import (
	"net/http"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// addHeaders completes the headers of a response whose session was touched,
// just before they leave.
func (s *Session) addHeaders() {
	w, a := s.w, &s.answer
	h := w.Header()
	a.addVary(h, "Cookie")
	told := s.tokenSent
	if s.manager.settings.TokenHeader != "" {
		a.addVary(h, s.manager.settings.TokenHeader)
		told = s.placeToken(h)
	}
	if s.resend && a.cookie == "" && s.exists && s.transport == TransportCookie {
		// The client missed the response that told it its new id.
		now := s.manager.now()
		s.setCookie(s.id, s.manager.cookieUntil(&s.record, now), now)
	}
	if a.cookie == "" && s.transport == TransportCookie && (s.destroyed || s.takeBackDead()) {
		if scope, err := s.manager.scope(w.request); err == nil {
			a.cookie = removal(s.manager.settings.cookie(scope))
		}
	}
	s.forgetOld(h)
	a.placeCookie(h)
	told = s.placeVisitor(h) || told
	if a.cookie == "" && !told {
		if h["Cache-Control"] == nil {
			a.cacheControl[0] = "private"
			h["Cache-Control"] = a.cacheControl[:1:1]
		}
		return
	}
	switch said := strings.ToLower(strings.Join(h["Cache-Control"], ",")); {
	case said == "":
		h.Set("Cache-Control", "private, no-store")
	case !strings.Contains(said, "no-store") && !strings.Contains(said, "private"):
		// A shared cache must not give one visitor's cookie to another.
		h.Add("Cache-Control", `no-cache="Set-Cookie"`)
	}
}

func (a *answer) addVary(h http.Header, on string) {
	vary := h["Vary"]
	if vary == nil {
		a.vary[0] = on
		h["Vary"] = a.vary[:1:1]
		return
	}
	for _, line := range vary {
		for token := range strings.SplitSeq(line, ",") {
			token = strings.TrimSpace(token)
			if token == "*" || strings.EqualFold(token, on) {
				return
			}
		}
	}
	h.Add("Vary", on)
}

// sendID puts the session's id into the headers at once, where a handler that
// writes the response itself finds it.
func (s *Session) sendID(id string, until, now store.Millis) {
	h, m := s.w.Header(), s.manager
	if s.transport == TransportHeader {
		h.Set(m.settings.tokenAnswer(), id)
		s.tokenSent = true
		return
	}
	m.sendsCookie(s.w.request)
	s.answer.removeCookieLine(h)
	s.setCookie(id, until, now)
	s.answer.placeCookie(h)
}

// setCookie makes the cookie for an id, if there is a scope for it. If there is
// none, a commit that needs the cookie has failed before.
func (s *Session) setCookie(id string, until, now store.Millis) {
	m := s.manager
	if scope, err := m.scope(s.w.request); err == nil {
		s.answer.cookie = m.settings.setCookie(scope, id, until, now)
	}
}

// dropID takes back an id that was about to go out.
func (s *Session) dropID() {
	a := &s.answer
	if !s.w.sent {
		h := s.w.Header()
		a.removeCookieLine(h)
		if s.tokenSent {
			h.Del(s.manager.settings.tokenAnswer())
		}
	}
	a.cookie, s.tokenSent = "", false
}

// placeToken makes sure that the headers have the session's id or, after the
// session was ended, an empty one, which tells the client to forget it.
func (s *Session) placeToken(h http.Header) (told bool) {
	if s.transport != TransportHeader {
		return false
	}
	switch name := s.manager.settings.tokenAnswer(); {
	case s.tokenSent:
		h.Set(name, s.id)
	case s.destroyed:
		h.Set(name, "")
	default:
		return false
	}
	s.manager.settings.expose(h)
	return true
}

// placeCookie makes sure that our cookie is in the headers: a handler may have
// replaced them.
func (a *answer) placeCookie(h http.Header) {
	if a.cookie != "" && !slices.Contains(h["Set-Cookie"], a.cookie) {
		h["Set-Cookie"] = append(h["Set-Cookie"], a.cookie)
	}
}

func (a *answer) removeCookieLine(h http.Header) {
	if a.cookie == "" {
		return
	}
	lines := h["Set-Cookie"]
	for i, line := range lines {
		if line == a.cookie {
			h["Set-Cookie"] = append(lines[:i:i], lines[i+1:]...)
			break
		}
	}
	if len(h["Set-Cookie"]) == 0 {
		h.Del("Set-Cookie")
	}
}
