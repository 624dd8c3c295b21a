package session

import (
	"net/http"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// addHeaders completes the headers of a response whose session was touched,
// just before they leave.
func (w *responseWriter) addHeaders() {
	s := w.session
	h := w.Header()
	w.addVary(h, "Cookie")
	told := w.token
	if s.manager.settings.TokenHeader != "" {
		w.addVary(h, s.manager.settings.TokenHeader)
		told = w.placeToken(h)
	}
	if s.resend && w.cookie == "" && s.exists && s.transport == TransportCookie {
		// The client missed the response that told it its new id.
		now := s.manager.now()
		w.setCookie(s.id, s.manager.cookieUntil(&s.record, now), now)
	}
	if w.cookie == "" && s.transport == TransportCookie && (s.destroyed || s.takeBackDead()) {
		if scope, err := s.manager.scope(w.request); err == nil {
			w.cookie = removal(s.manager.settings.cookie(scope))
		}
	}
	w.placeCookie(h)
	told = w.placeVisitor(h) || told
	if w.cookie == "" && !told {
		if h["Cache-Control"] == nil {
			w.cacheControl[0] = "private"
			h["Cache-Control"] = w.cacheControl[:1:1]
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

func (w *responseWriter) addVary(h http.Header, on string) {
	vary := h["Vary"]
	if vary == nil {
		w.vary[0] = on
		h["Vary"] = w.vary[:1:1]
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
func (w *responseWriter) sendID(id string, until, now store.Millis) {
	h, m := w.Header(), w.session.manager
	if w.session.transport == TransportHeader {
		h.Set(m.settings.tokenAnswer(), id)
		w.token = true
		return
	}
	m.sendsCookie(w.request)
	w.removeCookieLine(h)
	w.setCookie(id, until, now)
	w.placeCookie(h)
}

// setCookie makes the cookie for an id, if there is a scope for it. If there is
// none, a commit that needs the cookie has failed before.
func (w *responseWriter) setCookie(id string, until, now store.Millis) {
	m := w.session.manager
	if scope, err := m.scope(w.request); err == nil {
		w.cookie = m.settings.setCookie(scope, id, until, now)
	}
}

// dropID takes back an id that was about to go out.
func (w *responseWriter) dropID() {
	if !w.sent {
		w.removeCookieLine(w.Header())
		if w.token {
			w.Header().Del(w.session.manager.settings.tokenAnswer())
		}
	}
	w.cookie, w.token = "", false
}

// placeToken makes sure that the headers have the session's id or, after the
// session was ended, an empty one, which tells the client to forget it.
func (w *responseWriter) placeToken(h http.Header) (told bool) {
	s := w.session
	if s.transport != TransportHeader {
		return false
	}
	switch name := s.manager.settings.tokenAnswer(); {
	case w.token:
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
func (w *responseWriter) placeCookie(h http.Header) {
	if w.cookie != "" && !slices.Contains(h["Set-Cookie"], w.cookie) {
		h["Set-Cookie"] = append(h["Set-Cookie"], w.cookie)
	}
}

func (w *responseWriter) removeCookieLine(h http.Header) {
	if w.cookie == "" {
		return
	}
	lines := h["Set-Cookie"]
	for i, line := range lines {
		if line == w.cookie {
			h["Set-Cookie"] = append(lines[:i:i], lines[i+1:]...)
			break
		}
	}
	if len(h["Set-Cookie"]) == 0 {
		h.Del("Set-Cookie")
	}
}
