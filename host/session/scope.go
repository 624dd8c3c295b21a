package session

import (
	"fmt"
	"net/http"
	"strings"
)

// CookieScope says where a browser sends a cookie.
type CookieScope struct {
	Domain string // with its subdomains; empty for only the host that sent it
	Path   string
	Secure bool
}

// scope returns the scope of a request's cookie, or ErrSettings if
// Settings.CookieFor returned one that cannot work.
func (m *Manager) scope(r *http.Request) (CookieScope, error) {
	c := m.settings.scope()
	c.Secure = m.secure(r)
	if m.settings.CookieFor != nil {
		c = m.settings.CookieFor(r, c)
		if err := m.settings.checkScope(c); err != nil {
			err = fmt.Errorf("CookieFor returned a cookie that cannot work: %w", err)
			m.sayOnce(r.Context(), noticeCookieFor, "%w", err)
			return c, err
		}
	}
	if c.Domain != "" && !servedUnder(r, c.Domain) {
		m.sayOnce(r.Context(), noticeDomain, "a cookie for %q goes out with a response of the host %.100q, where browsers drop it, unless a proxy in front has another name", c.Domain, r.Host)
	}
	return c, nil
}

func (s *Settings) scope() CookieScope {
	return CookieScope{Domain: s.CookieDomain, Path: s.CookiePath, Secure: s.CookieSecure == SecureAlways}
}

// checkScope returns ErrSettings, with the reason, for a scope in which the
// cookie cannot work.
func (s *Settings) checkScope(c CookieScope) error {
	if s.CookieSameSite == http.SameSiteNoneMode && !c.Secure {
		return needsSecure("%s is None", setting("CookieSameSite"))
	}
	if s.CookiePartitioned && !c.Secure {
		return needsSecure("%s is true", setting("CookiePartitioned"))
	}
	if !strings.HasPrefix(c.Path, "/") {
		return wrong("%s is %q: must begin with /", setting("CookiePath"), c.Path)
	}
	// Browsers compare the prefixes regardless of case.
	name := strings.ToLower(s.CookieName)
	if strings.HasPrefix(name, "__secure-") && !c.Secure {
		return needsSecure("%s begins with __Secure-", setting("CookieName"))
	}
	if strings.HasPrefix(name, "__host-") {
		switch {
		case !c.Secure:
			return needsSecure("%s begins with __Host-", setting("CookieName"))
		case c.Path != "/":
			return wrong("%s is %q: must be / where %s begins with __Host-", setting("CookiePath"), c.Path, setting("CookieName"))
		case c.Domain != "":
			return wrong("%s is %q: must be empty where %s begins with __Host-", setting("CookieDomain"), c.Domain, setting("CookieName"))
		}
	}
	if err := checkDomain(c.Domain); err != nil {
		return wrong("%s is %q: %v", setting("CookieDomain"), c.Domain, err)
	}
	cookie := s.cookie(c)
	cookie.Value = "x"
	if err := cookie.Valid(); err != nil {
		return wrong("the cookie that %s, %s and %s make would not be valid: %v", setting("CookieName"), setting("CookiePath"), setting("CookieDomain"), err)
	}
	return nil
}

// needsSecure returns the error for a cookie that browsers refuse unless it is
// Secure: format says which cookie, and naming which field.
func needsSecure(format string, naming setting) error {
	return wrong(format+", and browsers refuse such a cookie without Secure: %s must be %s", naming, setting("CookieSecure"), secureValue(SecureAlways))
}
