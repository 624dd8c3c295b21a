package rewrite_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

var metered = rewrite.Options{Meter: true}

// Whatever never ends by itself is ended, and has used no more than its budget and what
// lies between two checks.
func TestEndless(t *testing.T) {
	one := func(c wasmbin.Code) []byte {
		return single(fn{locals: []wasmbin.Locals{{Count: 2, Type: wasmbin.I32}, {Count: 1, Type: wasmbin.F64}, {Count: 1, Type: wasmbin.F32}, {Count: 1, Type: wasmbin.V128}}, code: c})
	}
	for name, wasm := range map[string][]byte{
		"loop":                  one(ops(loop, void, br, 0, end)),
		"branch":                one(ops(loop, void, i32, 1, brIf, 0, end)),
		"through blocks":        one(ops(loop, void, block, void, block, void, br, 2, end, end, end)),
		"nested":                one(ops(loop, void, loop, void, i32, 0, brIf, 0, end, br, 0, end)),
		"table":                 one(ops(loop, void, i32, 5, brTable, 2, 0, 0, 0, end)),
		"table to outer":        one(ops(loop, void, loop, void, i32, 1, brTable, 1, 0, 1, end, end)),
		"parameters":            one(ops(i32, 1, i64, int64(2), loop, 1, br, 0, end, drop, drop)),
		"in if":                 one(ops(i32, 1, if_, void, loop, void, br, 0, end, end)),
		"in else":               one(ops(i32, 0, if_, void, els, loop, void, br, 0, end, end)),
		"behind a branch":       one(ops(block, void, br, 0, loop, void, br, 0, end, end, loop, void, br, 0, end)),
		"counting":              one(ops(loop, void, get, 0, i32, 1, add, set, 0, get, 2, set, 2, get, 3, set, 3, get, 4, set, 4, br, 0, end)),
		"numbers on the stack":  one(ops(i32, 1, loop, void, br, 0, end, drop)),
		"filling":               one(ops(loop, void, i32, 0, i32, 0, i32, 60000, wasmbin.OpMemoryFill, 0, br, 0, end)),
		"copying":               one(ops(loop, void, i32, 0, i32, 1, i32, 60000, wasmbin.OpMemoryCopy, 0, 0, br, 0, end)),
		"copying tables":        one(ops(loop, void, i32, 0, i32, 0, i32, 9, wasmbin.OpTableCopy, 0, 0, br, 0, end)),
		"growing by nothing":    one(ops(loop, void, i32, 0, wasmbin.OpMemoryGrow, 0, drop, br, 0, end)),
		"growing by too much":   one(ops(loop, void, i32, -1, wasmbin.OpMemoryGrow, 0, drop, br, 0, end)),
		"calling a leaf":        (&building{hide: true, noTable: true, functions: []fn{{code: ops(i32, 1, drop)}, {code: ops(loop, void, call, 0, br, 0, end)}}}).wasm(),
		"calling what is empty": (&building{hide: true, noTable: true, functions: []fn{{}, {code: ops(loop, void, call, 0, br, 0, end)}}}).wasm(),
		"calling":               (&building{functions: []fn{{}, {code: ops(loop, void, call, 0, br, 0, end)}}}).wasm(),
		"calling by table":      (&building{functions: []fn{{}, {code: ops(loop, void, i32, 0, indirect, 0, 0, br, 0, end)}}}).wasm(),
		"wide, 31 deep":         wide(31, false),
		"wide by table":         wide(31, true),
	} {
		for engine, config := range engines {
			t.Run(name+"/"+engine, func(t *testing.T) {
				if name == "parameters" {
					wasm = withBlockType(wasm, wasmbin.FuncType{Params: types(wasmbin.I32, wasmbin.I64), Results: types(wasmbin.I32, wasmbin.I64)})
				}
				r, err := start(t, config, wasm, metered)
				require.NoError(t, err)
				const budget = 5 * slice
				_, used, err := r.call(budget, last(r))
				require.ErrorIs(t, err, errFuel)
				require.Greater(t, used, int64(budget))
				require.Less(t, used, int64(budget+slice+1<<17), "a slice, and what lies between two checks")
				require.GreaterOrEqual(t, r.hooks, 3)
			})
		}
	}
}

// last is the name of the last exported function.
func last(r *run) (name string) {
	for n := range r.module.ExportedFunctionDefinitions() {
		if len(n) > len(name) || len(n) == len(name) && n > name {
			name = n
		}
	}
	return name
}

// wide is a module without a loop: functions that call the one below twice.
func wide(deep int, byTable bool) []byte {
	b := &building{functions: []fn{{}}}
	for i := range deep {
		c := ops(call, i, call, i)
		if byTable {
			c = ops(i32, i, indirect, 0, 0, i32, i, indirect, 0, 0)
		}
		b.functions = append(b.functions, fn{code: c})
	}
	return b.wasm()
}

// withBlockType adds a type as number 1, which blocks of a test may have.
func withBlockType(wasm []byte, t wasmbin.FuncType) []byte {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		panic(err)
	}
	all, err := wasmbin.Items(m, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	if err != nil {
		panic(err)
	}
	wasmbin.SetItems(m, wasmbin.SectionType, append(all, t))
	return m.Append(nil)
}
