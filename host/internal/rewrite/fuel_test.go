package rewrite_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// w is the weight of these instructions together.
func w(list ...wasmbin.Opcode) (n int64) {
	for _, op := range list {
		n += rewrite.Weight(op)
	}
	return n
}

// Fuel is what the package's documentation says, and the results are those of the module
// as it was, in both engines.
func TestFuel(t *testing.T) {
	const (
		fill, copy_, minit = wasmbin.OpMemoryFill, wasmbin.OpMemoryCopy, wasmbin.OpMemoryInit
		grow, tcopy        = wasmbin.OpMemoryGrow, wasmbin.OpTableCopy
		i32t               = wasmbin.I32
	)
	const (
		f32OfI64, f64OfF32, i32OfF64 = wasmbin.Opcode(0xb4), wasmbin.Opcode(0xbb), wasmbin.Opcode(0xaa)
	)
	splat, vadd := wasmbin.Vector(17), wasmbin.Vector(174)
	round := w(get, i32, sub, tee, brIf)
	countdown := ops(loop, void, get, 0, i32, 1, sub, tee, 0, brIf, 0, end)
	inside := []wasmbin.ValueType{i32t, i32t}
	for name, c := range map[string]struct {
		module  building
		params  []uint64
		results []uint64
		fuel    int64
	}{
		"nothing":     {building{functions: []fn{{}}}, nil, nil, w(end)},
		"a sum":       {building{functions: []fn{{results: types(i32t), code: ops(i32, 1, i32, 2, add)}}}, nil, []uint64{3}, w(i32, i32, add, end)},
		"not run":     {building{functions: []fn{{code: ops(ret, i32, 1, i32, 2, add, drop)}}}, nil, nil, w(ret, i32, i32, add, drop, end)},
		"result":      {building{functions: []fn{{results: types(i32t), code: ops(i32, 1, ret)}}}, nil, []uint64{1}, w(i32, ret, end) + 1},
		"locals":      {building{functions: []fn{{locals: sizes(10*rewrite.LocalsPerUnit, i32t)}}}, nil, nil, w(end) + 10},
		"some locals": {building{functions: []fn{{locals: sizes(11*rewrite.LocalsPerUnit-1, i32t)}}}, nil, nil, w(end) + 10},
		"both halves": {building{functions: []fn{{code: ops(i32, 0, if_, i32t, i32, 1, els, i32, 2, end, drop)}}}, nil, nil, w(i32, if_, i32, els, i32, end, drop, end) + 1},
		"no else":     {building{functions: []fn{{code: ops(i32, 0, if_, void, i32, 1, drop, end)}}}, nil, nil, w(i32, if_, i32, drop, end, end)},
		"a loop":      {building{functions: []fn{{params: types(i32t), code: countdown}}}, []uint64{10}, nil, w(loop, end) + 10*(round+w(end))},
		"no round":    {building{functions: []fn{{code: ops(loop, void, i32, 1, drop, end)}}}, nil, nil, w(loop, i32, drop, end, end)},
		"empty loop":  {building{functions: []fn{{code: ops(loop, void, end)}}}, nil, nil, w(loop, end, end)},
		"left by a branch": {building{functions: []fn{{code: ops(block, void, loop, void, br, 1, end, end)}}}, nil, nil,
			w(block, loop, end, end) + w(br, end)},
		"nested": {building{functions: []fn{{params: types(i32t), locals: sizes(1, i32t), code: ops(
			loop, void, i32, 5, set, 1, loop, void, get, 1, i32, 1, sub, tee, 1, brIf, 0, end, get, 0, i32, 1, sub, tee, 0, brIf, 0, end)}}},
			[]uint64{3}, nil, w(loop, end) + 3*(w(i32, set, loop, end)+round+5*(round+w(end)))},
		"a loop at once, with one inside": {building{functions: []fn{{params: types(i32t), locals: sizes(2, i32t), code: ops(
			get, 0, i32, 1, add, set, 2, loop, void, i32, 5, set, 1, loop, void, get, 1, i32, 1, sub, tee, 1, brIf, 0, end, get, 0, i32, 1, sub, tee, 0, brIf, 0, end)}}},
			[]uint64{3}, nil, w(get, i32, add, set, loop, end) + 3*(w(i32, set, loop, end)+round+5*(round+w(end)))},
		"a tight loop at once": {building{functions: []fn{{params: types(i32t), code: ops(get, 0, i32, 1, add, set, 0, countdown)}}}, []uint64{10}, nil,
			w(get, i32, add, set, loop, end) + 11*(round+w(end))},
		"parameters of a loop": {building{functions: []fn{{results: types(i32t), code: ops(i32, 4, i32, 3, loop, 0, i32, 1, sub, tee, 0, get, 0, brIf, 0, end, add),
			locals: sizes(1, i32t)}}, change: types0(inside, inside)}, nil, []uint64{4}, w(i32, i32, loop, add, end) + 4 + 3*(w(i32, sub, tee, get, brIf, end)+2)},
		"values of all types go round": {building{functions: []fn{{params: types(i32t), results: types(i32t),
			locals: []wasmbin.Locals{{Count: 1, Type: wasmbin.I64}, {Count: 1, Type: wasmbin.F32}, {Count: 1, Type: wasmbin.F64}, {Count: 1, Type: wasmbin.V128}},
			code: ops(loop, void, get, 1, i64, int64(3), wasmbin.OpI64Add, set, 1,
				get, 2, get, 1, f32OfI64, wasmbin.Opcode(0x92), set, 2, get, 3, get, 2, f64OfF32, wasmbin.Opcode(0xa0), set, 3, get, 4, get, 0, splat, vadd, set, 4,
				get, 0, i32, 1, sub, tee, 0, brIf, 0, end,
				get, 3, i32OfF64, get, 4, wasmbin.Vector(27), 1, add)}}}, []uint64{4}, []uint64{60 + 10},
			w(loop, end, get, i32OfF64, get, wasmbin.Vector(27), add, end) + 4*(round+w(get, i64, wasmbin.OpI64Add, set,
				get, get, f32OfI64, 0x92, set, get, get, f64OfF32, 0xa0, set, get, get, splat, vadd, set, end))},
		"a leaf": {building{hide: true, noTable: true, functions: []fn{{params: inside, results: types(i32t), code: ops(get, 0, get, 1, add)},
			{results: types(i32t), code: ops(i32, 1, i32, 2, call, 0)}}}, nil, []uint64{3}, w(i32, i32, call, end) + 3 + w(get, get, add, end)},
		"a leaf of leaves": {building{hide: true, noTable: true, functions: []fn{{code: ops(i32, 1, drop)}, {code: ops(call, 0, call, 0)},
			{code: ops(call, 1)}}}, nil, nil, w(call, end) + w(call, call, end) + 2*w(i32, drop, end)},
		"no leaf: exported": {building{noTable: true, functions: []fn{{code: ops(i32, 1, drop)}, {code: ops(call, 0)}}}, nil, nil,
			w(call, end) + w(i32, drop, end)},
		"a call not made": {building{noTable: true, hide: true, functions: []fn{{code: ops(i32, 1, drop)}, {code: ops(i32, 0, if_, void, call, 0, end)}}}, nil, nil,
			w(i32, if_, call, end, end) + w(i32, drop, end)},
		"by table": {building{functions: []fn{{params: inside, results: types(i32t), code: ops(get, 0, get, 1, add)},
			{results: types(i32t), code: ops(i32, 1, i32, 2, i32, 0, indirect, 0, 0)}}}, nil, []uint64{3}, w(i32, i32, i32, indirect, end) + 3 + w(get, get, add, end)},
		"imported": {building{imports: []wasmbin.FuncType{{Params: inside, Results: types(i32t)}}, functions: []fn{
			{code: ops(i32, 1, i32, 2, call, 0, drop)}}}, nil, nil, w(i32, i32, call, drop, end) + 3 + rewrite.ImportWeight},
		"imported by table": {building{imports: []wasmbin.FuncType{{}}, functions: []fn{{code: ops(i32, 5, indirect, 0, 0)}}, change: inTable(5, 0)}, nil, nil,
			w(i32, indirect, end) + rewrite.ImportWeight},
		"branch with values": {building{functions: []fn{{results: types(i32t), code: ops(block, i32t, i32, 1, i32, 1, brIf, 0, end)}}}, nil, []uint64{1},
			w(block, i32, i32, brIf, end, end) + 2},
		"branch to the function": {building{functions: []fn{{results: types(i32t), code: ops(i32, 7, i32, 0, brTable, 1, 0, 0)}}}, nil, []uint64{7},
			w(i32, i32, brTable, end) + 1},
		"memory.fill":    {building{functions: []fn{{code: ops(i32, 0, i32, 7, i32, 807, fill, 0)}}}, nil, nil, w(i32, i32, i32, fill, end) + 807/rewrite.BytesPerUnit},
		"memory.copy":    {building{functions: []fn{{code: ops(i32, 0, i32, 7, i32, 8, copy_, 0, 0)}}}, nil, nil, w(i32, i32, i32, copy_, end) + 8/rewrite.BytesPerUnit},
		"memory.init":    {building{functions: []fn{{code: ops(i32, 0, i32, 7, i32, 900, minit, 0, 0)}}}, nil, nil, w(i32, i32, i32, minit, end) + 900/rewrite.BytesPerUnit},
		"nothing filled": {building{functions: []fn{{code: ops(i32, 0, i32, 7, i32, 0, fill, 0)}}}, nil, nil, w(i32, i32, i32, fill, end)},
		"table.copy":     {building{functions: []fn{{code: ops(i32, 0, i32, 0, i32, 5, tcopy, 0, 0)}}}, nil, nil, w(i32, i32, i32, tcopy, end) + 5},
		"memory.grow":    {building{functions: []fn{{results: types(i32t), code: ops(i32, 3, grow, 0)}}}, nil, []uint64{1}, w(i32, grow, end) + 3*rewrite.UnitsPerPage},
		"never grown":    {building{functions: []fn{{results: types(i32t), code: ops(i32, 65537, grow, 0)}}}, nil, []uint64{1<<32 - 1}, w(i32, grow, end)},
		"much grown":     {building{functions: []fn{{results: types(i32t), code: ops(i32, 65536, grow, 0)}}}, nil, []uint64{1<<32 - 1}, w(i32, grow, end) + 65536*rewrite.UnitsPerPage},
		"counted": {building{functions: []fn{{params: types(i32t), results: inside, code: ops(
			get, 0, eqz, if_, void, i32, 1, i32, 2, ret, end, block, void, i32, 3, i32, 4, get, 0, i32, 9, wasmbin.OpI32Eq, brIf, 1, drop, drop, end, get, 0, i32, 1, sub, call, 0)}}},
			[]uint64{4}, []uint64{1, 2}, 5 * (w(get, eqz, if_, i32, i32, ret, end, block, i32, i32, get, i32, wasmbin.OpI32Eq, brIf, drop, drop, end, get, i32, sub, call, end) + 2 + 2 + 3)},
	} {
		for engine, config := range engines {
			t.Run(name+"/"+engine, func(t *testing.T) {
				wasm := c.module.wasm()
				plain, err := start(t, config, wasm, rewrite.Options{})
				require.NoError(t, err)
				r, err := start(t, config, wasm, metered)
				require.NoError(t, err)
				before, _, err := plain.call(0, last(plain), c.params...)
				require.NoError(t, err)
				after, used, err := r.call(0, last(r), c.params...)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(c.results), fmt.Sprint(after))
				require.Equal(t, before, after)
				require.Equal(t, c.fuel, used)
				require.Equal(t, uint64(rewrite.DepthLimit), r.depth.Get(), "what was taken is given back")

				// The same with the hook at every turn.
				again, err := start(t, config, wasm, metered)
				require.NoError(t, err)
				again.slice = 0
				after, used, err = again.call(0, last(r), c.params...)
				require.NoError(t, err)
				require.Equal(t, before, after)
				require.Equal(t, c.fuel, used)
			})
		}
	}
}

// types0 replaces the type of number 0, which no function of the test has.
func types0(params, results []wasmbin.ValueType) func(*wasmbin.Module) {
	return func(m *wasmbin.Module) {
		all, _ := wasmbin.Items(m, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
		n := uint32(len(all))
		wasmbin.SetItems(m, wasmbin.SectionType, append([]wasmbin.FuncType{{Params: params, Results: results}}, all...))
		functions := make([]wasmbin.Index, n)
		for i := range functions {
			functions[i] = wasmbin.Index(i + 1)
		}
		wasmbin.SetItems(m, wasmbin.SectionFunction, functions)
	}
}

// inTable puts a function into the table.
func inTable(at int32, function uint32) func(*wasmbin.Module) {
	return func(m *wasmbin.Module) {
		var offset wasmbin.Code
		offset.I32(at)
		all, _ := wasmbin.Items(m, wasmbin.SectionElement, (*wasmbin.Reader).Elements)
		wasmbin.SetItems(m, wasmbin.SectionElement, append(all, wasmbin.Elements{Offset: offset.Expression(), Functions: []uint32{function}}))
	}
}

// What an imported function takes is not lost, in a loop that does nothing else either.
func TestImportsTakeFuel(t *testing.T) {
	const rounds, takes = 10, 1000
	b := building{imports: []wasmbin.FuncType{{}}, functions: []fn{{params: types(wasmbin.I32), code: ops(
		wasmbin.OpLoop, wasmbin.NoResult, wasmbin.OpCall, 0,
		wasmbin.OpLocalGet, 0, wasmbin.OpI32Const, 1, wasmbin.OpI32Sub, wasmbin.OpLocalTee, 0, wasmbin.OpBrIf, 0, wasmbin.OpEnd)}}}
	for name, config := range engines {
		for _, slice := range []int64{1, 16, 777, 1 << 20} {
			r, err := start(t, config, b.wasm(), rewrite.Options{Meter: true})
			require.NoError(t, err)
			r.slice = slice
			_, without, err := r.call(0, "f0", rounds)
			require.NoError(t, err)
			r.takes = takes
			_, with, err := r.call(0, "f0", rounds)
			require.NoError(t, err)
			require.EqualValues(t, rounds*takes, with-without, "%s, slices of %d", name, slice)
		}
	}
}
