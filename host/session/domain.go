package session

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// checkDomain returns what is wrong with a cookie's domain. Browsers silently
// drop a cookie whose domain is shared with others or is not a domain.
func checkDomain(domain string) error {
	if domain == "" {
		return nil
	}
	lower := strings.ToLower(domain)
	if _, rest, ok := strings.Cut(lower, "://"); ok {
		return fmt.Errorf("must have no scheme; write %q", rest)
	}
	if rest, ok := strings.CutPrefix(lower, "."); ok {
		return fmt.Errorf("must not begin with a dot, since subdomains get the cookie anyway; write %q", rest)
	}
	bare := strings.Trim(lower, "[]")
	if _, err := netip.ParseAddrPort(lower); err == nil || numeric(lower) {
		return errors.New("must be empty for an address, which has no subdomains")
	}
	if _, err := netip.ParseAddr(bare); err == nil {
		return errors.New("must be empty for an address, which has no subdomains")
	}
	if name, _, ok := strings.Cut(lower, ":"); ok {
		return fmt.Errorf("must have no port, since cookies do not tell ports apart; write %q", name)
	}
	for label := range strings.SplitSeq(lower, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	if len(lower) > 253 {
		return fmt.Errorf("must have at most 253 characters, not %d", len(lower))
	}
	if !strings.Contains(lower, ".") {
		return errors.New("must contain a dot, or browsers drop the cookie; leave it empty for a cookie of this host only")
	}
	if suffix, _ := publicsuffix.PublicSuffix(lower); suffix == lower {
		return errors.New("must not be a public suffix (publicsuffix.org), under which anybody can have a domain: browsers drop the cookie; name your own domain, or leave it empty for a cookie of this host only")
	}
	return nil
}

// checkLabel returns what is wrong with one part of a domain, between dots.
func checkLabel(label string) error {
	if label == "" || len(label) > 63 {
		return errors.New("must consist of names of 1 to 63 characters with dots between")
	}
	for i := range len(label) {
		c := label[i]
		if c >= 0x80 {
			return errors.New("must be in ASCII, with other letters as the DNS writes them (xn--…)")
		}
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return fmt.Errorf("must not contain %q, which no domain can have", c)
		}
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return errors.New("must not contain a name that begins or ends with a hyphen")
	}
	return nil
}

// numeric reports whether browsers take a host for an IPv4 address, including
// short and hexadecimal forms: whether its last part is a number.
func numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, "0123456789abcdef"
		if hex == "" {
			return true
		}
	}
	return last != "" && strings.Trim(last, digits) == ""
}

// reaches reports whether a browser that asked for a host accepts a cookie for a
// domain.
func reaches(domain, host string) bool {
	domain = strings.ToLower(domain)
	name, ok := strings.CutSuffix(host, domain)
	return ok && (name == "" || strings.HasSuffix(name, "."))
}

// servedUnder reports whether a request may be for a host of a domain, according
// to itself or to a proxy that asks for another host.
func servedUnder(r *http.Request, domain string) bool {
	if reaches(domain, hostName(r.Host)) {
		return true
	}
	for _, line := range r.Header["X-Forwarded-Host"] {
		for host := range strings.SplitSeq(line, ",") {
			if reaches(domain, hostName(strings.TrimSpace(host))) {
				return true
			}
		}
	}
	found := false
	forwardedPairs(r.Header["Forwarded"], func(name, value string) {
		found = found || strings.EqualFold(name, "host") && reaches(domain, hostName(value))
	})
	return found
}
