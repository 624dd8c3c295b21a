package network

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

func prefixes(texts ...string) []netip.Prefix {
	list := []netip.Prefix{}
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

// everything is a list that has all addresses.
var everything = prefixes("0.0.0.0/0", "::/0")

func TestAddressesThatAreReached(t *testing.T) {
	for text, what := range map[string]string{
		"8.8.8.8": "", "2606:4700::1111": "", "1.0.0.1": "", "223.255.255.255": "", "172.15.255.255": "", "172.32.0.0": "", "100.63.0.1": "", "100.128.0.1": "",
		"::ffff:8.8.8.8": "", // is 8.8.8.8

		"127.0.0.1": "loopback", "127.8.9.1": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private", "fd12::1": "private", "fc00::1": "private", "fec0::1": "private",
		"::ffff:10.0.0.1": "private",
		"100.64.1.1":      "shared by a carrier's customers",
		"192.0.0.1":       "for protocols", "192.88.99.1": "for protocols", "2001:20::1": "for protocols", "2001:1::1": "for protocols",
		"192.0.2.1": "for documentation", "198.51.100.1": "for documentation", "203.0.113.1": "for documentation", "2001:db8::1": "for documentation", "3fff::1": "for documentation",
		"198.18.0.1": "for benchmarks", "198.19.255.255": "for benchmarks",
		"240.0.0.1": "reserved", "255.255.255.254": "reserved",
		"100::1": "not assigned", "4000::1": "not assigned", "5f00::1": "not assigned", "e000::1": "not assigned", "64:ff9b:2::1": "not assigned",

		// Ways to say an IPv4 address in IPv6.
		"64:ff9b::8.8.8.8": "translated to IPv4", "64:ff9b:1::8.8.8.8": "translated to IPv4", "::ffff:0:8.8.8.8": "translated to IPv4",
		"::8.8.8.8": "IPv4 in IPv6", "2002:808:808::1": "IPv4 in IPv6", "2001::f7f7:f7f7": "IPv4 in IPv6",
		"2600::5efe:8.8.8.8": "IPv4 in IPv6", "2600::200:5efe:8.8.8.8": "IPv4 in IPv6",
		"64:ff9b::127.0.0.1": "loopback", "2002:7f00:1::": "loopback", "::127.0.0.1": "loopback", "2001::80ff:fffe": "loopback", "::ffff:0:127.0.0.1": "loopback",
		"2600::5efe:127.0.0.1": "loopback", "64:ff9b::10.0.0.1": "private",
	} {
		g := guard{}
		require.Equal(t, what, g.check(netip.MustParseAddr(text)), text)
		g.private = everything
		require.Empty(t, g.check(netip.MustParseAddr(text)), "%s, where all is listed", text)
		g.bound = everything
		require.Empty(t, g.check(netip.MustParseAddr(text)), "%s, where the host allows all", text)
		g.bound = prefixes()
		require.Equal(t, what, g.check(netip.MustParseAddr(text)), "%s, where the host allows nothing", text)
	}
}

// forms are the ways to say an IPv4 address, all of which lead there, or may.
func forms(a netip.Addr) (all []string) {
	b := a.As4()
	hex := fmt.Sprintf("%x:%x", uint(b[0])<<8|uint(b[1]), uint(b[2])<<8|uint(b[3]))
	not := fmt.Sprintf("%x:%x", uint(^b[0])<<8|uint(^b[1]), uint(^b[2])<<8|uint(^b[3]))
	return []string{
		a.String(), "::ffff:" + a.String(), "::" + a.String(), "64:ff9b::" + a.String(), "64:ff9b:1::" + a.String(), "::ffff:0:" + a.String(),
		"2002:" + hex + "::", "2002:" + hex + ":1::1", "2001::" + not, "2600::5efe:" + hex, "fd00::200:5efe:" + hex,
	}
}

func TestAddressesThatAreNeverReached(t *testing.T) {
	texts := []string{"::", "fe80::1", "febf::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "ff0e::1", "fe80::1%eth0", "::1%lo", "2600::1%eth0"}
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "239.255.255.255", "255.255.255.255",
	} {
		texts = append(texts, forms(netip.MustParseAddr(a))...)
	}
	g := guard{private: everything, bound: everything}
	for _, text := range texts {
		require.NotEmpty(t, g.check(netip.MustParseAddr(text)), text)
	}
	require.NotEmpty(t, g.check(netip.Addr{}))
}

// Whatever an address says of IPv4 is reached only if that may be, too.
func TestRangesOfTranslatedAddressesGiveNoMore(t *testing.T) {
	g := guard{private: append(prefixes("10.1.0.0/16"), everything[1])}
	for text, reached := range map[string]bool{"10.1.2.3": true, "8.8.8.8": true, "10.2.0.1": false, "127.0.0.1": false, "192.168.0.1": false} {
		for _, form := range forms(netip.MustParseAddr(text)) {
			require.Equal(t, reached, g.check(netip.MustParseAddr(form)) == "", form)
		}
	}
}

func TestBoundOfTheHost(t *testing.T) {
	g := guard{private: prefixes("10.0.0.0/8", "127.0.0.0/8"), bound: prefixes("10.1.0.0/16", "192.168.0.0/16")}
	for text, reached := range map[string]bool{"10.1.0.1": true, "10.2.0.1": false, "127.0.0.1": false, "192.168.0.1": false, "8.8.8.8": true} {
		require.Equal(t, reached, g.check(netip.MustParseAddr(text)) == "", text)
	}
}

// What is granted and could never be reached is an error when it is granted.
func TestPatternsThatReachNothing(t *testing.T) {
	for _, tc := range []struct {
		pattern        string
		private, bound []netip.Prefix
		why            string
	}{
		{"tcp://127.0.0.1:6379", nil, nil, "127.0.0.1 is loopback, and reached only if Private lists it"},
		{"tcp://10.1.0.0/16:6379", nil, nil, "10.1.0.0/16 is private, and reached only if Private lists it"},
		{"tcp://10.1.0.0/16:6379", prefixes("10.2.0.0/16"), nil, "10.1.0.0/16 is private"},
		{"tcp://10.1.0.0/16:6379", prefixes("10.0.0.0/8"), prefixes(), "within what the host allows"},
		{"tcp://10.1.0.0/16:6379", prefixes("10.0.0.0/8"), prefixes("10.2.0.0/16"), "within what the host allows"},
		{"tcp://[fd00::1]:6379", everything[:1], nil, "fd00::1 is private"},
		{"tcp://169.254.169.254:80", everything, nil, "a metadata service, which is never reached"},
		{"tcp://169.254.0.0/24:80", everything, nil, "link-local, which is never reached"},
		{"tcp://[fe80::/64]:80", everything, nil, "link-local, which is never reached"},
		{"tcp://0.0.0.0:80", everything, nil, "unspecified, which is never reached"},
		{"tcp://224.0.0.1:80", everything, nil, "multicast, which is never reached"},

		{"tcp://10.1.0.0/16:6379", prefixes("10.1.2.0/24"), nil, ""},
		{"tcp://10.1.0.0/16:6379", prefixes("10.0.0.0/8"), prefixes("10.1.2.0/24"), ""},
		{"tcp://127.0.0.1:6379", prefixes("127.0.0.0/8"), nil, ""},
		{"tcp://0.0.0.0/0:443", nil, nil, ""},
		{"tcp://8.8.8.8:53", nil, nil, ""},
		{"tcp://localhost:6379", nil, nil, ""}, // what it leads to is not known yet
		{"unix:///run/redis.sock", nil, nil, ""},
	} {
		n, err := New(Config{Allow: []string{"tcp://db:1", tc.pattern}, Private: tc.private, Bound: tc.bound})
		if tc.why == "" {
			require.NoError(t, err, tc.pattern)
			require.NoError(t, n.Close())
			continue
		}
		require.ErrorIs(t, err, ErrPattern, tc.pattern)
		require.ErrorContains(t, err, tc.why)
		require.ErrorContains(t, err, tc.pattern)
	}
}

// What the system is about to connect to is checked again, and must be what was checked
// before.
func TestConfirm(t *testing.T) {
	n, err := New(Config{Private: prefixes("127.0.0.0/8")})
	require.NoError(t, err)
	defer n.Close()
	checked := netip.MustParseAddrPort("127.0.0.1:6379")
	require.NoError(t, n.confirm(checked, "127.0.0.1:6379"))
	require.NoError(t, n.confirm(checked, "[::ffff:127.0.0.1]:6379"))
	for _, address := range []string{
		"127.0.0.2:6379", "127.0.0.1:6380", "[::1]:6379", "169.254.169.254:6379", "10.0.0.1:6379", "8.8.8.8:6379", "[fe80::1%eth0]:6379", "localhost:6379", "/run/redis.sock", "",
	} {
		var r *refusal
		require.ErrorAs(t, n.confirm(checked, address), &r, address)
	}
	// The address that was checked is refused, too, if the guard does not let it pass.
	require.Error(t, n.confirm(netip.MustParseAddrPort("10.0.0.1:1"), "10.0.0.1:1"))
}

// It is so for a real connection: nothing reaches the server.
func TestConfirmBeforeConnecting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	var told []Event
	n, err := New(Config{Tell: func(e Event) { told = append(told, e) }})
	require.NoError(t, err)
	defer n.Close()
	end := netip.MustParseAddrPort(l.Addr().String())
	_, f := n.race(t.Context(), []netip.AddrPort{end})
	require.Equal(t, &failure{abi.ErrnoAccess, "the name leads to an address that is not granted"}, f)
	require.Equal(t, int64(1), n.Stats().Refused)
	require.Equal(t, []Event{{Refused: true, Address: end.String(), Why: "it leads to 127.0.0.1, which is loopback"}}, told)
	require.NoError(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(20*time.Millisecond)))
	_, err = l.Accept()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestAddressesOfBothFamiliesInTurn(t *testing.T) {
	parse := func(texts ...string) (all []netip.AddrPort) {
		for _, t := range texts {
			all = append(all, netip.MustParseAddrPort(t))
		}
		return all
	}
	require.Equal(t, parse("[2600::1]:1", "1.0.0.1:1", "[2600::2]:1", "1.0.0.2:1", "[2600::3]:1"),
		alternate(parse("[2600::1]:1", "[2600::2]:1", "[2600::3]:1", "1.0.0.1:1", "1.0.0.2:1")))
	require.Equal(t, parse("1.0.0.1:1", "[2600::1]:1", "1.0.0.2:1"), alternate(parse("1.0.0.1:1", "1.0.0.2:1", "[2600::1]:1")))
	require.Equal(t, parse("1.0.0.1:1"), alternate(parse("1.0.0.1:1")))
}
