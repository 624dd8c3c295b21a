package session

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// idsOf returns the ids that a request brings, and how it brought them. A request
// with the token header comes from a client that does not use cookies. If it has
// some all the same, they are ignored, so that a page that makes a browser send
// cookies gains nothing by them.
func (m *Manager) idsOf(room []string, header http.Header) (ids []string, t Transport, rejected int) {
	if m.settings.TokenHeader != "" {
		if token, n := m.settings.token(header); n > 0 {
			if n == 1 && validID(token) {
				return append(room, token), TransportHeader, 0
			}
			if n > 1 || token != "" {
				rejected = n
			}
			return room, TransportHeader, rejected
		}
	}
	ids, rejected = idsFromCookies(room, header, m.settings.CookieName)
	return ids, TransportCookie, rejected
}

// BearerHeader is the response header that gives a new id if requests send theirs
// in Authorization, which has no meaning in a response.
const BearerHeader = "X-Session-Token"

const authorization = "Authorization"

// tokenAnswer returns the response header by which a client gets its id.
func (s *Settings) tokenAnswer() string {
	if s.TokenHeader == authorization {
		return BearerHeader
	}
	return s.TokenHeader
}

// token returns the value of a request's token header, and how often the request
// has it.
func (s *Settings) token(header http.Header) (token string, n int) {
	lines := header[s.TokenHeader]
	if len(lines) == 0 {
		return "", 0
	}
	if s.TokenHeader != authorization {
		return lines[0], len(lines)
	}
	for _, line := range lines {
		// RFC 9110, 11.4: schemes other than Bearer are somebody else's.
		scheme, credentials, _ := strings.Cut(strings.Trim(line, " \t"), " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimLeft(credentials, " "), len(lines)
		}
	}
	return "", 0
}

// expose lets scripts of other origins read the header with a new id, if the
// response is for them at all.
func (s *Settings) expose(h http.Header) {
	const list = "Access-Control-Expose-Headers"
	if h.Get("Access-Control-Allow-Origin") == "" {
		return
	}
	name := s.tokenAnswer()
	for _, line := range h[list] {
		for exposed := range strings.SplitSeq(line, ",") {
			exposed = strings.TrimSpace(exposed)
			// With credentials, a star is just a header of that name.
			if strings.EqualFold(exposed, name) || exposed == "*" && h.Get("Access-Control-Allow-Credentials") != "true" {
				return
			}
		}
	}
	h.Add(list, name)
}

// takenHeaders have a meaning in requests or responses, or are set by servers
// and proxies on the way.
var takenHeaders = []string{
	"Accept", "Age", "Authentication-Info", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Type",
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
			return fmt.Errorf("must consist of letters, digits and hyphens")
		}
	}
	if canonical := http.CanonicalHeaderKey(name); canonical != name {
		return fmt.Errorf("must be written %q", canonical)
	}
	if slices.Contains(takenHeaders, name) {
		return fmt.Errorf("must be another, such as X-Session-Token, since this one has a meaning already")
	}
	return nil
}

// accepts reports whether an id that came by this session's transport may open a
// record. An id from a header may be within a script's reach and must not become
// a cookie, nor the reverse.
func (s *Session) accepts(t Transport) bool {
	return s.transport == TransportAny || t == TransportAny || t == s.transport
}
