package main

import (
	"net"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
)

// checkAddr says what is wrong with an address to listen on.
func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("the address is %q: must be HOST:PORT, such as %s or :8080", addr, defaultAddr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usagef("the port of the address %q is %q: must be a number from 0 to 65535", addr, port)
	}
	return nil
}

// hostsOf returns the names that the playground answers for in addition to its
// built-in ones: the given names and the name that it listens on.
func hostsOf(addr string, told, variables []string) (hosts []string, err error) {
	if told == nil {
		for name := range strings.SplitSeq(lookup(variables, "WADDLE_HOSTS"), ",") {
			if name = strings.TrimSpace(name); name != "" {
				told = append(told, name)
			}
		}
	}
	if err := playground.CheckHosts(told); err != nil {
		return nil, &usageError{err}
	}
	if host, _, _ := net.SplitHostPort(addr); host != "" && net.ParseIP(host) == nil {
		told = append(told, host)
	}
	return told, nil
}

// reachable returns an address in a form that a browser on this machine can use.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	if tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return tcp.String()
}

// warnings reports settings that work, but perhaps not as intended.
func warnings(addr net.Addr, s *session.Settings) (list []string) {
	// With auto and a trusted proxy, a visitor who comes by TLS has a secure cookie.
	secure := s.CookieSecure == session.SecureAlways || s.CookieSecure == session.SecureAuto && (len(s.TrustedProxies) > 0 || s.TrustUnixSockets)
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() && !secure {
		list = append(list, "listening on "+addr.String()+", where others can connect, without SESSION_COOKIE_SECURE=true: "+
			"the session cookie can be read in transit; put TLS in front and set SESSION_COOKIE_SECURE=true (or leave it at auto, and name the proxy in SESSION_TRUSTED_PROXIES), or listen on "+defaultAddr)
	}
	if path := strings.TrimSuffix(s.CookiePath, "/"); path != "" && path != "/api" {
		list = append(list, "SESSION_COOKIE_PATH is "+strconv.Quote(s.CookiePath)+
			", but the playground's own requests go to /api/: no browser will send the cookie there, and each request gets a new session")
	}
	return list
}
