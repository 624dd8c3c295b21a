package session

import (
	"fmt"
	"net/http"
	"strings"
)

// CookieScope says where a browser sends a cookie.
type CookieScope struct {
	Domain string // with its subdomains; empty for the host that sent it alone
	Path   string
	Secure bool
}

// scope returns the scope of a request's cookie, and ErrSettings if
// Settings.CookieFor returned one that cannot work.
func (m *Manager) scope(r *http.Request) (CookieScope, error) {
	c := m.settings.scope()
	c.Secure = m.secure(r)
	if m.settings.CookieFor != nil {
		c = m.settings.CookieFor(r, c)
		if err := m.settings.checkScope(c); err != nil {
			err = fmt.Errorf("CookieFor returned a cookie that cannot work: %w", err)
			m.sayOnce(r.Context(), noticeCookieFor, "%w", err)
			return c, fmt.Errorf("%w: %w", ErrSettings, err)
		}
	}
	if c.Domain != "" && !servedUnder(r, c.Domain) {
		m.sayOnce(r.Context(), noticeDomain, "a cookie for %q goes out with a response of the host %.100q, where browsers drop it, unless a proxy in front has another name", c.Domain, r.Host)
	}
	return c, nil
}

func (s *Settings) scope() CookieScope {
	return CookieScope{Domain: s.CookieDomain, Path: s.CookiePath, Secure: s.CookieSecure}
}

// checkScope returns what is wrong with the cookie in a scope, in the names of
// the settings.
func (s *Settings) checkScope(c CookieScope) error {
	if s.CookieSameSite == http.SameSiteNoneMode && !c.Secure {
		return fmt.Errorf("CookieSameSite None needs CookieSecure: browsers refuse the cookie otherwise")
	}
	if s.CookiePartitioned && !c.Secure {
		return fmt.Errorf("CookiePartitioned needs CookieSecure: browsers refuse the cookie otherwise")
	}
	if !strings.HasPrefix(c.Path, "/") {
		return fmt.Errorf("CookiePath is %q, and must begin with /", c.Path)
	}
	// Browsers compare the prefixes without regard to case.
	name := strings.ToLower(s.CookieName)
	if strings.HasPrefix(name, "__secure-") && !c.Secure {
		return fmt.Errorf("a CookieName that begins with __Secure- needs CookieSecure")
	}
	if strings.HasPrefix(name, "__host-") {
		switch {
		case !c.Secure:
			return fmt.Errorf("a CookieName that begins with __Host- needs CookieSecure")
		case c.Path != "/":
			return fmt.Errorf("a CookieName that begins with __Host- needs CookiePath /, and it is %q", c.Path)
		case c.Domain != "":
			return fmt.Errorf("a CookieName that begins with __Host- must have no CookieDomain, and it is %q", c.Domain)
		}
	}
	if err := checkDomain(c.Domain); err != nil {
		return fmt.Errorf("CookieDomain is %q, %w", c.Domain, err)
	}
	cookie := s.cookie(c)
	cookie.Value = "x"
	if err := cookie.Valid(); err != nil {
		return fmt.Errorf("the cookie would not be valid: %w", err)
	}
	return nil
}
