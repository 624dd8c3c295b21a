package session

import (
	"fmt"
	"net/http"
)

// notKeptBack returns ErrCrossSite if the browser may have a cookie of ours that
// it does not send: for a request of another site that changes something. It
// looks like a new visitor's, yet browsers take a new cookie from the response.
//
// A link followed from elsewhere also comes without a Strict cookie. If that were
// refused, nobody could begin a session there, not even a visitor from a search
// engine.
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
	return fmt.Errorf("%w: a %s comes without a SameSite=%s cookie, and the cookie of a new session would replace it; "+
		`the ways to do it are in host/session/README.md, "Answers that come from another site"`, ErrCrossSite, r.Method, name)
}
