package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// parseName checks a host name and returns it in lower case.
//
// Only what a resolver cannot take for anything else is a name: it may be read by code
// that also understands addresses in octal, in hexadecimal or with parts left out, by
// which 127.1 and 0x7f.1 are 127.0.0.1.
func parseName(name string) (string, error) {
	const maxName, maxLabel = 253, 63
	switch {
	case name == "":
		return "", errors.New("there is no name")
	case len(name) > maxName:
		return "", fmt.Errorf("the name has %d bytes, and %d are allowed", len(name), maxName)
	case strings.HasSuffix(name, "."):
		return "", errors.New("a name has no dot at its end")
	case strings.Contains(name, "*"):
		return "", errors.New("a * stands for the whole first label, such as *.example.com, or for nothing")
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			if name[i] >= 0x80 {
				return "", errors.New("a name that is not ASCII is written in its encoded form, which begins with xn--")
			}
			return "", fmt.Errorf("%q is not in any name: letters, digits, hyphens and underscores are", name[i])
		}
	}
	name = strings.ToLower(name)
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "", errors.New("a label of the name is empty")
		case len(label) > maxLabel:
			return "", fmt.Errorf("the label %s has %d bytes, and %d are allowed", label, len(label), maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return "", fmt.Errorf("the label %s begins or ends with a hyphen", label)
		}
		last = label
	}
	if number(last) {
		return "", errors.New("the last label is a number: an address has four decimal numbers, such as 127.0.0.1")
	}
	return name, nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// number reports whether something takes a label for a number.
func number(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// looksLikeAddress reports whether a host is an address, or a range, rather than a name.
func looksLikeAddress(host string) bool {
	host, _, isRange := strings.Cut(host, "/")
	if isRange {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// parseAddr parses an address; IPv6 stands in brackets.
func parseAddr(host string) (netip.Addr, error) {
	inner, err := unbracket(host)
	if err != nil {
		return netip.Addr{}, err
	}
	addr, err := netip.ParseAddr(inner)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an address", inner)
	case addr.Zone() != "":
		return netip.Addr{}, errors.New("an address with a zone is link-local, and those are never reached")
	}
	return addr, checkBrackets(host, addr)
}

// parsePrefix parses an address, or a range of them.
func parsePrefix(host string) (netip.Prefix, error) {
	if !strings.Contains(host, "/") {
		addr, err := parseAddr(host)
		if err == nil && addr.Is4In6() {
			err = fmt.Errorf("it is written as IPv4, %s", addr.Unmap())
		}
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	inner, err := unbracket(host)
	if err != nil {
		return netip.Prefix{}, err
	}
	p, err := netip.ParsePrefix(inner)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a range: that is 10.1.0.0/16, or [fd00::/8]", inner)
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("%s has bits after its first %d; the range is %s", p, p.Bits(), p.Masked())
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New("a range of IPv4 addresses is written as such, 10.1.0.0/16")
	}
	return p, checkBrackets(host, p.Addr())
}

func unbracket(host string) (string, error) {
	if !strings.HasPrefix(host, "[") {
		return host, nil
	}
	if !strings.HasSuffix(host, "]") {
		return "", errors.New("an IPv6 address or range stands in brackets with nothing beside it but a port, [fd00::/8]:6379")
	}
	return host[1 : len(host)-1], nil
}

func checkBrackets(host string, addr netip.Addr) error {
	if strings.HasPrefix(host, "[") == addr.Is4() {
		return errors.New("an IPv6 address stands in brackets, an IPv4 address does not")
	}
	return nil
}
