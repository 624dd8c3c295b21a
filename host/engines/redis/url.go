package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ErrURL is returned for a URL that cannot be understood, and for files and variables that
// it names and that cannot be read. The error never shows a password.
var ErrURL = errors.New("redis: invalid URL")

func urlError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrURL, fmt.Errorf(format, args...))
}

// Schemes are the schemes of the URLs that Open takes.
func Schemes() []string {
	names := make([]string, len(schemes))
	for i, s := range schemes {
		names[i] = s.name
	}
	return names
}

var schemes = []scheme{
	{"redis", "standalone", false, "6379"},
	{"rediss", "standalone", true, "6379"},
	{"redis+unix", "standalone", false, ""},
	{"redis+sentinel", "sentinel", false, "26379"},
	{"rediss+sentinel", "sentinel", true, "26379"},
	{"redis+cluster", "cluster", false, "6379"},
	{"rediss+cluster", "cluster", true, "6379"},
}

type scheme struct {
	name, mode string
	tls        bool
	port       string // "" for a socket
}

// options are what may stand behind the question mark.
var options = []string{
	"prefix", "timeout_ms", "wait_replicas", "wait_ms", "database", // settings of the guest
	"password_file", "password_env",
	"sentinel_user", "sentinel_password", "sentinel_password_file", "sentinel_password_env",
	"nodes", "ca_file", "cert_file", "key_file",
}

// target is what a URL says.
type target struct {
	scheme   scheme
	settings map[string]string // of the guest, without what is in files and in the environment
	options  map[string]string
	hosts    []string // host:port, or a path
}

// parse reads a URL. Package url would show all of it in an error.
func parse(text string) (*target, error) {
	name, rest, ok := strings.Cut(text, "://")
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == name })
	if !ok || i < 0 {
		return nil, urlError("it must begin with one of %s, and ://", strings.Join(Schemes(), ", "))
	}
	t := &target{scheme: schemes[i], settings: map[string]string{"mode": schemes[i].mode}, options: map[string]string{}}
	if t.scheme.tls {
		t.settings["tls"] = "on"
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	if fragment != "" {
		return nil, urlError("it has a #, which must be written %%23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i+1:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := t.login(authority[:i]); err != nil {
			return nil, err
		}
		authority = authority[i+1:]
	}
	if err := t.readOptions(query); err != nil {
		return nil, err
	}
	if err := t.readHosts(authority, path); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *target) login(userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	for name, escaped := range map[string]string{"user": user, "password": password} {
		value, err := url.PathUnescape(escaped)
		if err != nil || strings.ContainsAny(value, "\x00") || strings.ContainsAny(escaped, "/?@") {
			return urlError("the %s has a character that must be written as %% and two hexadecimal digits, such as %%40 for @, %%2F for / and %%25 for %%", name)
		}
		if value != "" {
			t.settings[name] = value
		}
	}
	return nil
}

func (t *target) readOptions(query string) error {
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, escaped, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(escaped)
		switch {
		case !slices.Contains(options, name):
			return urlError("the option %q is unknown: the options are %s", name, strings.Join(options, ", "))
		case err != nil || strings.Contains(value, "\x00"):
			return urlError("the option %s has a character that must be written as %% and two hexadecimal digits", name)
		case value == "":
			return urlError("the option %s is empty: give it a value, or leave it out", name)
		case t.options[name] != "":
			return urlError("the option %s is there twice", name)
		}
		t.options[name] = value
		switch name {
		case "prefix", "timeout_ms", "wait_replicas", "wait_ms", "database", "sentinel_user", "sentinel_password":
			t.settings[name] = value
		}
	}
	for _, pair := range [][2]string{{"cert_file", "key_file"}, {"key_file", "cert_file"}} {
		if t.options[pair[0]] != "" && t.options[pair[1]] == "" {
			return urlError("the option %s is set without %s", pair[0], pair[1])
		}
	}
	if !t.scheme.tls {
		for _, name := range []string{"ca_file", "cert_file"} {
			if t.options[name] != "" {
				return urlError("the option %s is set without TLS: the URL must begin with rediss", name)
			}
		}
	}
	if t.options["nodes"] != "" && t.scheme.mode == "standalone" {
		return urlError("the option nodes is only for redis+sentinel and redis+cluster")
	}
	return nil
}

// readHosts reads what stands between the user and the options.
func (t *target) readHosts(authority, path string) error {
	if t.scheme.port == "" {
		path, err := url.PathUnescape(path)
		if authority != "" || path == "" || err != nil {
			return urlError("a socket must be named by its path behind three slashes, as in redis+unix:///run/redis.sock")
		}
		t.hosts = []string{"/" + path}
		t.settings["addresses"] = t.hosts[0]
		return nil
	}
	if err := t.readPath(path); err != nil {
		return err
	}
	for host := range strings.SplitSeq(authority, ",") {
		address, err := withPort(host, t.scheme.port)
		if err != nil {
			return err
		}
		t.hosts = append(t.hosts, address)
	}
	if len(t.hosts) > 1 && t.scheme.mode == "standalone" {
		return urlError("it names several hosts: must name one, or begin with redis+sentinel or redis+cluster")
	}
	t.settings["addresses"] = strings.Join(t.hosts, ",")
	return nil
}

// readPath reads the name of the master and the number of the database.
func (t *target) readPath(path string) error {
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	if t.scheme.mode == "sentinel" {
		master, err := url.PathUnescape(parts[0])
		if err != nil || master == "" {
			return urlError("it must have the name of the master behind the hosts, as in redis+sentinel://host1,host2/mymaster")
		}
		t.settings["master"] = master
		parts = parts[1:]
	}
	switch {
	case len(parts) > 1:
		return urlError("its path has more than the number of a database")
	case len(parts) == 0 || parts[0] == "":
		return nil
	}
	if _, err := strconv.ParseUint(parts[0], 10, 31); err != nil {
		return urlError("its path is not the number of a database")
	}
	if t.settings["database"] != "" {
		return urlError("it has the database twice, in the path and as an option")
	}
	t.settings["database"] = parts[0]
	return nil
}

// withPort adds the usual port to a host that has none.
func withPort(host, usual string) (string, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), usual
		if strings.Contains(name, ":") != strings.HasPrefix(host, "[") {
			name = ""
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || name == "" || strings.ContainsAny(name, " \t/@%*") {
		return "", urlError("it must name a host, such as localhost, localhost:6379 or [::1]:6379, between :// and the next slash")
	}
	return net.JoinHostPort(name, port), nil
}
