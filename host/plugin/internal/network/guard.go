package network

import (
	"fmt"
	"net/netip"
	"slices"
)

// guard decides about addresses, whatever name led to them.
type guard struct {
	private, bound []netip.Prefix
}

// check says why an address is not reached. It is "" if the address may be.
func (g *guard) check(a netip.Addr) string {
	if !a.IsValid() || a.Zone() != "" {
		return "link-local"
	}
	a = a.Unmap()
	if s := find(never, a); s != nil {
		return s.what
	}
	what, inside := special(a)
	for _, inner := range inside {
		// Who may reach a range of translated addresses gets no more of IPv4 by it.
		if why := g.check(inner); why != "" {
			return why
		}
	}
	if what != "" && !g.listed(a) {
		return what
	}
	return ""
}

// listed reports whether an address that is not public was granted as such.
func (g *guard) listed(a netip.Addr) bool {
	has := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(g.private, has) && (g.bound == nil || slices.ContainsFunc(g.bound, has))
}

// pattern returns an error if a pattern can reach nothing.
func (g *guard) pattern(p *pattern) error {
	if !p.prefix.IsValid() {
		return nil
	}
	for _, s := range never {
		if within(p.prefix, s.prefix) {
			return fmt.Errorf("%w: %q: %s is %s, which is never reached", ErrPattern, p.text, p.prefix, s.what)
		}
	}
	if p.prefix.IsSingleIP() {
		if why := g.check(p.prefix.Addr()); why != "" {
			return fmt.Errorf("%w: %q: %s is %s, and reached only if Private lists it%s", ErrPattern, p.text, p.prefix.Addr(), why, g.bounded())
		}
		return nil
	}
	for _, s := range specials {
		overlaps := func(q netip.Prefix) bool { return q.Overlaps(p.prefix) }
		if within(p.prefix, s.prefix) && !(slices.ContainsFunc(g.private, overlaps) && (g.bound == nil || slices.ContainsFunc(g.bound, overlaps))) {
			return fmt.Errorf("%w: %q: %s is %s, and reached only if Private lists it%s", ErrPattern, p.text, p.prefix, s.what, g.bounded())
		}
	}
	return nil
}

func (g *guard) bounded() string {
	if g.bound == nil {
		return ""
	}
	return ", within what the host allows"
}

// within reports whether a range lies in another.
func within(p, in netip.Prefix) bool { return p.Bits() >= in.Bits() && in.Contains(p.Addr()) }
