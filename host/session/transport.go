package session

import (
	"crypto/tls"
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
	last := lines[len(lines)-1]
	for pair := range strings.SplitSeq(last[strings.LastIndexByte(last, ',')+1:], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "proto") {
			return strings.EqualFold(strings.Trim(value, `"`), "https")
		}
	}
	return false
}
