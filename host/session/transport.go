package session

import (
	"fmt"
	"net/http"
)

// idsOf returns the ids that a request brings, and how it brought them. A
// request that has the header for tokens is one of a client that does not use
// cookies: those it has all the same are not looked at, so that a page that
// makes a browser send cookies gains nothing by them.
func (m *Manager) idsOf(room []string, header http.Header) (ids []string, t Transport, rejected int) {
	if name := m.settings.TokenHeader; name != "" {
		if values := header.Values(name); len(values) > 0 {
			if len(values) == 1 && validID(values[0]) {
				return append(room, values[0]), TransportHeader, 0
			}
			if len(values) > 1 || values[0] != "" {
				rejected = len(values)
			}
			return room, TransportHeader, rejected
		}
	}
	ids, rejected = idsFromCookies(room, header, m.settings.CookieName)
	return ids, TransportCookie, rejected
}

// takenHeaders have a meaning in requests or responses, or are set by servers
// and proxies on the way.
var takenHeaders = []string{
	"Accept", "Age", "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Type",
	"Cookie", "Date", "Etag", "Expect", "Expires", "Forwarded", "Host", "Keep-Alive", "Link", "Location", "Origin", "Pragma",
	"Proxy-Authorization", "Range", "Referer", "Server", "Set-Cookie", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"User-Agent", "Vary", "Www-Authenticate", "X-Csrf-Token", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// checkTokenHeader returns what is wrong with Settings.TokenHeader.
func checkTokenHeader(name string) error {
	if name == "" {
		return nil
	}
	for i := range len(name) {
		c := name[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return fmt.Errorf("and must consist of letters, digits and hyphens")
		}
	}
	if canonical := http.CanonicalHeaderKey(name); canonical != name {
		return fmt.Errorf("and must be written %q", canonical)
	}
	if contains(takenHeaders, name) {
		return fmt.Errorf("which has a meaning already; choose another, such as X-Session-Token")
	}
	return nil
}

// accepts reports whether an id that came by this session's transport may open
// a record. An id that travels in a header may be within a script's reach and
// must not become a cookie, nor the reverse.
func (s *Session) accepts(t Transport) bool {
	return s.transport == TransportAny || t == TransportAny || t == s.transport
}
