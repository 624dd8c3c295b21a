package session

import (
	"net/http"
	"strings"
)

// visitor is what a browser without a session has for the tokens of pages: a
// secret, in its own cookie. There is nothing to bind it to, so it counts only as
// long as there is no session. It goes to this host only and, over HTTPS, has the
// prefix __Host-, so that no other host can set it. The cookie's value lies apart from it,
// in the session.
type visitor struct {
	read    bool // the request was searched for it
	brought bool // the browser has one
	fresh   bool // the response must set it
	dropped bool // what the browser has no longer counts
}

// hasVisitor reports whether there is a browser to keep a cookie.
func (s *Session) hasVisitor() bool {
	s.clientIDs() // tells the transport
	return s.w != nil && s.transport == TransportCookie
}

// visitorSecret returns the visitor's secret, or nil.
func (s *Session) visitorSecret() []byte {
	v := &s.visitor
	s.readVisitor()
	if s.visitorSays == "" || v.dropped && !v.fresh {
		return nil
	}
	secret, _ := idEncoding.DecodeString(s.visitorSays)
	return secret
}

func (s *Session) readVisitor() {
	v := &s.visitor
	if v.read || !s.hasVisitor() {
		return
	}
	v.read = true
	if s.w.request.Header["Cookie"] == nil {
		return
	}
	name := s.manager.visitorCookie(s.w.request).Name
	var room [1]string
	if found, _ := idsFromCookies(room[:0], s.w.request.Header, name); len(found) > 0 {
		v.brought = true
		if !v.fresh {
			s.visitorSays = found[0]
		}
	}
}

// setVisitor gives the visitor a secret.
func (s *Session) setVisitor(secret []byte) {
	s.visitorSays, s.visitor.fresh = idEncoding.EncodeToString(secret), true
}

// dropVisitor invalidates earlier pages: somebody logs in or out.
func (s *Session) dropVisitor() {
	s.visitor.dropped, s.visitor.fresh = true, false
}

// placeVisitor puts the visitor's cookie into the headers, if it must be set or
// removed. A session that began meanwhile has the secret itself, without a
// cookie.
func (s *Session) placeVisitor(h http.Header) (placed bool) {
	w, v := s.w, &s.visitor
	if v.dropped && !v.fresh {
		s.readVisitor()
	}
	c := s.manager.visitorCookie
	switch {
	case v.fresh && !s.exists:
		cookie := c(w.request)
		cookie.Value = s.visitorSays
		h.Add("Set-Cookie", cookie.String())
	case v.dropped && v.brought:
		h.Add("Set-Cookie", removal(c(w.request)))
	default:
		return false
	}
	return true
}

// visitorCookie returns the visitor's cookie for a request, without a value.
func (m *Manager) visitorCookie(r *http.Request) *http.Cookie {
	scope, err := m.scope(r)
	secure := scope.Secure
	if err != nil {
		secure = m.secure(r)
	}
	c := &http.Cookie{
		Name:        m.settings.CookieName,
		Path:        "/",
		Secure:      secure,
		HttpOnly:    true,
		SameSite:    http.SameSiteLaxMode,
		Partitioned: m.settings.CookiePartitioned && secure,
	}
	for _, prefix := range [...]string{"__Host-", "__Secure-"} {
		if len(c.Name) > len(prefix) && strings.EqualFold(c.Name[:len(prefix)], prefix) {
			c.Name = c.Name[len(prefix):]
			break
		}
	}
	c.Name += "_csrf"
	if secure {
		c.Name = "__Host-" + c.Name
		if m.settings.CookieSameSite == http.SameSiteNoneMode {
			c.SameSite = http.SameSiteNoneMode
		}
	}
	return c
}
