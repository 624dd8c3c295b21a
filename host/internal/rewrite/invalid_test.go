package rewrite_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// A module that refers to what the rewriter would add is refused. It is not valid as it
// was, and must not become so.
func TestNothingRefersToWhatIsAdded(t *testing.T) {
	i64s := types(wasmbin.I64)
	expression := func(op wasmbin.Opcode, n uint32) wasmbin.Expression {
		var c wasmbin.Code
		c.Op(op, n)
		return c.Expression()
	}
	// Two functions, one global, two types: what is added is function 2, globals 1 and
	// 2, and perhaps type 2.
	with := func(c wasmbin.Code, change func(m *wasmbin.Module)) []byte {
		return (&building{functions: []fn{{results: i64s, code: ops(i64, int64(1))}, {code: c}}, globals: i64s, change: change}).wasm()
	}
	at := func(section byte, items ...wasmbin.Item) func(m *wasmbin.Module) {
		return func(m *wasmbin.Module) { wasmbin.SetItems(m, section, items) }
	}
	var zero wasmbin.Code
	zero.I32(0)
	offset := zero.Expression()
	global := wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: wasmbin.I64}, Init: expression(wasmbin.OpGlobalGet, 2)}
	for name, wasm := range map[string][]byte{
		"fuel read":              with(ops(globalGet, 1, drop), nil),
		"fuel written":           with(ops(i64, int64(1<<60), globalSet, 1), nil),
		"depth written":          with(ops(i64, int64(1<<60), globalSet, 2), nil),
		"hook called":            with(ops(call, 2), nil),
		"hook by reference":      with(ops(wasmbin.OpRefFunc, 2, drop), nil),
		"hook exported":          with(nil, at(wasmbin.SectionExport, wasmbin.Export{Name: "f", Kind: wasmbin.KindFunction, Index: 2})),
		"fuel exported":          with(nil, at(wasmbin.SectionExport, wasmbin.Export{Name: "f", Kind: wasmbin.KindGlobal, Index: 1})),
		"depth exported":         with(nil, at(wasmbin.SectionExport, wasmbin.Export{Name: "f", Kind: wasmbin.KindGlobal, Index: 2})),
		"hook started":           with(nil, func(m *wasmbin.Module) { m.Set(wasmbin.SectionStart, []byte{2}) }),
		"hook in the table":      with(nil, at(wasmbin.SectionElement, wasmbin.Elements{Offset: offset, Functions: []uint32{2}})),
		"hook in an expression":  with(nil, at(wasmbin.SectionElement, wasmbin.Elements{Mode: 4, Offset: offset, Expressions: []wasmbin.Expression{expression(wasmbin.OpRefFunc, 2)}})),
		"table at fuel":          with(nil, at(wasmbin.SectionElement, wasmbin.Elements{Offset: expression(globalGet, 1), Functions: []uint32{1}})),
		"data at fuel":           with(nil, at(wasmbin.SectionData, wasmbin.Data{Offset: expression(globalGet, 1)})),
		"global begins as depth": with(nil, at(wasmbin.SectionGlobal, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: wasmbin.I64}, Init: offset}, global)),
		"type of a block":        with(ops(block, 2, end), nil),
		"type of a call":         with(ops(i32, 0, indirect, 2, 0), nil),
		"type of a function":     with(nil, at(wasmbin.SectionFunction, wasmbin.Index(0), wasmbin.Index(2))),
		"type of an import": with(nil, func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionImport, []wasmbin.Import{{Module: "a", Name: "b", Type: 7}})
		}),
		"local":                  with(ops(get, 0, drop), nil),
		"local for lengths":      with(ops(i32, 0, i32, 0, i32, 0, wasmbin.OpMemoryFill, 0, i32, 5, set, 0), nil),
		"local for fuel":         with(ops(loop, void, i64, int64(9), set, 0, i32, 1, brIf, 0, end), nil),
		"label around the body":  with(ops(call, 1, i32, 1, brIf, 1), nil),
		"label in a table":       with(ops(call, 1, i32, 1, brTable, 1, 1, 0), nil),
		"label behind the block": with(ops(block, void, br, 2, end, call, 1), nil),
		"code behind the end":    with(ops(end, call, 0), nil),
		"code without a body": func() []byte {
			m, _ := wasmbin.Parse(with(nil, nil))
			bodies, _ := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
			wasmbin.SetItems(m, wasmbin.SectionCode, bodies[:1])
			return m.Append(nil)
		}(),
		"the hook's body given": func() []byte {
			m, _ := wasmbin.Parse(with(nil, nil))
			bodies, _ := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
			wasmbin.SetItems(m, wasmbin.SectionCode, append(bodies, bodies[1]))
			return m.Append(nil)
		}(),
		"two code sections": func() []byte {
			m, _ := wasmbin.Parse(with(nil, nil))
			m.Sections = append(m.Sections, *m.Section(wasmbin.SectionCode))
			return m.Append(nil)
		}(),
		"sections out of order": func() []byte {
			m, _ := wasmbin.Parse(with(nil, nil))
			n := len(m.Sections)
			m.Sections[n-1], m.Sections[n-2] = m.Sections[n-2], m.Sections[n-1]
			return m.Append(nil)
		}(),
		"an unknown instruction": with(ops(wasmbin.Opcode(0x12), 0), nil),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newRuntime().CompileModule(ctx, wasm)
			require.Error(t, err, "the module is not valid")
			_, _, err = rewrite.Module(wasm, metered)
			require.ErrorIs(t, err, wasmbin.ErrMalformed)
			_, _, err = rewrite.Module(wasm, rewrite.Options{Meter: true, Movable: true})
			require.ErrorIs(t, err, wasmbin.ErrMalformed)
			out, _, err := rewrite.Module(wasm, movable) // which adds nothing that has a number
			if err == nil {
				_, err = newRuntime().CompileModule(ctx, out)
			}
			require.Error(t, err)
		})
	}
}

// Code that is not valid for another reason is not valid afterwards.
func TestInvalidStaysInvalid(t *testing.T) {
	i32s := types(wasmbin.I32)
	for name, f := range map[string]fn{
		"a value too many":        {code: ops(i32, 1, call, 0, i32, 1, drop)},
		"a value too few":         {results: i32s, code: ops(call, 0, drop)},
		"another type":            {results: i32s, code: ops(call, 0, drop, i64, int64(1))},
		"branch without a value":  {results: i32s, code: ops(br, 0, call, 0)},
		"return without a value":  {results: i32s, code: ops(i32, 1, if_, void, ret, end, call, 0)},
		"an else of no if":        {code: ops(call, 0, els)},
		"else in a loop":          {code: ops(loop, void, br, 0, els, end)},
		"a loop's parameter":      {code: ops(loop, wasmbin.I32, br, 0, end)},
		"length of another type":  {code: ops(i32, 0, i32, 0, i64, int64(0), wasmbin.OpMemoryFill, 0)},
		"length missing":          {code: ops(i32, 0, i32, 0, wasmbin.OpMemoryFill, 0)},
		"index of another type":   {code: ops(i64, int64(0), indirect, 0, 0)},
		"alignment":               {code: ops(i32, 0, wasmbin.OpI32Load, 3, 0, drop)},
		"operand from outside":    {code: ops(i32, 1, loop, void, drop, br, 0, end)},
		"table of other arities":  {results: i32s, code: ops(block, void, i32, 1, i32, 0, brTable, 1, 0, 1, end, call, 0)},
		"a local of another type": {locals: sizes(1, wasmbin.I64), code: ops(loop, void, get, 0, i32, 1, add, set, 0, br, 0, end)},
	} {
		t.Run(name, func(t *testing.T) {
			wasm := single(f)
			_, err := newRuntime().CompileModule(ctx, wasm)
			require.Error(t, err, "the module is not valid")
			for _, o := range []rewrite.Options{metered, movable, {Meter: true, Movable: true}} {
				out, _, err := rewrite.Module(wasm, o)
				if err == nil {
					_, err = newRuntime().CompileModule(ctx, out)
				}
				require.Error(t, err)
			}
		})
	}
}

func TestReservedNames(t *testing.T) {
	for _, name := range []string{rewrite.FuelExport, rewrite.DepthExport, rewrite.GlobalExport(0), rewrite.ReservedPrefix + "x"} {
		wasm := (&building{functions: []fn{{}}, change: func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: name}})
		}}).wasm()
		_, _, err := rewrite.Module(wasm, metered)
		require.ErrorIs(t, err, rewrite.ErrReserved)
		require.ErrorContains(t, err, name)
	}
}
