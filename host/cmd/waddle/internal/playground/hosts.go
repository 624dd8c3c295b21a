package playground

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hosts are the names that a playground answers for. Any site can point its own
// name at 127.0.0.1, and its pages can then read the responses there as their own.
// Only the Host header reveals that.
type hosts []string

// newHosts returns the hosts of a playground, or an error for an invalid name.
func newHosts(more []string) (hosts, error) {
	all := hosts{"127.0.0.1", "localhost", "::1"}
	for _, name := range more {
		host := bareHost(name)
		if host == "" || strings.ContainsAny(name, "/*@ ") || strings.Contains(host, ":") && !isAddress(host) {
			return nil, fmt.Errorf("playground: the host is %q: must be a name or an address as in a browser's address bar, without scheme and path, such as playground.example", name)
		}
		all = append(all, host)
	}
	return all, nil
}

// CheckHosts returns an error for an invalid Config.Hosts.
func CheckHosts(names []string) error {
	_, err := newHosts(names)
	return err
}

// bareHost returns a Host header without its port.
func bareHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// has reports whether a request names one of the hosts, or the address at which it
// arrived.
func (h hosts) has(r *http.Request) bool {
	host := bareHost(r.Host)
	if slices.Contains(h, host) {
		return true
	}
	asked, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err != nil || !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap().WithZone("") == asked.Unmap().WithZone("")
}

// only refuses all requests for other hosts.
func (h hosts) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.has(r) {
			next.ServeHTTP(w, r)
			return
		}
		message := fmt.Sprintf("this playground does not answer for the host %.100q, only for 127.0.0.1, localhost, [::1] and the address it listens on; "+
			"if the name is yours, start it with: waddle run --host NAME (or WADDLE_HOSTS, or Config.Hosts)", r.Host)
		if strings.HasPrefix(r.URL.Path, "/api/") {
			writeError(w, http.StatusMisdirectedRequest, message)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, message, http.StatusMisdirectedRequest)
	})
}
