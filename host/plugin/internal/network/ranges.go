package network

import "net/netip"

// span is a range of addresses that are not those of public hosts.
type span struct {
	prefix netip.Prefix
	what   string
	embeds func(netip.Addr) netip.Addr // the IPv4 address within, or nil
}

func ranges(what string, prefixes ...string) (list []span) {
	for _, p := range prefixes {
		list = append(list, span{netip.MustParsePrefix(p), what, nil})
	}
	return list
}

func embedding(what, prefix string, at int) span {
	return span{netip.MustParsePrefix(prefix), what, func(a netip.Addr) netip.Addr { return part(a, at) }}
}

// part returns the IPv4 address that begins with a byte of an IPv6 address.
func part(a netip.Addr, at int) netip.Addr {
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[at : at+4]))
}

func join(lists ...[]span) (all []span) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// never are addresses that no setting grants. What serves metadata gives whoever asks
// the rights of the machine.
var never = join(
	ranges("a metadata service", "169.254.169.254/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
		"fd00:ec2::254/128", "fd20:ce::254/128"),
	ranges("unspecified", "0.0.0.0/8", "::/128"),
	ranges("link-local", "169.254.0.0/16", "fe80::/10"),
	ranges("multicast", "224.0.0.0/4", "ff00::/8"),
	ranges("broadcast", "255.255.255.255/32"),
)

// specials are addresses that Config.Private must list: those that mean something else
// on every network, are not assigned, or lead to another address.
var specials = join(
	ranges("loopback", "127.0.0.0/8", "::1/128"),
	ranges("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
	ranges("shared by a carrier's customers", "100.64.0.0/10"),
	ranges("for protocols", "192.0.0.0/24", "192.88.99.0/24"),
	ranges("for documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
	ranges("for benchmarks", "198.18.0.0/15"),
	ranges("reserved", "240.0.0.0/4"),
	[]span{
		embedding("translated to IPv4", "64:ff9b::/96", 12),
		embedding("translated to IPv4", "64:ff9b:1::/48", 12),
		embedding("translated to IPv4", "::ffff:0:0:0/96", 12),
		embedding("IPv4 in IPv6", "::/96", 12),
		embedding("IPv4 in IPv6", "2002::/16", 2),
		{netip.MustParsePrefix("2001::/32"), "IPv4 in IPv6", teredo},
	},
	ranges("for protocols", "2001::/23"),
)

// teredo returns the address of a client, each bit of which is inverted.
func teredo(a netip.Addr) netip.Addr {
	b := part(a, 12).As4()
	for i := range b {
		b[i] = ^b[i]
	}
	return netip.AddrFrom4(b)
}

// global are the IPv6 addresses that are given to public hosts. The rest is not assigned.
var global = netip.MustParsePrefix("2000::/3")

// special says what is special about an address, "" if nothing is, and which IPv4 addresses
// it may lead to.
func special(a netip.Addr) (what string, inside []netip.Addr) {
	if a.Is6() && !global.Contains(a) {
		what = "not assigned"
	}
	if a.Is6() && isatap(a) {
		what, inside = "IPv4 in IPv6", append(inside, part(a, 12))
	}
	if s := find(specials, a); s != nil {
		what = s.what
		if s.embeds != nil {
			inside = append(inside, s.embeds(a))
		}
	}
	return what, inside
}

// isatap reports whether an address leads to the IPv4 address at its end, whatever its
// network.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// find returns the first range that has the address.
func find(list []span, a netip.Addr) *span {
	for i := range list {
		if list[i].prefix.Contains(a) {
			return &list[i]
		}
	}
	return nil
}
