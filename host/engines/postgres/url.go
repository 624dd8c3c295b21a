package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/host/engines/internal/serverurl"
)

// ErrURL is returned for a URL that cannot be understood, and for files and variables that
// it names and that cannot be read. The error never shows a password.
var ErrURL = errors.New("postgres: invalid URL")

func urlError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrURL, fmt.Errorf(format, args...))
}

// Schemes are the schemes of the URLs that Open takes.
func Schemes() []string { return []string{"postgres", "postgresql"} }

// options are what may stand behind the question mark. Those of the guest are settings of
// the same names.
var (
	guestOptions = []string{"table", "connections", "timeout_ms", "synchronous_commit", "unlogged", "migrate", "prepare"}
	options      = append([]string{
		"sslmode", "sslrootcert", "sslcert", "sslkey", "host", "target_session_attrs", "channel_binding", "password_file", "password_env",
	}, guestOptions...)
)

// target is what a URL says.
type target struct {
	addresses []string // host:port, or the path of a socket
	password  string
	settings  map[string]string // of the guest, but for the password
	options   map[string]string
}

// parse reads a URL.
func parse(text string) (*target, error) {
	parts, ok, err := serverurl.Split(text)
	switch {
	case !ok || !slices.Contains(Schemes(), parts.Scheme):
		return nil, urlError("it must begin with postgres:// or postgresql://")
	case err != nil:
		return nil, urlError("%w", err)
	case strings.Contains(parts.Query, "@"):
		// What is taken for an option may be a part of a password.
		return nil, urlError("it has an @ behind a ?: they must be written %%40 and %%3F, if they are not the one behind the password and the one before the options")
	}
	t := &target{settings: map[string]string{}}
	if t.settings["user"], t.password, err = serverurl.Login(parts.UserInfo); err != nil {
		return nil, urlError("%w", err)
	}
	if err := t.readOptions(parts.Query); err != nil {
		return nil, err
	}
	if t.settings["user"] == "" {
		return nil, urlError("it must have a user, as in postgres://user@host/database")
	}
	name, err := url.PathUnescape(parts.Path)
	if err != nil || strings.ContainsAny(name, "/\x00") {
		return nil, urlError("its path must be the name of a database")
	}
	if name != "" {
		t.settings["database"] = name
	}
	if err := t.readHosts(parts.Authority); err != nil {
		return nil, err
	}
	t.settings["addresses"] = strings.Join(t.addresses, ",")
	return t, t.readTLS()
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
	switch attrs := t.options["target_session_attrs"]; attrs {
	case "", "read-write", "primary":
	default:
		return urlError("target_session_attrs is %q: must be read-write or left out, since sessions are written", attrs)
	}
	switch binding := t.options["channel_binding"]; binding {
	case "", "disable", "prefer":
	default:
		return urlError("channel_binding is %q: must be prefer or left out, since TLS is the host's and logging in is the guest's", binding)
	}
	return nil
}

// readHosts reads the hosts, or the directory of a socket.
func (t *target) readHosts(authority string) error {
	directory := t.options["host"]
	if authority != "" && directory == "" {
		for host := range strings.SplitSeq(authority, ",") {
			address, err := serverurl.HostPort(host, "5432")
			if err != nil {
				return urlError("%w", err)
			}
			t.addresses = append(t.addresses, address)
		}
		return nil
	}
	port := "5432"
	if p, ok := strings.CutPrefix(authority, ":"); ok {
		authority, port = "", p
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || authority != "" || !strings.HasPrefix(directory, "/") || strings.Contains(directory, ",") {
		return urlError("it must name a host between // and the next slash, or the directory of a socket, as in postgres://user@/database?host=/run/postgresql")
	}
	t.addresses = []string{strings.TrimSuffix(directory, "/") + "/.s.PGSQL." + port}
	return nil
}

// readTLS decides whether the connection has TLS. It has, unless it cannot leave the machine
// or the URL says otherwise.
func (t *target) readTLS() error {
	mode := t.options["sslmode"]
	switch mode {
	case "":
		mode = "disable"
		if slices.ContainsFunc(t.addresses, remote) {
			mode = "verify-full"
		}
	case "disable", "verify-full":
	case "require":
		// What libpq makes of it depends on a file. Here it is the stricter one.
		mode = "verify-full"
	default:
		return urlError("sslmode is %q: must be verify-full, which checks the server's certificate and its name, or disable", mode)
	}
	for _, name := range []string{"sslrootcert", "sslcert"} {
		if t.options[name] != "" && mode == "disable" {
			return urlError("the option %s is set without TLS: sslmode must be verify-full", name)
		}
	}
	if (t.options["sslcert"] != "") != (t.options["sslkey"] != "") {
		return urlError("one of the options sslcert and sslkey is set without the other")
	}
	if mode == "verify-full" {
		t.settings["tls"] = "on"
	}
	return nil
}

// remote reports whether an address is one of another machine, as far as can be told.
func remote(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// Redacted returns a URL with its password made unreadable, for people. Of what is no URL of
// this engine it shows only the scheme.
func Redacted(text string) string {
	if _, err := parse(text); err == nil {
		return serverurl.Redact(text)
	}
	if scheme, _, ok := strings.Cut(text, "://"); ok && slices.Contains(Schemes(), scheme) {
		return scheme + "://…"
	}
	return "…"
}
