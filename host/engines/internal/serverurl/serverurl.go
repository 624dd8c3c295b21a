// Package serverurl has what the bundled engines have in common that keep sessions on a
// server, which a URL names: reading it, secrets, certificates, and what the guest may reach.
//
// Package net/url would show all of a URL that it cannot read, with its password. No error
// of this package shows one.
package serverurl

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Parts are the pieces of a URL, as they are written.
type Parts struct {
	Scheme    string
	UserInfo  string // before the last @ of the authority
	Authority string // the rest of it: hosts
	Path      string // without its first slash
	Query     string
}

// Split divides a URL. ok is false if it has no scheme.
func Split(text string) (p Parts, ok bool, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return p, false, nil
	}
	p.Scheme = scheme
	if strings.Contains(rest, "#") {
		return p, true, errors.New("it has a #, which must be written %23")
	}
	rest, p.Query, _ = strings.Cut(rest, "?")
	p.Authority, p.Path, _ = strings.Cut(rest, "/")
	if i := strings.LastIndexByte(p.Authority, '@'); i >= 0 {
		p.UserInfo, p.Authority = p.Authority[:i], p.Authority[i+1:]
	}
	return p, true, nil
}

// Login returns the user and the password of a URL's user info.
func Login(userinfo string) (user, password string, err error) {
	user, password, _ = strings.Cut(userinfo, ":")
	for name, part := range map[string]*string{"user": &user, "password": &password} {
		value, err := url.PathUnescape(*part)
		if err != nil || strings.Contains(value, "\x00") || strings.ContainsAny(*part, "/?@") {
			return "", "", fmt.Errorf("the %s has a character that must be written as %% and two hexadecimal digits, such as %%40 for @, %%2F for / and %%25 for %%", name)
		}
		*part = value
	}
	return user, password, nil
}

// Options returns what stands behind the question mark, of the options that there are.
func Options(query string, known []string) (map[string]string, error) {
	options := make(map[string]string)
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, escaped, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(escaped)
		switch {
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("the option %q is unknown: the options are %s", name, strings.Join(known, ", "))
		case err != nil || strings.Contains(value, "\x00"):
			return nil, fmt.Errorf("the option %s has a character that must be written as %% and two hexadecimal digits", name)
		case value == "":
			return nil, fmt.Errorf("the option %s is empty: give it a value, or leave it out", name)
		case options[name] != "":
			return nil, fmt.Errorf("the option %s is there twice", name)
		}
		options[name] = value
	}
	return options, nil
}

// HostPort returns a host with its port, or with the usual one if it has none.
func HostPort(host, usual string) (string, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), usual
		if strings.Contains(name, ":") != strings.HasPrefix(host, "[") {
			name = ""
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || name == "" || strings.ContainsAny(name, " \t/@%*") {
		return "", fmt.Errorf("it must name a host, such as localhost, localhost:%s or [::1]:%s, between :// and the next slash", usual, usual)
	}
	return net.JoinHostPort(name, port), nil
}

// hidden stands for a secret.
const hidden = "xxxxx"

// Redact returns a URL, which can be read, with its password made unreadable, and the values
// of the options that are secret.
func Redact(text string, secret ...string) string {
	head, query, hasQuery := strings.Cut(text, "?")
	scheme, rest, _ := strings.Cut(head, "://")
	end := len(rest)
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		end = i
	}
	authority := rest[:end]
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if user, _, has := strings.Cut(authority[:i], ":"); has {
			authority = user + ":" + hidden + authority[i:]
		}
	}
	text = scheme + "://" + authority + rest[end:]
	if !hasQuery {
		return text
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if name, _, _ := strings.Cut(part, "="); slices.Contains(secret, name) {
			parts[i] = name + "=" + hidden
		}
	}
	return text + "?" + strings.Join(parts, "&")
}
