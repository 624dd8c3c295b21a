package tenant

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// room is where a tenant keeps its state on disk: one of the numbered directories of the
// tenant's own. A file says which is in force, so that a replacement can fill another one,
// and a crash in between finds the one or the other whole.
type room struct {
	base   string // the tenant's directory
	number int
	files  bool // the guest keeps files in it, and does not have a snapshot
}

// inForce is the file that names the directory in force. If there is none, it is the
// first one.
const inForce = "current"

// stateDir returns the directory for what a tenant keeps.
func (h *Host) stateDir(name string) (string, error) {
	switch {
	case h.config.Dir == "":
		return "", fmt.Errorf("%w: the manifest has persist, and HostConfig.Dir is not set: set it, or leave persist out", ErrState)
	case name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name):
		return "", fmt.Errorf("%w: the name %q cannot be a directory's: choose another, or leave persist out", ErrState, name)
	}
	return filepath.Join(h.config.Dir, "state", name), nil
}

// roomOf returns the room of a tenant that is opened, nil if it keeps nothing.
func (h *Host) roomOf(p *plan, m *module) (*room, error) {
	if !p.manifest.Persist || keepsOwnFiles(&p.config) {
		return nil, nil
	}
	base, err := h.stateDir(p.manifest.Name)
	if err != nil {
		return nil, err
	}
	number, err := readInForce(base)
	if err != nil {
		return nil, err
	}
	return &room{base, number, keepsFiles(p, m)}, nil
}

// roomAfter returns the room of a plugin that replaces another one. A guest that keeps
// files goes on in those of the same engine; any other plugin gets an empty room.
func (h *Host) roomAfter(old *edition, p *plan, m *module) (*room, error) {
	r, err := h.roomOf(p, m)
	if r == nil || err != nil {
		return nil, err
	}
	if old.room != nil && (old.down != nil || r.files && old.room.files && old.plan.manifest.Plugin.Bundled == p.manifest.Plugin.Bundled) {
		return old.room, nil
	}
	all, err := r.others()
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		r.number = max(r.number, n)
	}
	r.number++
	return r, nil
}

// keepsOwnFiles reports whether a plugin has a directory of its manifest's to keep its
// records in.
func keepsOwnFiles(c *plugin.Config) bool {
	for _, mount := range c.Mounts {
		if !mount.ReadOnly {
			return true
		}
	}
	return false
}

// keepsFiles reports whether a guest keeps its records in files, since it gives no
// snapshot or is an engine that does.
func keepsFiles(p *plan, m *module) bool {
	return p.manifest.Plugin.keepsFiles() || m.compiled.Outline().Export(abi.ExportSnapshot) == nil
}

func (r *room) dir() string { return filepath.Join(r.base, strconv.Itoa(r.number)) }

// use makes a plugin keep its records in the room.
func (r *room) use(p *plan, c *plugin.Config) error {
	switch {
	case r == nil:
		return nil
	case !r.files:
		c.Snapshots = r.dir()
		return nil
	}
	if err := plugin.MakeDir(r.dir()); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	c.Mounts = append(c.Mounts[:len(c.Mounts):len(c.Mounts)], plugin.Mount{Dir: r.dir(), MaxBytes: int64(p.limits.FileBytes), MaxFiles: int64(p.limits.Files)})
	return nil
}

// readInForce returns the number of the directory in force.
func readInForce(base string) (int, error) {
	text, err := os.ReadFile(filepath.Join(base, inForce))
	if errors.Is(err, fs.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrState, err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: %s is %q: must be the number of a directory beside it; write the number of the one with the sessions there",
			ErrState, filepath.Join(base, inForce), text)
	}
	return n, nil
}

// prepare writes on disk, durably, what commit puts in force.
func (r *room) prepare() (err error) {
	if r == nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(r.base, inForce+".new"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	_, err = fmt.Fprintln(f, r.number)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// commit puts the room in force.
func (r *room) commit() error {
	if r == nil {
		return nil
	}
	if err := os.Rename(filepath.Join(r.base, inForce+".new"), filepath.Join(r.base, inForce)); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// discard deletes a room that is not in force.
func (r *room) discard() {
	if r != nil {
		_ = os.RemoveAll(r.dir())
	}
}

// tidy deletes rooms that a crash has left behind. The room must be in use: then no other
// process has any of them.
func (r *room) tidy() {
	if r == nil {
		return
	}
	all, _ := r.others()
	for _, n := range all {
		(&room{base: r.base, number: n}).discard()
	}
}

// others returns the numbers of the other rooms that there are.
func (r *room) others() (all []int, err error) {
	entries, err := os.ReadDir(r.base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	for _, entry := range entries {
		if n, err := strconv.Atoi(entry.Name()); err == nil && n != r.number {
			all = append(all, n)
		}
	}
	return all, nil
}
