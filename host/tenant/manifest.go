package tenant

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrManifest is returned when a manifest is not valid. The error joins a [FieldError]
// for each fault.
var ErrManifest = errors.New("tenant: the manifest is not valid")

// Manifest says what a tenant is: whose requests it gets, which plugin keeps its sessions,
// and what that may take. Its JSON form is described by [Schema]; README.md explains each
// field. It has no secrets.
type Manifest struct {
	// SchemaURL tells editors where the schema is. The host does not look at it.
	SchemaURL string `json:"$schema,omitempty"`

	// Name is the tenant's name: a label of the domain name system, that is 1 to 63
	// characters of a-z, 0-9 and -, of which - is neither first nor last.
	Name string `json:"name"`

	// Hosts are the host names of its requests: small letters, no port, no wildcard,
	// xn-- for letters beyond ASCII. Without any, the tenant is found in another way.
	Hosts []string `json:"hosts,omitempty"`

	// Plugin is what keeps its sessions.
	Plugin Source `json:"plugin"`

	// Config is given to the plugin, as [plugin.Config.GuestConfig].
	Config map[string]string `json:"config,omitempty"`

	// Limits bound the plugin. The host has limits as well: the lower one counts.
	Limits Limits `json:"limits,omitzero"`

	// Mounts are directories that the plugin may use.
	Mounts []Mount `json:"mounts,omitempty"`

	// Network lists what the plugin may connect to, as [plugin.Network].Allow. A host that
	// grants no network refuses it; see [HostConfig].Network.
	Network []string `json:"network,omitempty"`

	// Session has settings of the sessions, by the names that [session.FromEnv] takes.
	// Those of the storage and of secrets are not among them.
	Session map[string]string `json:"session,omitempty"`

	// Keyring says where the secrets are that seal the sessions: never the secrets
	// themselves. By default it is the path of a file; see [FileKeyring].
	Keyring string `json:"keyring,omitempty"`

	// Persist keeps the sessions over a restart of the process. A plugin that keeps them
	// in memory must be able to export them.
	Persist bool `json:"persist,omitempty"`

	// Replace says what becomes of the sessions if another plugin takes this one's place.
	Replace Replacement `json:"replace,omitempty"`
}

// Replacement says what becomes of the sessions if the plugin is replaced.
type Replacement string

// The ways to replace a plugin. The zero value is ReplaceKeep.
const (
	ReplaceKeep Replacement = "keep" // they move, and a plugin that cannot export or import them is refused
	ReplaceDrop Replacement = "drop" // they end if they cannot move
)

// MaxManifest is the largest size of a manifest in bytes. A plugin that does not fit goes
// into a file of its own.
const MaxManifest = 16 << 20

// ParseManifest reads a manifest strictly: one object of JSON in UTF-8, with known fields
// of the right types, each once. It returns ErrManifest with all faults that it can find.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	f := newFaults()
	if f.decodeManifest(b, &m) {
		m.check(f)
	}
	if err := f.err(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// ReadManifest reads a manifest from a file, as [ParseManifest] does.
func ReadManifest(file string) (Manifest, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
	b, err := readRegular(f, MaxManifest)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w: %w", file, ErrManifest, err)
	}
	m, err := ParseManifest(b)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// Check returns what [ParseManifest] would find wrong with a manifest that was made in Go,
// as ErrManifest. A [Host] calls it.
func (m Manifest) Check() error {
	f := newFaults()
	m.check(f)
	return f.err()
}

// JSON returns the manifest as text, with the fields in the order of the struct.
// ParseManifest gives an equal manifest for it.
func (m Manifest) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// readRegular reads a whole file, which must be a regular one of at most so many bytes.
func readRegular(f *os.File, most int64) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a directory: must be a file")
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("is a %s: must be a regular file", kindOfFile(info.Mode()))
	}
	// The file may grow meanwhile.
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("has %d bytes: must have at most %d", max(info.Size(), int64(len(b))), most)
	}
	return b, nil
}

func kindOfFile(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}
