package session

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
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

// secure reports whether the client's own connection is encrypted: the one to
// this server, or, where that comes from a proxy that is trusted, the one that
// the proxy tells of.
func (m *Manager) secure(r *http.Request) bool {
	return m.settings.CookieSecure || m.settings.CookieSecureAuto && encrypted(r.TLS, r, m.settings.TrustedProxies)
}

func encrypted(state *tls.ConnectionState, r *http.Request, trusted []netip.Prefix) bool {
	if state != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, prefix := range trusted {
		if prefix.Contains(addr) {
			return forwardedHTTPS(r.Header)
		}
	}
	return false
}

// forwardedHTTPS reads the scheme that the nearest proxy saw. Each proxy adds
// at the end, and only the last entry is the trusted one's own.
func forwardedHTTPS(h http.Header) bool {
	if lines := h["X-Forwarded-Proto"]; len(lines) > 0 {
		last := lines[len(lines)-1]
		return strings.EqualFold(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]), "https")
	}
	lines := h["Forwarded"] // RFC 7239
	if len(lines) == 0 {
		return false
	}
	element, ok := lastOutsideQuotes(lines[len(lines)-1], ',')
	for ok && element != "" {
		var pair string
		if pair, ok = lastOutsideQuotes(element, ';'); !ok {
			return false
		}
		element = strings.TrimSuffix(element[:len(element)-len(pair)], ";")
		if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "proto") {
			return strings.EqualFold(strings.Trim(value, `"`), "https")
		}
	}
	return false
}

// lastOutsideQuotes returns what is behind the last separator that does not
// stand in a quoted string: a client may choose what a proxy quotes, its own
// name for the host for instance. It reports false for a quote that never ends.
func lastOutsideQuotes(line string, separator byte) (last string, ok bool) {
	start, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			start = i + 1
		}
	}
	return line[start:], !quoted
}

// unmapped returns prefixes in the form in which addresses are compared: those
// of IPv4 addresses that are written as IPv6 ones match IPv4 addresses.
func unmapped(prefixes []netip.Prefix) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		list = append(list, p)
	}
	return list
}
