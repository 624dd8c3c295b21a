package tenant

import (
	"path"
	"slices"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// Mount is a directory that a plugin may use.
type Mount struct {
	// Dir is the directory. A relative one lies in a directory that is the tenant's
	// alone, and is made if there is none. An absolute one must exist, and lie beneath
	// one that the host allows. Within it no link leads out.
	Dir string `json:"dir"`

	// Path is where the plugin finds it. Empty means [plugin.DefaultMountPath].
	Path string `json:"path,omitempty"`

	// ReadOnly refuses every change.
	ReadOnly bool `json:"read_only,omitempty"`

	// Bytes and Files bound what is in it. 0 means an equal part of what
	// Limits.FileBytes and Limits.Files leave for it.
	Bytes Bytes `json:"bytes,omitempty"`
	Files int   `json:"files,omitempty"`
}

func (m *Manifest) checkMounts(f *faults) {
	if len(m.Mounts) > maxMounts {
		f.add("$.mounts", "has %d entries: must have at most %d", len(m.Mounts), maxMounts)
		return
	}
	for i, mount := range m.Mounts {
		at := item("$.mounts", i)
		switch {
		case mount.Dir == "":
			f.add(at+".dir", "is missing: must be a directory, such as \"files\"")
		case !local(mount.Dir) && (!path.IsAbs(mount.Dir) || path.Clean(mount.Dir) != mount.Dir || mount.Dir == "/"):
			f.add(at+".dir", "is %s: must be a path such as \"files\" or \"data/index\", without . and .., or an absolute one that the host allows", quote(mount.Dir))
		}
		if mount.Path != "" && (!path.IsAbs(mount.Path) || path.Clean(mount.Path) != mount.Path || mount.Path == "/") {
			f.add(at+".path", "is %s: must be absolute and clean, such as %q", quote(mount.Path), plugin.DefaultMountPath)
		}
		if mount.Bytes < 0 || mount.Files < 0 {
			f.add(at, "has a negative quota: must be 1 or more, or left out")
		}
		if mount.ReadOnly && (mount.Bytes != 0 || mount.Files != 0) {
			f.add(at, "is read-only and has a quota, which has no effect: leave one of them out")
		}
		for j, other := range m.Mounts[:i] {
			if mountPath(other) == mountPath(mount) {
				f.add(at+".path", "is %s, as is that of $.mounts[%d]: must be another one", quote(mountPath(mount)), j)
			}
			if within(mount.Dir, other.Dir) || within(other.Dir, mount.Dir) {
				f.add(at+".dir", "is %s, and $.mounts[%d] is %s: one must not be in the other", quote(mount.Dir), j, quote(other.Dir))
			}
		}
	}
}

func mountPath(m Mount) string {
	if m.Path == "" {
		return plugin.DefaultMountPath
	}
	return m.Path
}

// within reports whether a clean path is dir or beneath it.
func within(name, dir string) bool {
	return name == dir || len(name) > len(dir) && name[:len(dir)] == dir && name[len(dir)] == '/'
}

// shares divides a limit among mounts: each gets what it asks for as far as there is that
// much, and those that ask for nothing share the rest.
func shares(limit int64, asked []int64) []int64 {
	given := slices.Clone(asked)
	rest, open := limit, int64(0)
	for i, n := range given {
		if n == 0 {
			open++
		}
		given[i] = min(n, rest)
		rest -= given[i]
	}
	for i := range given {
		if asked[i] == 0 {
			given[i] = rest / open
		}
	}
	return given
}
