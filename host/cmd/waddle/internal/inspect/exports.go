package inspect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
)

// Role is what an export is to the host.
type Role string

// The roles.
const (
	RoleRequired Role = "required"
	RoleOptional Role = "optional"
	RoleMarker   Role = "marker" // of a version of the interface
	RoleUnused   Role = "unused" // the host never calls it
)

var required = []string{abi.ExportMemory, abi.ExportMarker, abi.ExportAlloc, abi.ExportOpen, abi.ExportGet,
	abi.ExportSet, abi.ExportDelete, abi.ExportClear, abi.ExportSave}

// optional says what a host does without each of these exports.
var optional = []Absent{
	{abi.ExportInitialize, "nothing is run before session_open"},
	{abi.ExportDescribe, "it has no name or version of its own, and the host compares revisions for it"},
	{abi.ExportTouch, "the host reads and writes a record to give it a new expiry"},
	{abi.ExportSweep, "expired records are dropped by session_save only"},
	{abi.ExportFlush, "it saves all at once, while others wait"},
	{abi.ExportKeys, "its keys cannot be listed"},
	{abi.ExportSnapshot, "what it holds in memory ends with the instance"},
	{abi.ExportRestore, "it cannot take over the records of another"},
	{abi.ExportStats, "nobody can tell how many records it holds, nor that it evicts any"},
}

func roleOf(name string) Role {
	switch {
	case strings.HasPrefix(name, abi.MarkerPrefix):
		return RoleMarker
	case slices.Contains(required, name):
		return RoleRequired
	case slices.ContainsFunc(optional, func(o Absent) bool { return o.Name == name }):
		return RoleOptional
	}
	return RoleUnused
}

// sortExports puts those of the interface first, in the order of the
// specification, and leaves the others as they are.
func sortExports(exports []Export) {
	rank := make(map[string]int)
	for i, name := range required {
		rank[name] = i - 100
	}
	for i, o := range optional {
		rank[o.Name] = i - 50
	}
	slices.SortStableFunc(exports, func(a, b Export) int { return cmp.Compare(rank[a.Name], rank[b.Name]) })
}
