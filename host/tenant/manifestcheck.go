package tenant

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/environ"
	"github.com/waddle-sessions/waddle/host/session"
)

// Bounds of what a manifest may have.
const (
	maxName    = 63
	maxHost    = 253
	maxHosts   = 100
	maxMounts  = 16
	maxNetwork = 32
	maxConfig  = 32 << 10 // bytes of names and values
)

const keyringPath = "$.keyring"

// label is one label of a host name, in small letters.
const label = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`

var (
	namePattern    = regexp.MustCompile(`^` + label + `$`)
	hostPattern    = regexp.MustCompile(`^` + label + `(\.` + label + `)*$`)
	settingPattern = regexp.MustCompile(`^[a-z0-9_]+$`)
	// A file's name that long has a dot in it, such as alice.key.
	secretPattern = regexp.MustCompile(`^[A-Za-z0-9+/=_-]{32,}$`)
)

// ValidName reports whether a tenant may have a name.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// check adds everything that is wrong with a manifest, judged by itself.
func (m *Manifest) check(f *faults) {
	switch {
	case m.Name == "":
		f.add("$.name", "is missing: must be the tenant's name, such as \"alice\"")
	case !ValidName(m.Name):
		f.add("$.name", "is %s: must be 1 to %d characters of a-z, 0-9 and -, and - neither first nor last", quote(m.Name), maxName)
	}
	m.checkHosts(f)
	m.Plugin.check(f)
	m.checkConfig(f)
	m.Limits.check(f)
	m.checkMounts(f)
	m.checkNetwork(f)
	m.checkSession(f)
	m.checkKeyring(f)
	switch m.Replace {
	case "", ReplaceKeep, ReplaceDrop:
	default:
		f.add("$.replace", "is %s: must be %q or %q", quote(string(m.Replace)), ReplaceKeep, ReplaceDrop)
	}
}

func item(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func (m *Manifest) checkHosts(f *faults) {
	if len(m.Hosts) > maxHosts {
		f.add("$.hosts", "has %d names: must have at most %d", len(m.Hosts), maxHosts)
		return
	}
	for i, host := range m.Hosts {
		at := item("$.hosts", i)
		if problem := hostProblem(host); problem != "" {
			f.add(at, "is %s: %s", quote(host), problem)
		} else if first := slices.Index(m.Hosts, host); first < i {
			f.add(at, "is %s, as is $.hosts[%d]: must be there once", quote(host), first)
		}
	}
}

// hostProblem says what is wrong with a host name, "" for nothing.
func hostProblem(host string) string {
	const form = "must be a host name in small letters, such as \"alice.example.com\""
	lower := strings.ToLower(strings.TrimSuffix(host, "."))
	labels := strings.Split(lower, ".")
	switch {
	case host == "":
		return form
	case strings.HasPrefix(host, "*"):
		return "must be a whole host name: there are no wildcards; name each host"
	case strings.Contains(host, "://") || strings.Contains(host, "/"):
		return "must be a host name alone, without a scheme and a path"
	case strings.Contains(host, ":"):
		return "must be a host name without a port, and no address: requests to any port are the tenant's"
	case !isASCII(host):
		return "must be in ASCII: write the form that browsers send, which begins with xn--"
	case len(host) > maxHost:
		return fmt.Sprintf("must have at most %d characters", maxHost)
	case host != lower && hostPattern.MatchString(lower):
		return fmt.Sprintf("must be in small letters and without a dot at the end: %q", lower)
	case !hostPattern.MatchString(host):
		return form
	case strings.Trim(labels[len(labels)-1], "0123456789") == "":
		return "must be a name and no address: a name does not end in a number"
	}
	return ""
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

func (m *Manifest) checkConfig(f *faults) {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(m.Config)) {
		value, at := m.Config[name], member("$.config", name)
		size += len(name) + len(value) + 2
		switch {
		case !settingPattern.MatchString(name):
			f.add(at, "is no name of a setting: must consist of a-z, 0-9 and _")
		case name == abi.ConfigShard || name == abi.ConfigShards || name == abi.ConfigMemoryLimit || strings.HasPrefix(name, abi.ConfigHostPrefix):
			f.add(at, "is set by the host: leave it out")
		case strings.ContainsRune(value, 0) || !utf8.ValidString(value):
			f.add(at, "has a NUL or is not UTF-8: must be text")
		}
	}
	if size > maxConfig {
		f.add("$.config", "has %d bytes of names and values: must have at most %d", size, maxConfig)
	}
}

// checkSession holds the settings against those that a manifest may have, and then against
// what package session takes.
func (m *Manifest) checkSession(f *faults) {
	known := sessionSettings()
	good := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(m.Session)) {
		at := member("$.session", name)
		switch {
		case slices.Contains(known, name) && strings.TrimSpace(m.Session[name]) == "":
			f.add(at, "is empty: must be a value, or left out for the default")
		case slices.Contains(known, name):
			good[name] = m.Session[name]
		case strings.Contains(name, "SECRET"), strings.Contains(name, "KEY"):
			f.add(at, "is not for a manifest, which has no secrets: put them into a file that only its owner may read, and name that in keyring")
		case slices.Contains(environ.Names(environ.Storage), name):
			f.add(at, "chooses a storage: the tenant's is its plugin; see plugin, mounts, persist and limits")
		default:
			f.add(at, "is not a setting: must be one of %s", strings.Join(known, ", "))
		}
	}
	if _, err := sessionFromEnv(good, m.Keyring != ""); err != nil {
		f.addCause(err, "$.session", "has settings that are wrong: %v", err)
	}
	if domain := strings.TrimPrefix(strings.ToLower(m.Session["SESSION_COOKIE_DOMAIN"]), "."); domain != "" && !slices.Contains(m.Hosts, domain) {
		f.add("$.session.SESSION_COOKIE_DOMAIN", "is %s, which is none of the hosts: must be one, or else other tenants beneath it would get the cookie; "+
			"leave it out, or add it to hosts", quote(domain))
	}
}

// sessionSettings are the settings of sessions that a manifest may have.
func sessionSettings() []string {
	return slices.DeleteFunc(environ.Names(environ.Sessions), func(name string) bool {
		return name == environ.Secret || name == environ.SecretFile
	})
}

// sessionFromEnv reads settings. If sessions will be sealed, it reads them as with a
// secret, since some settings are only for sealed sessions. The keyring that it returns
// then is nobody's, and must be replaced.
func sessionFromEnv(values map[string]string, sealed bool) (session.Settings, error) {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	if sealed {
		env = append(env, environ.Secret+"=stands-in-for-what-the-keyring-has-0123456789")
	}
	return session.FromEnv(env)
}

func (m *Manifest) checkKeyring(f *faults) {
	switch {
	case m.Keyring == "":
	case secretPattern.MatchString(m.Keyring):
		// Nothing of it is shown: errors go into logs.
		f.add(keyringPath, "has %d characters and looks like a secret, and a manifest has none: must be the name of a file, such as \"keys/alice.key\"; "+
			"if it was a secret, make a new one", len(m.Keyring))
	case strings.ContainsFunc(m.Keyring, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(m.Keyring) > 1024:
		f.add(keyringPath, "has several lines or more than 1024 bytes: must be the name of a file, such as \"keys/alice.key\"")
	}
}

// local reports whether a path leads to something beneath the directory that it starts
// in, on every system.
func local(name string) bool {
	return name != "" && name != "." && path.Clean(name) == name && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../") &&
		!strings.ContainsAny(name, "\\\x00") && !strings.Contains(name, ":")
}
