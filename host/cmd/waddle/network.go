package main

import (
	"net/netip"

	"github.com/spf13/cobra"
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
	for _, text := range n.private {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Masked() != p {
			return tenant.Network{}, usagef("--private is %q: must be a range of addresses, such as 10.1.0.0/16", text)
		}
		out.Private = append(out.Private, p)
	}
	return out, nil
}
