package rewrite

import (
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Version is part of the key under which compiled code is kept. It goes up with each
// change of what is written.
const Version = 6

// Options say what a rewrite adds. The zero value changes nothing.
type Options struct {
	// Meter makes the module charge fuel and bound the depth of its calls.
	Meter bool
	// MergeData joins active data segments that lie at most [MaxGap] bytes apart. An
	// instance evaluates and keeps each of them.
	MergeData bool
	// Entry adds one exported function, [EntryExport], that calls any of the exports
	// whose names it lists, divided by spaces, by their numbers from 0 on. A host that
	// looks up only this one has one stack an instance in place of one for each export.
	Entry string
	// Movable lets a host move the state of an instance to another: it exports each
	// mutable global of the module as [GlobalExport], and lifts the declared maximum of the
	// memory, which the host must hold instead ([Report.MaxMemory]). A module whose
	// state is more than memory and numbers stays as it is without this option, and
	// [Report.Fixed] says why.
	Movable bool
}

// The names of exports that a rewritten module has in addition. A module that already
// exports a name that begins with [ReservedPrefix] is refused.
const (
	ReservedPrefix = "waddle:"
	FuelExport     = ReservedPrefix + "fuel"  // mutable i64: fuel that is left until the next hook; 0 at the start
	DepthExport    = ReservedPrefix + "depth" // mutable i64: bytes of stack that are left; DepthLimit at the start
	EntryExport    = ReservedPrefix + "entry" // function of a number, an i32, and the parameters as i64, to i64; if metered also to the fuel that is left
)

// GlobalExport is the name under which a module exports one of [Report.Movable].
func GlobalExport(index uint32) string { return fmt.Sprintf("%sglobal:%d", ReservedPrefix, index) }

// Module rewrites a module that preflight has accepted. That no index is out of range,
// and so none can refer to what is added, has been found there. [Options.Meter], which
// reads every instruction, finds it again.
func Module(wasm []byte, o Options) ([]byte, *Report, error) {
	r := &Report{SizeBefore: len(wasm), SizeAfter: len(wasm)}
	if o == (Options{}) {
		return wasm, r, nil
	}
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, nil, err
	}
	if err := checkReserved(m); err != nil {
		return nil, nil, err
	}
	if o.Movable {
		if err := findState(m, r); err != nil {
			return nil, nil, err
		}
	}
	if o.Meter { // before anything else is added, since only the guest's own code is charged for
		if err := meter(m, r); err != nil {
			return nil, nil, err
		}
	}
	if o.Entry != "" {
		if err := addEntry(m, o.Entry, r); err != nil {
			return nil, nil, err
		}
	}
	if o.MergeData {
		if err := mergeData(m, r); err != nil {
			return nil, nil, err
		}
	}
	if o.Movable && r.Fixed == "" {
		if err := makeMovable(m, r); err != nil {
			return nil, nil, err
		}
	}
	out := m.Append(make([]byte, 0, len(wasm)))
	r.SizeAfter = len(out)
	return out, r, nil
}

// checkReserved refuses a module that exports a reserved name.
func checkReserved(m *wasmbin.Module) error {
	exports, err := wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	if err != nil {
		return err
	}
	for _, e := range exports {
		if strings.HasPrefix(e.Name, ReservedPrefix) {
			return fmt.Errorf("%w: the export %q: no export may begin with %q", ErrReserved, e.Name, ReservedPrefix)
		}
	}
	return nil
}
