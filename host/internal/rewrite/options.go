package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// Version is part of the key under which compiled code is kept. It goes up with each
// change of what is written.
const Version = 1

// Options say what a rewrite adds. The zero value changes nothing.
type Options struct {
	// Meter makes the module charge fuel and bound the depth of its calls.
	Meter bool
	// MergeData joins active data segments that lie at most [MaxGap] bytes apart. An
	// instance evaluates and keeps each of them.
	MergeData bool
}

// The names of exports that a metered module has in addition. A module that already
// exports a name that begins with [ReservedPrefix] is refused.
const (
	ReservedPrefix = "waddle:"
	FuelExport     = ReservedPrefix + "fuel"  // mutable i64: fuel that is left until the next hook; 0 at the start
	DepthExport    = ReservedPrefix + "depth" // mutable i64: bytes of stack that are left; DepthLimit at the start
)

// Module rewrites a module that preflight has accepted. It refuses a module in which
// an index is out of range, so that nothing can refer to what is added.
func Module(wasm []byte, o Options) ([]byte, *Report, error) {
	r := &Report{SizeBefore: len(wasm), SizeAfter: len(wasm)}
	if o == (Options{}) {
		return wasm, r, nil
	}
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, nil, err
	}
	if o.MergeData {
		if err := mergeData(m, r); err != nil {
			return nil, nil, err
		}
	}
	out := m.Append(make([]byte, 0, len(wasm)))
	r.SizeAfter = len(out)
	return out, r, nil
}
