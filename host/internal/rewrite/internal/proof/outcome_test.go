package proof_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/interp"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
)

// outcome is what can be seen of a module that has run: how each call ended, and what
// the module has left.
type outcome struct {
	calls   []called
	globals []uint64
	memory  uint64 // hash
	pages   int
	host    uint64 // hash of the calls of imported functions
	stack   int    // bytes that the compiler's code has taken for its stack, at most, or 0
}

// called is how the start function, which comes first, or a call ended.
type called struct {
	export  string
	results []uint64
	ended   string // why, if it did not return
	used    int64  // fuel
	depth   int64  // left when it returned, or 0
	trace   string // of a trap
}

// unmetered is the outcome without what only metered modules have, and without traces.
func (o outcome) unmetered() outcome {
	o.stack = 0
	o.calls = append([]called(nil), o.calls...)
	for i := range o.calls {
		o.calls[i].used, o.calls[i].depth, o.calls[i].trace = 0, 0, ""
	}
	return o
}

// metered is the outcome without depth and traces, which the yardstick does not have, and
// without what other does not tell of the start function's fuel.
func (o outcome) metered(other outcome) outcome {
	o.stack = 0
	o.calls = append([]called(nil), o.calls...)
	for i := range o.calls {
		o.calls[i].depth, o.calls[i].trace = 0, ""
	}
	if other.calls[0].used == unseen {
		o.calls[0].used = unseen
	}
	return o
}

// again is the outcome of a start function that runs twice, whose fuel says nothing.
func (o outcome) again() outcome {
	o.calls = append([]called(nil), o.calls...)
	o.calls[0].used = unseen
	return o
}

// unseen is the fuel of a start function that failed before any hook. The counter is
// gone with its instance.
const unseen = -1

// traces are those of the calls.
func (o outcome) traces() (all []string) {
	for _, c := range o.calls {
		all = append(all, c.trace)
	}
	return all
}

func used(o outcome) (total int64) {
	for _, c := range o.calls {
		total += c.used
	}
	return total
}

// yardstick runs a module in package interp.
func yardstick(t testing.TB, m modgen.Module, budget int64, later int) (o outcome, deepest int) {
	t.Helper()
	parsed, err := interp.Parse(m.Wasm)
	require.NoError(t, err)
	var host imported
	v, err := interp.New(parsed, host.call, interp.Limits{Fuel: budget, Later: later, Calls: mostCalls, Pages: modgen.MaxPages})
	used := int64(0)
	add := func(export string, results []uint64, err error) {
		c := called{export: export, results: results, used: v.Used - used}
		if used = v.Used; err != nil {
			c.ended = err.Error()
		}
		o.calls = append(o.calls, c)
	}
	add("", nil, err)
	if err != nil { // nothing else can be seen of it
		o.host = host.seen
		return o, v.Deepest
	}
	for _, call := range m.Calls {
		results, err := v.Call(call.Export, call.Args)
		add(call.Export, results, err)
		if errors.Is(err, interp.ErrFuel) || errors.Is(err, interp.ErrDepth) {
			break
		}
	}
	o.memory, o.pages, o.host = hash(v.Memory), len(v.Memory)>>16, host.seen
	for _, g := range v.Globals {
		o.globals = append(o.globals, g[0])
	}
	return o, v.Deepest
}
