package session

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// SecureMode says when a cookie is Secure, which keeps it off plain HTTP.
type SecureMode uint8

const (
	// SecureAuto leaves Secure off only for clients whose connection is known not to be
	// encrypted, where the same server answers others as well. It is known if the
	// request came straight from the client and nothing in it says HTTPS, or if a proxy
	// of Settings.TrustedProxies says http in X-Forwarded-Proto or Forwarded. If it is
	// not known, as for a request by a unix socket, or one with X-Forwarded-For from a
	// proxy that says no more, the cookie is Secure, and EventMisconfigured says once
	// how to make it known.
	SecureAuto SecureMode = iota

	// SecureAlways makes every cookie Secure. A browser on plain HTTP drops it, except
	// some on localhost.
	SecureAlways

	// SecureNever makes none Secure: anyone who listens to a plain connection of the
	// visitor, which any page can cause, has the session.
	SecureNever
)

// The names of the modes, and the words for them in the environment.
var (
	secureNames = [...]string{"SecureAuto", "SecureAlways", "SecureNever"}
	secureWords = [...]string{"auto", "true", "false"}
)

// String returns the name of the mode.
func (m SecureMode) String() string {
	if int(m) >= len(secureNames) {
		return fmt.Sprintf("SecureMode(%d)", uint8(m))
	}
	return secureNames[m]
}

// secure reports whether the cookies of a response should be Secure. If that
// follows the connection, they go without only if the client's own connection is
// known not to be encrypted. Browsers drop a Secure cookie on plain HTTP, which
// everybody notices. Anyone who listens can have one without Secure, which nobody
// notices.
func (m *Manager) secure(r *http.Request) bool {
	mode := m.settings.CookieSecure
	if mode == SecureAlways || mode == SecureAuto && r.TLS != nil {
		return true
	}
	word := schemeSaid(r)
	if mode == SecureNever {
		if r.TLS != nil || word == saidEncrypted {
			m.sayOnce(r.Context(), noticeNotSecure, "CookieSecure is SecureNever (SESSION_COOKIE_SECURE=false), and the cookie goes without Secure over an encrypted connection; leave it at SecureAuto")
		}
		return false
	}
	peer, addr := peerOf(r)
	switch {
	case m.trusts(peer, addr):
		if word == saidNothing {
			m.sayOnce(r.Context(), noticeSilentProxy, "a proxy of TrustedProxies (%s) does not say whether the client's connection is encrypted, so the cookie is Secure; make the proxy set X-Forwarded-Proto", peer)
		}
		return word != saidPlain
	case peer.unknown():
		m.sayOnce(r.Context(), noticeUnbelieved+notice(peer), "the request has %s, so it is not known whether the client's connection is encrypted, and the cookie is Secure; %s", peer, peer.remedy())
		return true
	case word != saidNothing:
		m.sayOnce(r.Context(), noticeUnbelieved+notice(peer), "a request that did not come from TrustedProxies (%s) shows that a proxy is in front, which is not believed when it says http; list its address there", peer)
	case forwarded(r.Header):
		m.sayOnce(r.Context(), noticeUnbelieved+notice(peer), "a request that did not come from TrustedProxies (%s) shows that a proxy is in front, which does not say whether the client's connection is encrypted, so the cookie is Secure; list its address there, and make it set X-Forwarded-Proto", peer)
		return true
	}
	return word >= saidUnclear
}

// forwarded reports whether a proxy has passed a request on, whatever else it
// says: many give the client's address but not the scheme.
func forwarded(h http.Header) bool {
	for _, name := range [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// trusts reports whether a peer is a trusted proxy.
func (m *Manager) trusts(peer peerClass, addr netip.Addr) bool {
	if peer == peerUnix {
		return m.settings.TrustUnixSockets
	}
	for _, prefix := range m.settings.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// peerClass is what kind of address a request comes from.
type peerClass uint8

const (
	peerPublic peerClass = iota
	peerPrivate
	peerLoopback
	peerLinkLocal
	peerUnix     // a unix socket
	peerPortless // an address that is not the connection's own
	peerNone     // no address
	peerClasses
)

func (c peerClass) String() string {
	return [...]string{
		"a public address", "a private address", "a loopback address", "a link-local address",
		"a unix socket for its peer", "an address without a port for its peer", "no address for its peer",
	}[c]
}

// unknown reports whether the peer may be any kind of proxy.
func (c peerClass) unknown() bool { return c >= peerUnix }

func (c peerClass) remedy() string {
	if c == peerUnix {
		return "set TrustUnixSockets if a proxy of yours is at the other end"
	}
	return "put the session's Handler outside of what replaces RemoteAddr, or set CookieSecure to SecureAlways or SecureNever"
}

// peerOf returns what is at the other end of a request's connection. The listener
// knows about unix sockets even if something has replaced RemoteAddr. An address
// without a port was put there by such a replacement, and is the client's.
func peerOf(r *http.Request) (peerClass, netip.Addr) {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && strings.HasPrefix(local.Network(), "unix") {
		return peerUnix, netip.Addr{}
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr := peer.Addr().Unmap().WithZone("")
		switch {
		case addr.IsLoopback():
			return peerLoopback, addr
		case addr.IsPrivate():
			return peerPrivate, addr
		case addr.IsLinkLocalUnicast():
			return peerLinkLocal, addr
		}
		return peerPublic, addr
	}
	if addr, err := netip.ParseAddr(strings.Trim(r.RemoteAddr, "[]")); err == nil {
		return peerPortless, addr.Unmap().WithZone("")
	}
	if strings.HasPrefix(r.RemoteAddr, "@") || strings.HasPrefix(r.RemoteAddr, "/") {
		return peerUnix, netip.Addr{}
	}
	return peerNone, netip.Addr{}
}

// schemeWord is what a request says about the scheme between client and server.
type schemeWord uint8

const (
	saidNothing schemeWord = iota
	saidPlain              // all that is said
	saidUnclear
	saidEncrypted // any of what is said, by anyone
)

// schemeSaid reads all that a request says about the scheme. A chain of proxies
// says several things: if one of the connections is encrypted, the client's may
// be. Anybody may say so, and gains only a cookie that stays off plain HTTP.
func schemeSaid(r *http.Request) (word schemeWord) {
	h := r.Header
	for _, name := range [...]string{"X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Url-Scheme", "X-Scheme", "Cloudfront-Forwarded-Proto"} {
		for _, line := range h[name] {
			for scheme := range strings.SplitSeq(line, ",") {
				word = max(word, schemeNamed(scheme))
			}
		}
	}
	for _, name := range [...]string{"X-Forwarded-Ssl", "Front-End-Https"} {
		for _, line := range h[name] {
			if strings.EqualFold(strings.TrimSpace(line), "on") {
				word = saidEncrypted
			}
		}
	}
	if lines := h["Forwarded"]; len(lines) > 0 {
		readable := forwardedPairs(lines, func(name, value string) {
			if strings.EqualFold(name, "proto") {
				word = max(word, schemeNamed(value))
			}
		})
		if !readable {
			word = max(word, saidUnclear)
		}
	}
	if r.URL != nil {
		word = max(word, schemeNamed(r.URL.Scheme))
	}
	// Browsers send this only over HTTPS, and on the machine itself.
	if h["Sec-Fetch-Site"] != nil && !ownMachine(hostName(r.Host)) {
		word = saidEncrypted
	}
	return word
}

func schemeNamed(scheme string) schemeWord {
	switch strings.ToLower(strings.TrimSpace(scheme)) {
	case "https", "wss":
		return saidEncrypted
	case "http", "ws":
		return saidPlain
	case "":
		return saidNothing
	}
	return saidUnclear
}

// ownMachine reports whether browsers trust a host without encryption.
func ownMachine(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostName returns the name or address in a Host header, in lower case and
// without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

// forwardedPairs calls f for each parameter of Forwarded headers, RFC 7239, and
// reports whether they could be read to the end. The client may have chosen what
// a proxy quotes.
func forwardedPairs(lines []string, f func(name, value string)) (readable bool) {
	readable = true
	for _, line := range lines {
		start, quoted := 0, false
		pair := func(end int) {
			name, value, _ := strings.Cut(strings.TrimSpace(line[start:end]), "=")
			f(strings.TrimSpace(name), strings.Trim(strings.TrimSpace(value), `"`))
			start = end + 1
		}
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case (c == ',' || c == ';') && !quoted:
				pair(i)
			}
		}
		if quoted {
			readable = false
			continue
		}
		pair(len(line))
	}
	return readable
}

// unmapped returns prefixes in the form in which addresses are compared: prefixes
// of IPv4 addresses written as IPv6 ones match IPv4 addresses.
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
