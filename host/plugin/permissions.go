package plugin

import (
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Permission is something that a guest may do beyond computing in its own memory,
// by functions that it imports. [Permissions] has all that there are.
type Permission struct {
	Name    string // one word
	Meaning string // what a guest does with it, in words

	// Imports are the functions that it takes.
	Imports []preflight.Import

	// Grant is the field of [Config] that grants it, as [GrantMounts]. Empty is for
	// what every guest has.
	Grant string

	// Without is what the functions of a permission do for a guest that is not
	// granted it. Empty means that such a guest is refused, with [ErrGrant].
	Without string

	granted func(*Config) bool
}

// GrantMounts is the Grant of the permission to use files.
const GrantMounts = "Mounts"

// GrantedBy reports whether a guest that runs with the config has the permission.
func (p Permission) GrantedBy(config Config) bool { return p.granted == nil || p.granted(&config) }

// Use is a permission that a module has a use for, and by which imports.
type Use struct {
	Permission
	By []preflight.Import
}

// Permissions returns all that a guest may do on this host, in the order in which
// they are told. [Validate], [Open] and [Uses] ask the same table.
func Permissions() []Permission {
	var all []Permission
	for _, p := range builtinPermissions() {
		all = append(all, p.public())
	}
	return all
}

// Uses returns what a module could do, judged by its imports, and the imports that
// this host does not have. It does not hold their signatures against anything, as
// [Validate] does.
func Uses(m *preflight.Module) (uses []Use, unknown []preflight.Import) {
	return builtinPermissions().uses(m.Imports)
}
