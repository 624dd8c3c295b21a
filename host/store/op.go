package store

import "slices"

// Op is an operation of a store, by the name that counters, traces and reports
// have for it.
type Op string

// The operations of [Store], and those of the optional interfaces. A bounded read
// is a get.
const (
	OpGet      Op = "get"
	OpSet      Op = "set"
	OpTouch    Op = "touch"
	OpDelete   Op = "delete"
	OpClear    Op = "clear"
	OpSave     Op = "save"
	OpClose    Op = "close"
	OpSweep    Op = "sweep"
	OpKeys     Op = "keys"
	OpSnapshot Op = "snapshot"
	OpRestore  Op = "restore"
)

var ops = []Op{OpGet, OpSet, OpTouch, OpDelete, OpClear, OpSave, OpClose, OpSweep, OpKeys, OpSnapshot, OpRestore}

// Ops returns all operations.
func Ops() []Op { return slices.Clone(ops) }
