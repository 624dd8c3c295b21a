package plugin

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// Network is what a guest may reach. The zero value is nothing. The host makes the
// connections, resolves names and speaks TLS; the guest reads and writes.
//
// A guest is granted what Allow lists, and of it only what is public, or is in Private: an
// address is checked when its name has been resolved, and again at the moment of connecting.
// Everything else is refused at once, counted and logged.
//
// Connections belong to an instance. They are closed when it sleeps, fails or ends, and the
// guest makes others.
type Network struct {
	// Allow lists what is granted:
	//
	//	tcp://db.example.com:5432
	//	tls://*.cache.example.com:6379-6390
	//	tcp://10.1.0.0/16:6379
	//	tcp://[fd00::1]:6379
	//	unix:///run/redis.sock
	//
	// tls:// is TLS from the first byte, with the name of the address. tcp:// is what the guest
	// makes of it, and that may become TLS.
	Allow []string

	// Private lists ranges of addresses that are not public (of this machine, of a private
	// network) and that names and addresses of Allow may lead to. Link-local addresses, those at
	// which clouds keep credentials, and multicast are never reached. HostConfig.Private bounds it.
	Private []netip.Prefix

	// TLS has the roots, client certificates and least version of TLS. Nil means the roots of the
	// system, and TLS 1.2. Names are verified unless it has an explicit InsecureSkipVerify.
	TLS *tls.Config

	// MaxConns bounds the connections of all instances, open or being made, and MaxDials how many
	// are begun within a second. Beyond it the guest gets EMFILE. 0 means [DefaultMaxConns] and
	// [DefaultMaxDials].
	MaxConns, MaxDials int

	// Wait bounds how long a call of the guest may wait for the network in all, whether the guest is
	// trusted or not, and is no part of Deadline. The deadline of the caller's context bounds it, too,
	// and its cancellation does not: others may use the same connection. Beyond it the guest gets
	// ETIMEDOUT from every wait, and one that goes on waiting ends with [ErrDeadline]. 0 means
	// [DefaultNetworkWait].
	Wait time.Duration
}

// GrantNetwork is the Grant of the permission to use a network.
const GrantNetwork = "Network"

// The bounds of a Network that sets none.
const (
	DefaultMaxConns    = network.DefaultMaxConns
	DefaultMaxDials    = network.DefaultMaxDials
	DefaultNetworkWait = 10 * time.Second
)

// granted reports whether anything is.
func (n *Network) granted() bool { return len(n.Allow) > 0 }

// Check says what is wrong with what a guest is to be granted, as an [ErrConfig] of [Open] would. A host
// may allow less; see [HostConfig].Private.
func (n Network) Check() error {
	s := resolved{Config: Config{Network: n, Host: &Host{}}}
	return s.resolveNetwork()
}

// resolveNetwork checks what a guest may reach, and fills in its bounds.
func (s *resolved) resolveNetwork() error {
	n := &s.Network
	switch {
	case n.MaxConns < 0 || n.MaxDials < 0:
		return configError("Network.MaxConns is %d and MaxDials %d: must be 0 or more", n.MaxConns, n.MaxDials)
	case n.Wait < 0:
		return configError("Network.Wait is %v: must not be negative", n.Wait)
	case !n.granted() && (len(n.Private) > 0 || n.TLS != nil || n.MaxConns != 0 || n.MaxDials != 0 || n.Wait != 0):
		return configError("Network.Allow is empty, and the other fields of Network say something: list in Allow what the guest may reach, or leave them out")
	case !n.granted():
		return nil
	}
	for _, p := range n.Private {
		if why := s.Host.keepsPublic(p); why != "" {
			return configError("Network.Private has %v: %s", p, why)
		}
	}
	n.MaxConns, n.MaxDials = cmp.Or(n.MaxConns, DefaultMaxConns), cmp.Or(n.MaxDials, DefaultMaxDials)
	n.Wait = cmp.Or(n.Wait, DefaultNetworkWait)
	n.Allow, n.Private = slices.Clone(n.Allow), slices.Clone(n.Private)
	checked, err := network.New(s.network())
	if err != nil {
		return configError("Network: %v", err)
	}
	return checked.Close()
}

// keepsPublic says why plugins of the host may not list a range as private. It is "" if they may.
func (h *Host) keepsPublic(p netip.Prefix) string {
	switch {
	case !p.IsValid() || p != p.Masked():
		return "must be a range of addresses, such as 10.1.0.0/16"
	case h.private == nil:
		return ""
	}
	for _, q := range h.private {
		if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			return ""
		}
	}
	return fmt.Sprintf("must lie within HostConfig.Private, which is %v", h.private)
}

// network returns the config of what the guest may reach.
func (s *resolved) network() network.Config {
	return network.Config{
		Allow: s.Network.Allow, Private: s.Network.Private, Bound: s.Host.private, TLS: s.Network.TLS,
		MaxConns: s.Network.MaxConns, MaxDials: s.Network.MaxDials, Timeout: s.Network.Wait,
	}
}

// openNetwork makes ready what the guest may reach.
func (p *Plugin) openNetwork() error {
	config := p.config.network()
	config.Host, config.Tell = p.config.Host.budgets.conns, p.toldOfNetwork
	n, err := network.New(config)
	if err != nil {
		return configError("Network: %v", err)
	}
	p.machine.network = &guestNetwork{Network: n, wait: p.config.Network.Wait, ending: make(chan struct{})}
	return nil
}

func (p *Plugin) closeNetwork() error {
	if p.machine.network == nil {
		return nil
	}
	return p.machine.network.Close()
}

// toldOfNetwork logs what the guest was refused, and what failed.
func (p *Plugin) toldOfNetwork(e network.Event) {
	said := "a connection of the guest failed"
	if e.Refused {
		said = "the guest was refused an address"
	}
	var args []any
	if e.Missed > 0 {
		args = []any{"missed", e.Missed}
	}
	p.store.Warn(said, errors.New(printable.Clean(e.Address+": "+e.Why)), args...)
}

// NetworkStats counts what a guest, or all guests of a host, did over their networks.
type NetworkStats struct {
	Granted     bool   // whether anything is
	Connections int    // open, being made, or failed and not yet closed by the guest
	Buffered    int64  // bytes that the host holds for them
	Dials       uint64 // connections that were begun
	Refused     uint64 // addresses that were not granted
	Limited     uint64 // dials beyond MaxConns, MaxDials or HostConfig.MaxConns
	Failed      uint64 // connections that were not made, and failed handshakes
	Lost        uint64 // connections that were cut after they had been made
	Read, Sent  uint64 // bytes
}

// networkStats returns the counts of a plugin.
func (p *Plugin) networkStats() NetworkStats {
	if p.machine.network == nil {
		return NetworkStats{}
	}
	s := p.machine.network.Stats()
	return NetworkStats{Granted: true, Connections: s.Conns, Buffered: s.Buffered, Dials: uint64(s.Dials), Refused: uint64(s.Refused), Limited: uint64(s.Limited),
		Failed: uint64(s.Failed), Lost: uint64(s.Lost), Read: uint64(s.In), Sent: uint64(s.Out)}
}
