package tenant

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// Network says what plugins of tenants may reach over a network, if their manifests list it. The zero
// value is nothing.
type Network struct {
	// Grant lets manifests list names and addresses. Without it a manifest that does is refused. What
	// is not public is reached only if Private lists it.
	Grant bool

	// Private lists ranges that are not public and that names and addresses of manifests may lead to.
	// Keep those of the operator's own servers out.
	Private []netip.Prefix

	// Sockets are the paths of unix sockets that manifests may list.
	Sockets []string

	// TLS is as in [plugin.Network]. All tenants have its client certificates.
	TLS *tls.Config
}

// everything are the ranges that a manifest could be granted, as far as it can be judged by
// itself.
var everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// unixScheme begins the address of a unix socket.
const unixScheme = "unix://"

func (m *Manifest) checkNetwork(f *faults) {
	if len(m.Network) > maxNetwork {
		f.add("$.network", "has %d entries: must have at most %d", len(m.Network), maxNetwork)
		return
	}
	for i, address := range m.Network {
		err := plugin.Network{Allow: []string{address}, Private: everything}.Check()
		if err != nil {
			f.add(item("$.network", i), "is %s: %s", quote(address), problemOf(err))
		}
	}
}

// problemOf is what is wrong with an address, in words: what follows after the address, which is
// quoted.
func problemOf(err error) string {
	_, text, _ := strings.Cut(err.Error(), `: "`)
	_, why, _ := strings.Cut(text, `": `)
	return why
}

// resolveNetwork grants what the manifest lists, if the host does.
func (g grounds) resolveNetwork(p *plan, f *faults) {
	list := p.manifest.Network
	if len(list) == 0 {
		return
	}
	if !g.network.Grant {
		f.addCause(plugin.ErrGrant, "$.network", "asks for connections, which this host grants to no plugin: leave it out, or use a plugin that needs none")
		return
	}
	for i, address := range list {
		at := item("$.network", i)
		if socket, ok := strings.CutPrefix(address, unixScheme); ok && !slices.Contains(g.network.Sockets, path.Clean(socket)) {
			f.addCause(plugin.ErrGrant, at, "is %s, a socket that this host grants to no plugin", quote(address))
			continue
		}
		one := plugin.Network{Allow: []string{address}, Private: g.network.Private}
		if err := one.Check(); err != nil {
			f.addCause(plugin.ErrGrant, at, "is %s, which this host grants to no plugin: %s", quote(address), problemOf(err))
		}
	}
	p.config.Network = plugin.Network{Allow: list, Private: g.network.Private, TLS: g.network.TLS,
		MaxConns: p.limits.Connections, Wait: time.Duration(p.limits.NetworkWait)}
}

var errNothingGranted = errors.New("its Grant is false, and other fields say what is granted: set it, or leave them out")

// check returns what is wrong with what a host grants.
func (n Network) check() error {
	if !n.Grant && (len(n.Private) > 0 || len(n.Sockets) > 0 || n.TLS != nil) {
		return errNothingGranted
	}
	allow := []string{"tcp://example.com:443"}
	for _, socket := range n.Sockets {
		allow = append(allow, unixScheme+socket)
	}
	return plugin.Network{Allow: allow, Private: n.Private, TLS: n.TLS}.Check()
}
