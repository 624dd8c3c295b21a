package session

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// maxCandidates bounds how many cookies of our name are looked up per request. A
// browser legitimately sends more than one if it has one for a domain and one for
// the host, or for two paths.
const maxCandidates = 4

// idsFromCookies appends the well-formed and distinct ids among the request's
// cookies of this name, in the order sent, and counts the other values under that
// name.
func idsFromCookies(ids []string, header http.Header, name string) (_ []string, rejected int) {
	for _, line := range header["Cookie"] {
		for len(line) > 0 {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || key != name {
				continue
			}
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			switch {
			case !validID(value):
				rejected++
			case slices.Contains(ids, value):
			case len(ids) == maxCandidates:
				rejected++
			default:
				ids = append(ids, value)
			}
		}
	}
	return ids, rejected
}

// cookie returns the cookie that the settings describe, without value and age.
func (s *Settings) cookie(scope CookieScope) *http.Cookie {
	return &http.Cookie{
		Name:        s.CookieName,
		Path:        scope.Path,
		Domain:      scope.Domain,
		Secure:      scope.Secure,
		HttpOnly:    !s.CookieScriptReadable,
		SameSite:    s.CookieSameSite,
		Partitioned: s.CookiePartitioned,
	}
}

// setCookie returns the Set-Cookie line for an id. The browser keeps it until
// the given time, or until it closes if that is 0.
func (s *Settings) setCookie(scope CookieScope, id string, until, now store.Millis) string {
	c := s.cookie(scope)
	c.Value = id
	if until != 0 {
		// Rounded up: a cookie that outlives its session by part of a second is
		// harmless, one that dies before it is not.
		c.MaxAge = max(1, int((until-now+999)/1000))
		c.Expires = (until + 999).Time().UTC()
	}
	return c.String()
}

// removal returns the Set-Cookie line that makes the browser forget a cookie.
func removal(c *http.Cookie) string {
	c.Value = ""
	c.MaxAge = -1
	c.Expires = time.Unix(1, 0).UTC()
	return c.String()
}
