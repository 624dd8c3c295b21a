package plugin

import (
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// export is the number of an export of the contract. An instance calls it by that.
type export = uint64

const (
	exportAlloc export = iota
	exportOpen
	exportGet
	exportSet
	exportDelete
	exportClear
	exportSave
	exportInitialize
	exportDescribe
	exportTouch
	exportSweep
	exportFlush
	exportKeys
	exportSnapshot
	exportRestore
	exportStats
	exportCopied
	exportBatch
	exportIdle
)

// contract lists the exports of version 1 with their signatures, in the order
// of the specification.
var contract = [...]struct {
	name     string
	required bool
	want     preflight.Signature
}{
	exportAlloc: {abi.ExportAlloc, true, signature(i32, preflight.I32)},
	exportOpen:  {abi.ExportOpen, true, signature(i64, preflight.I32, preflight.I32)},
	exportGet:   {abi.ExportGet, true, signature(i64, preflight.I32, preflight.I32, preflight.I64)},
	exportSet: {abi.ExportSet, true, signature(i64, preflight.I32, preflight.I32, preflight.I32, preflight.I32,
		preflight.I64, preflight.I64, preflight.I64)},
	exportDelete:     {abi.ExportDelete, true, signature(i64, preflight.I32, preflight.I32, preflight.I64)},
	exportClear:      {abi.ExportClear, true, signature(i64, preflight.I64)},
	exportSave:       {abi.ExportSave, true, signature(i64, preflight.I64)},
	exportInitialize: {abi.ExportInitialize, false, signature(nothing)},
	exportDescribe:   {abi.ExportDescribe, false, signature(i64)},
	exportTouch:      {abi.ExportTouch, false, signature(i64, preflight.I32, preflight.I32, preflight.I64, preflight.I64)},
	exportSweep:      {abi.ExportSweep, false, signature(i64, preflight.I64, preflight.I32)},
	exportFlush:      {abi.ExportFlush, false, signature(i64, preflight.I64, preflight.I32)},
	exportKeys:       {abi.ExportKeys, false, signature(i64, preflight.I64, preflight.I64)},
	exportSnapshot:   {abi.ExportSnapshot, false, signature(i64, preflight.I64, preflight.I64)},
	exportRestore:    {abi.ExportRestore, false, signature(i64, preflight.I32, preflight.I32, preflight.I64)},
	exportStats:      {abi.ExportStats, false, signature(i64)},
	exportCopied:     {abi.ExportCopied, false, signature(i64)},
	exportIdle:       {abi.ExportIdle, false, signature(i64, preflight.I64)},
	exportBatch:      {abi.ExportBatch, false, signature(i64, preflight.I32, preflight.I32)},
}

// maxParams is how many parameters an export of the contract takes at most.
const maxParams = 7

// contractNames lists the names of the exports by their numbers.
var contractNames = func() string {
	var names []string
	for _, c := range contract {
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}()

// exports is a set of exports.
type exports uint32

// exportsOf returns those of the contract that a module has.
func exportsOf(m *preflight.Module) (set exports) {
	for i, c := range contract {
		if m.Export(c.name) != nil {
			set |= 1 << i
		}
	}
	return set
}

func (set exports) has(e export) bool { return set>>e&1 == 1 }

func signature(results []preflight.ValueType, params ...preflight.ValueType) preflight.Signature {
	return preflight.Signature{Params: params, Results: results}
}

var (
	nothing = []preflight.ValueType(nil)
	i32     = []preflight.ValueType{preflight.I32}
	i64     = []preflight.ValueType{preflight.I64}
)
