package redis

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/host/engines/internal/serverurl"
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

// options are what may stand behind the question mark. Those of the guest are settings of
// the same names.
var (
	guestOptions = []string{"prefix", "timeout_ms", "wait_replicas", "wait_ms", "database", "sentinel_user", "sentinel_password"}
	options      = slices.Concat(guestOptions, []string{
		"password_file", "password_env", "sentinel_password_file", "sentinel_password_env", "nodes", "ca_file", "cert_file", "key_file",
	})
)

// target is what a URL says.
type target struct {
	scheme   scheme
	settings map[string]string // of the guest, without what is in files and in the environment
	options  map[string]string
	hosts    []string // host:port, or a path
}

// parse reads a URL.
func parse(text string) (*target, error) {
	parts, ok, err := serverurl.Split(text)
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == parts.Scheme })
	switch {
	case !ok || i < 0:
		return nil, urlError("it must begin with one of %s, and ://", strings.Join(Schemes(), ", "))
	case err != nil:
		return nil, urlError("%w", err)
	}
	t := &target{scheme: schemes[i], settings: map[string]string{"mode": schemes[i].mode}}
	if t.scheme.tls {
		t.settings["tls"] = "on"
	}
	user, password, err := serverurl.Login(parts.UserInfo)
	if err != nil {
		return nil, urlError("%w", err)
	}
	for name, value := range map[string]string{"user": user, "password": password} {
		if value != "" {
			t.settings[name] = value
		}
	}
	if err := t.readOptions(parts.Query); err != nil {
		return nil, err
	}
	if err := t.readHosts(parts.Authority, parts.Path); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *target) readOptions(query string) (err error) {
	if t.options, err = serverurl.Options(query, options); err != nil {
		return urlError("%w", err)
	}
	for _, name := range guestOptions {
		if value := t.options[name]; value != "" {
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
		address, err := serverurl.HostPort(host, t.scheme.port)
		if err != nil {
			return urlError("%w", err)
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
