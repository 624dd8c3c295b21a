package network

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// ErrPattern is a pattern in Config.Allow that is not one, or that can reach nothing.
var ErrPattern = errors.New("not an address that can be granted")

// scheme is how what is at an address is spoken to.
type scheme uint8

const (
	schemeTCP scheme = iota
	schemeTLS
	schemeUnix
)

var schemes = map[string]scheme{"tcp": schemeTCP, "tls": schemeTLS, "unix": schemeUnix}

// pattern is a set of addresses.
type pattern struct {
	text        string
	scheme      scheme
	name        string       // in lower case; after a "*.", if wild
	wild        bool         // any one label before the name
	prefix      netip.Prefix // the addresses, if there is no name
	first, last uint16       // the ports
	path        string       // of a unix socket
}

// target is one address, as a guest names it.
type target struct {
	text   string
	scheme scheme
	name   string     // in lower case
	addr   netip.Addr // if there is no name
	port   uint16
	path   string // of a unix socket
}

// host returns the name or the address, without the port.
func (t *target) host() string {
	if t.name != "" {
		return t.name
	}
	return t.addr.String()
}

// matches reports whether the pattern has an address.
func (p *pattern) matches(t *target) bool {
	if t.scheme == schemeUnix || p.scheme == schemeUnix {
		return t.scheme == p.scheme && t.path == p.path
	}
	if p.scheme == schemeTLS && t.scheme != schemeTLS {
		return false // what is granted with TLS is not reached without
	}
	if t.port < p.first || t.port > p.last {
		return false
	}
	if t.name != "" {
		return p.hasName(t.name)
	}
	return p.prefix.IsValid() && p.prefix.Contains(t.addr)
}

func (p *pattern) hasName(name string) bool {
	if !p.wild {
		return p.name != "" && p.name == name
	}
	_, rest, ok := strings.Cut(name, ".")
	return ok && rest == p.name
}

// parsePattern parses an entry of Config.Allow.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	err := p.parse()
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrPattern, quote(text), err)
	}
	return p, err
}

func (p *pattern) parse() (err error) {
	var rest string
	if p.scheme, rest, err = cutScheme(p.text); err != nil {
		return err
	}
	if p.scheme == schemeUnix {
		p.path = rest
		return checkPath(rest)
	}
	host, ports, err := cutPort(rest)
	if err != nil {
		return err
	}
	if p.first, p.last, err = parsePorts(ports); err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(host, "*."); ok {
		p.wild = true
		p.name, err = parseName(name)
		return err
	}
	if strings.HasPrefix(host, "[") || looksLikeAddress(host) {
		p.prefix, err = parsePrefix(host)
		return err
	}
	p.name, err = parseName(host)
	return err
}

// parseTarget parses an address that a guest names.
func parseTarget(text string) (target, error) {
	t := target{text: text}
	err := t.parse()
	return t, err
}

func (t *target) parse() (err error) {
	if len(t.text) > maxAddress {
		return fmt.Errorf("it has %d bytes, and %d are allowed", len(t.text), maxAddress)
	}
	var rest string
	if t.scheme, rest, err = cutScheme(t.text); err != nil {
		return err
	}
	if t.scheme == schemeUnix {
		t.path = rest
		return checkPath(rest)
	}
	host, port, err := cutPort(rest)
	if err != nil {
		return err
	}
	if t.port, err = parsePort(port); err != nil {
		return err
	}
	if strings.HasPrefix(host, "[") || looksLikeAddress(host) {
		t.addr, err = parseAddr(host)
		t.addr = t.addr.Unmap()
		return err
	}
	t.name, err = parseName(host)
	return err
}

// maxAddress is the longest address that a guest names: the longest name, or path of a
// socket, has room.
const maxAddress = 300

func cutScheme(text string) (scheme, string, error) {
	name, rest, ok := strings.Cut(text, "://")
	s, known := schemes[name]
	if !ok || !known {
		return 0, "", errors.New("it must begin with tcp://, tls:// or unix://")
	}
	return s, rest, nil
}

// maxPath is how long the path of a unix socket may be: what macOS has room for.
const maxPath = 103

func checkPath(p string) error {
	switch {
	case !strings.HasPrefix(p, "/"):
		return errors.New("a socket has an absolute path, such as unix:///run/redis.sock")
	case strings.ContainsRune(p, 0):
		return errors.New("a path has no NUL")
	case path.Clean(p) != p || p == "/":
		return fmt.Errorf("its path must be in its shortest form, %s", path.Clean(p))
	case len(p) > maxPath:
		return fmt.Errorf("the path has %d bytes, and a socket has room for %d", len(p), maxPath)
	}
	return nil
}

// cutPort cuts the part after the last colon off.
func cutPort(text string) (host, port string, err error) {
	if strings.Contains(text, "@") {
		return "", "", errors.New("it has no user and no password")
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.HasSuffix(text, "]") {
		return "", "", errors.New("it must end with a port, such as :6379")
	}
	host, port = text[:i], text[i+1:]
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "", "", errors.New("an IPv6 address stands in brackets, such as [fd00::1]:6379")
	}
	return host, port, nil
}

func parsePorts(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if first, err = parsePort(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = parsePort(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("the ports %s end before they begin", text)
	}
	return first, last, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%q is not a port: it is a number from 1 to 65535", text)
	}
	return uint16(n), nil
}
