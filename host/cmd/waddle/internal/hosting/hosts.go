package hosting

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// bareHost returns a Host header without its port, as names are compared.
func bareHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return hostKey(strings.Trim(host, "[]"))
}

// answersFor reports whether the admin interface is reached under a name. A page can give
// its own name the address of this machine, but it cannot be under a bare address.
func (a *Admin) answersFor(header string) bool {
	host := bareHost(header)
	if host == "localhost" || slices.Contains(a.config.Hosts, host) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
