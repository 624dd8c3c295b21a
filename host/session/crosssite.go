package session

import (
	"fmt"
	"net/http"
)

// notKeptBack returns ErrCrossSite for a request whose browser may have a cookie
// of ours that it does not send: one of another site that changes something. It
// looks like one of a new visitor, and browsers take a new cookie from the
// answer all the same.
//
// A link that is followed from elsewhere comes without a Strict cookie as well.
// Nobody could begin a session there if that were refused, be it the first page
// of a visitor who comes from a search engine.
func (s *Session) notKeptBack() error {
	if s.w == nil || s.manager.settings.CookieSameSite == http.SameSiteNoneMode {
		return nil
	}
	r := s.w.request
	if r.Header.Get("Sec-Fetch-Site") != "cross-site" || !changes(r.Method) {
		return nil
	}
	if s.clientIDs(); s.brought || s.transport != TransportCookie {
		return nil
	}
	name := "Lax"
	if s.manager.settings.CookieSameSite == http.SameSiteStrictMode {
		name = "Strict"
	}
	return fmt.Errorf("%w: a %s comes without a cookie that is SameSite=%s, and the cookie of a new session would replace it; "+
		`the ways to do it are in host/session/README.md, "Answers that come from another site"`, ErrCrossSite, r.Method, name)
}
