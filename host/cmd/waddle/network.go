package main

import (
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// networkFlags say what plugins of tenants may connect to.
type networkFlags struct {
	grant            bool
	private, sockets []string
}

// add adds the flags. What they are for is said before each.
func (n *networkFlags) add(cmd *cobra.Command, what string) {
	f := cmd.Flags()
	f.BoolVar(&n.grant, "network", false, what+"grant plugins the connections that their manifests list, as far as they lead to public addresses")
	f.StringArrayVar(&n.private, "private", nil, what+"grant them those to addresses in `RANGE`, such as 10.1.0.0/16, too; can be given several times")
	f.StringArrayVar(&n.sockets, "socket", nil, what+"grant them those to the unix socket at `PATH`, too; can be given several times")
	fixed(cmd, "private", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
}

// given reports whether any of them is.
func (n *networkFlags) given() bool { return n.grant || len(n.private)+len(n.sockets) > 0 }

// tenants returns what manifests may ask for.
func (n *networkFlags) tenants() (tenant.Network, error) {
	if !n.grant && n.given() {
		return tenant.Network{}, usagef("--private and --socket have no effect without --network: add it, or leave them out")
	}
	out := tenant.Network{Grant: n.grant, Sockets: n.sockets}
	var err error
	out.Private, err = ranges(n.private)
	return out, err
}

// ranges reads the values of --private.
func ranges(texts []string) (out []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Masked() != p {
			return nil, usagef("--private is %q: must be a range of addresses, such as 10.1.0.0/16", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// serverFlags are for a module whose records lie on a server.
type serverFlags struct {
	connect, private []string
	namespace        string
}

func (n *serverFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&n.connect, "connect", nil, "grant the module connections to `ADDRESS`, such as tcp://db.example.com:6379 or unix:///run/db.sock; can be given several times")
	f.StringArrayVar(&n.private, "private", nil, "let them lead to addresses in `RANGE`, such as 10.1.0.0/16, which is not public; can be given several times")
	f.StringVar(&n.namespace, "namespace", "", "keep stores on one server apart by the setting `NAME` of the module, and check several hosts")
	fixed(cmd, "private", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
}

func (n *serverFlags) check() error {
	if len(n.private) > 0 && len(n.connect) == 0 {
		return usagef("--private has no effect without --connect: add it, or leave it out")
	}
	_, err := n.network()
	return err
}

// network returns what the module is granted.
func (n *serverFlags) network() (plugin.Network, error) {
	private, err := ranges(n.private)
	return plugin.Network{Allow: n.connect, Private: private}, err
}
