package inspect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
)

// Role is the use of an export to the host.
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

// optional says what follows if a guest lacks each of these exports.
var optional = []Absent{
	{abi.ExportInitialize, "no code runs before session_open"},
	{abi.ExportDescribe, "it has no name or version of its own, and the host compares revisions for it"},
	{abi.ExportTouch, "the host reads and writes a record to give it a new expiry"},
	{abi.ExportSweep, "only session_save drops expired records"},
	{abi.ExportFlush, "it saves everything at once, while other calls wait"},
	{abi.ExportKeys, "its keys cannot be listed"},
	{abi.ExportSnapshot, "records in its memory are lost with the instance"},
	{abi.ExportRestore, "it cannot take over records from another instance"},
	{abi.ExportStats, "the host cannot tell how many records it holds or evicts"},
	{abi.ExportCopied, "a copy of it is not told, and keeps what was drawn before session_open"},
	{abi.ExportBatch, "operations that wait for it are called one after the other"},
	{abi.ExportIdle, "what it does in the background gets time only while it is called"},
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

// sortExports puts the exports of the interface first, in the order of the
// specification, and keeps the order of the others.
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
