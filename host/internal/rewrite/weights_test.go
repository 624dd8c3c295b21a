package rewrite_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Weights fit the times that instructions take in wazero's compiler: what one takes,
// divided by its weight, is within a large factor of what an addition takes. If this
// fails, the compiler or the weights have changed. WADDLE_MEASURE=1 lists the times.
func TestWeights(t *testing.T) {
	if raced || testing.Short() {
		t.Skip("times")
	}
	const dear, cheap = 6, 24
	for attempt := 1; ; attempt++ {
		unit := timeOf(t, sample{snippet: ops(get, 1, get, 1, wasmbin.OpI64Add, set, 1)})
		var wrong []string
		for _, s := range samples() {
			took := timeOf(t, s) / unit
			weight := float64(s.weight())
			if os.Getenv("WADDLE_MEASURE") != "" {
				t.Logf("%-34s weight %3.0f  took %6.2f  %5.2f", s.name, weight, took, took/weight)
			}
			if took > dear*max(weight, 1) || took < weight/cheap {
				wrong = append(wrong, fmt.Sprintf("%s: weighs %.0f and takes as long as %.2f additions", s.name, weight, took))
			}
		}
		if len(wrong) == 0 {
			return
		}
		if attempt == 3 { // others may have worked on the machine
			require.Empty(t, wrong, strings.Join(wrong, "\n"))
		}
	}
}

// sample is code that is measured: a snippet that leaves nothing on the stack.
type sample struct {
	name    string
	snippet wasmbin.Code
}

// The locals of the measured function: one of each type, in which snippets gather
// results so that nothing is dead.
var gathering = []wasmbin.Locals{{Count: 1, Type: wasmbin.I32}, {Count: 1, Type: wasmbin.I64}, {Count: 1, Type: wasmbin.F32},
	{Count: 1, Type: wasmbin.F64}, {Count: 1, Type: wasmbin.V128}, {Count: 1, Type: wasmbin.I32}}

// weight is what the snippet weighs.
func (s sample) weight() (n int64) {
	w := wasmbin.NewWalker(wasmbin.NewReader(append(slices.Clone(s.snippet), byte(end)), 0))
	for w.Begin(); w.Next(); {
		n += rewrite.Weight(w.Op)
	}
	return n - rewrite.Weight(end)
}

const (
	copies = 32
	rounds = 1000
)

// timeOf measures a snippet, in nanoseconds.
func timeOf(t testing.TB, s sample) float64 {
	var c wasmbin.Code
	c.Code(ops(i32, rounds, set, 5, i32, 3, set, 0, i64, int64(5), set, 1))
	c.Code(ops(get, 0, wasmbin.Opcode(0xb2), set, 2, get, 1, wasmbin.Opcode(0xb9), set, 3, get, 0, wasmbin.Vector(17), set, 4))
	c.Code(ops(loop, void))
	for range copies {
		c.Code(s.snippet)
	}
	c.Code(ops(get, 5, i32, 1, sub, tee, 5, brIf, 0, end))
	for i, store := range []wasmbin.Opcode{wasmbin.OpI32Store, 0x37, 0x38, 0x39, wasmbin.Vector(11)} {
		c.Code(ops(i32, 64*i, get, i, store, 0, 0))
	}
	r := newRuntime()
	defer r.Close(ctx)
	compiled, err := r.CompileModule(ctx, (&building{functions: []fn{{}, {locals: gathering, code: c}}, imports: nil}).wasm())
	require.NoError(t, err, s.name)
	m, err := r.InstantiateModule(ctx, compiled, anonymous())
	require.NoError(t, err, s.name)
	f := m.ExportedFunction("f1")
	return fastest(t, f, s.name) / (copies * rounds)
}

func fastest(t testing.TB, f api.Function, name string) float64 {
	best := time.Hour
	for range 5 {
		began := time.Now()
		_, err := f.Call(ctx)
		require.NoError(t, err, name)
		best = min(best, time.Since(began))
	}
	return float64(best.Nanoseconds())
}

// samples are snippets for all instructions that can be measured alone.
func samples() (all []sample) {
	for op := wasmbin.Opcode(0); op < wasmbin.Opcodes; op++ {
		if s, ok := snippetOf(op); ok {
			all = append(all, sample{op.String(), s})
		}
	}
	return append(all,
		sample{"call", ops(call, 0)},
		sample{"i8x16.shuffle", append(append(ops(get, 4, get, 4, wasmbin.OpI8x16Shuffle), "\x00\x01\x02\x03\x04\x05\x06\x07\x10\x11\x12\x13\x14\x15\x16\x17"...), ops(set, 4)...)},
		sample{"memory.grow", ops(i32, 0, wasmbin.OpMemoryGrow, 0, drop)},
		sample{"memory.copy", ops(i32, 0, i32, 64, i32, 7, wasmbin.OpMemoryCopy, 0, 0)},
		sample{"memory.fill", ops(i32, 0, i32, 64, i32, 7, wasmbin.OpMemoryFill, 0)},
		sample{"memory.init", ops(i32, 0, i32, 64, i32, 7, wasmbin.OpMemoryInit, 0, 0)},
		sample{"table.copy", ops(i32, 0, i32, 0, i32, 1, wasmbin.OpTableCopy, 0, 0)},
		sample{"call_indirect", ops(i32, 0, indirect, 0, 0)},
		sample{"memory.size", ops(get, 0, wasmbin.OpMemorySize, 0, add, set, 0)},
		sample{"br_if", ops(block, void, get, 0, brIf, 0, get, 0, i32, 5, add, set, 0, end)},
		sample{"br_table", ops(block, void, block, void, get, 0, brTable, 2, 0, 1, 0, end, get, 0, i32, 3, add, set, 0, end)},
		sample{"if", ops(get, 0, if_, void, get, 0, i32, 3, add, set, 0, els, get, 0, i32, 5, add, set, 0, end)},
	)
}

// snippetOf returns a snippet with an instruction whose result is gathered, by its
// name.
func snippetOf(op wasmbin.Opcode) (wasmbin.Code, bool) {
	name := op.String()
	shape, what, dotted := strings.Cut(name, ".")
	locals := map[string]int{"i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4}
	gather := map[int]wasmbin.Code{
		0: ops(get, 0, wasmbin.OpI32Or, set, 0), 1: ops(get, 1, wasmbin.OpI64Or, set, 1),
		2: ops(get, 2, wasmbin.Opcode(0x92), set, 2), 3: ops(get, 3, wasmbin.Opcode(0xa0), set, 3),
	}
	switch {
	case !dotted || !op.Known() || op == wasmbin.OpI8x16Shuffle || op.Feature() > wasmbin.Vectors || strings.HasPrefix(name, "memory.") ||
		strings.HasPrefix(name, "local.") || strings.HasPrefix(name, "global.") || strings.HasSuffix(name, ".const") || strings.HasPrefix(name, "data."):
		return nil, false
	case op.Feature() == wasmbin.Vectors:
		return vectorSnippet(op, shape, what)
	}
	own, scalar := locals[shape]
	if !scalar {
		return nil, false
	}
	from, to := own, own
	for _, t := range []string{"i32", "i64", "f32", "f64"} {
		if strings.Contains(what, "_"+t) {
			from = locals[t]
		}
	}
	verb, _, _ := strings.Cut(what, "_")
	switch verb {
	case "eqz", "eq", "ne", "lt", "gt", "le", "ge":
		to = 0
	}
	switch {
	case strings.HasPrefix(what, "load"):
		return ops(i32, 64, op, 0, 0, gather[own]), true
	case strings.HasPrefix(what, "store"):
		return ops(i32, 2048, get, own, op, 0, 0), true
	}
	switch verb {
	case "div", "rem":
		if from < 2 { // never by zero
			one := ops(i32, 7)
			if from == 1 {
				one = ops(i64, int64(7))
			}
			return ops(get, from, get, from, one, wasmbin.OpI32Or+wasmbin.Opcode(from)*(wasmbin.OpI64Or-wasmbin.OpI32Or), op, set, from), true
		}
		return ops(get, from, get, from, op, set, from), true
	case "trunc":
		if from != own && !strings.Contains(what, "sat") { // never beyond the range
			return ops(get, from, op, gather[own]), true
		}
	case "eqz", "clz", "ctz", "popcnt", "abs", "neg", "ceil", "floor", "nearest", "sqrt", "wrap", "extend", "convert", "demote", "promote", "reinterpret",
		"extend8", "extend16", "extend32":
	default:
		return ops(get, from, get, from, op, gatherIf(to != from, gather[to], to)), true
	}
	return ops(get, from, op, gatherIf(to != from, gather[to], to)), true
}

func gatherIf(other bool, gather wasmbin.Code, own int) wasmbin.Code {
	if other {
		return gather
	}
	return ops(set, own)
}

func vectorSnippet(op wasmbin.Opcode, shape, what string) (wasmbin.Code, bool) {
	scalar := map[string]int{"i8x16": 0, "i16x8": 0, "i32x4": 0, "i64x2": 1, "f32x4": 2, "f64x2": 3, "v128": 4}[shape]
	gather := []wasmbin.Code{ops(get, 0, wasmbin.OpI32Or, set, 0), ops(get, 1, wasmbin.OpI64Or, set, 1), ops(get, 2, wasmbin.Opcode(0x92), set, 2), ops(get, 3, wasmbin.Opcode(0xa0), set, 3)}[min(scalar, 3)]
	verb, _, _ := strings.Cut(what, "_")
	switch op.Layout() {
	case wasmbin.LayoutAddress:
		if verb == "store" {
			return ops(i32, 2048, get, 4, op, 0, 0), true
		}
		return ops(i32, 64, op, 0, 0, get, 4, wasmbin.Vector(80), set, 4), true
	case wasmbin.LayoutAddressAndLane:
		if strings.HasPrefix(what, "store") {
			return ops(i32, 2048, get, 4, op, 0, 0, 0), true
		}
		return ops(i32, 64, get, 4, op, 0, 0, 0, set, 4), true
	case wasmbin.LayoutLane:
		if verb == "extract" {
			return ops(get, 4, op, 0, gather), true
		}
		return ops(get, 4, get, scalar, op, 0, set, 4), true
	}
	switch verb {
	case "splat":
		return ops(get, scalar, op, get, 4, wasmbin.Vector(80), set, 4), true
	case "any", "all", "bitmask":
		return ops(get, 4, op, get, 0, wasmbin.OpI32Or, set, 0), true
	case "shl", "shr":
		return ops(get, 4, get, 0, op, set, 4), true
	case "bitselect":
		return ops(get, 4, get, 4, get, 4, op, set, 4), true
	case "abs", "neg", "not", "popcnt", "extadd", "extend", "convert", "trunc", "demote", "promote", "sqrt", "ceil", "floor", "nearest":
		return ops(get, 4, op, set, 4), true
	}
	return ops(get, 4, get, 4, op, set, 4), true
}
