package rewrite_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

var movable = rewrite.Options{Movable: true}

// number is a global with a value of its own.
func number(t wasmbin.ValueType, mutable bool, value int64) wasmbin.Global {
	var c wasmbin.Code
	switch t {
	case wasmbin.I32:
		c.I32(int32(value))
	case wasmbin.I64:
		c.I64(value)
	case wasmbin.F32:
		c = append(wasmbin.OpF32Const.Append(c), byte(value), 0, 0, 0)
	case wasmbin.F64:
		c = append(wasmbin.OpF64Const.Append(c), byte(value), 0, 0, 0, 0, 0, 0, 0)
	case wasmbin.V128:
		c = append(wasmbin.OpV128Const.Append(c), make([]byte, 16)...)
	case wasmbin.FuncRef:
		c = append(wasmbin.OpRefNull.Append(c), byte(wasmbin.FuncRef))
	}
	return wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: t, Mutable: mutable}, Init: c.Expression()}
}

// stateful is a module that keeps state of each kind that can be moved.
func stateful(change func(m *wasmbin.Module)) []byte {
	return (&building{
		functions: []fn{{}, {results: types(wasmbin.I32), params: types(wasmbin.I32), code: ops(get, 0, wasmbin.OpMemoryGrow, 0)}},
		change: func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Flags: wasmbin.HasMax, Min: 1, Max: 3}}})
			wasmbin.SetItems(m, wasmbin.SectionGlobal, []wasmbin.Global{
				number(wasmbin.I32, true, 1), number(wasmbin.I64, false, 2), number(wasmbin.I64, true, 3),
				number(wasmbin.F32, true, 4), number(wasmbin.V128, false, 0), number(wasmbin.F64, true, 5),
			})
			exports, _ := wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
			wasmbin.SetItems(m, wasmbin.SectionExport, append(exports, wasmbin.Export{Name: "memory", Kind: wasmbin.KindMemory}))
			if change != nil {
				change(m)
			}
		}}).wasm()
}

// A host can read and set each global that changes, by its number, whatever else is added.
func TestMovableGlobals(t *testing.T) {
	for name, o := range map[string]rewrite.Options{
		"alone":        movable,
		"metered":      {Movable: true, Meter: true},
		"with all":     {Movable: true, Meter: true, MergeData: true, Entry: "f0 f1"},
		"by the entry": {Movable: true, Entry: "f0"},
	} {
		t.Run(name, func(t *testing.T) {
			wasm, report, err := rewrite.Module(stateful(nil), o)
			require.NoError(t, err)
			require.Empty(t, report.Fixed)
			require.Equal(t, []uint32{0, 2, 3, 5}, report.Movable, "the counters are no state")
			require.EqualValues(t, 3, report.MaxMemory)
			r, err := start(t, compiler(), stateful(nil), o)
			require.NoError(t, err)
			inside := r.module.(experimental.InternalModule)
			for i, index := range report.Movable {
				g := r.module.ExportedGlobal(rewrite.GlobalExport(index)).(api.MutableGlobal)
				require.Equal(t, inside.Global(int(index)).Get(), g.Get())
				require.Equal(t, []uint64{1, 3, 4, 5}[i], g.Get())
				for _, v := range []uint64{0x7fa00001, 0x80000000, 0} { // a signalling NaN, among others
					g.Set(v)
					require.Equal(t, v, inside.Global(int(index)).Get())
				}
			}
			require.Nil(t, r.module.ExportedGlobal(rewrite.GlobalExport(1)), "it cannot change")
			added := 0
			for export := range exportNames(t, wasm) {
				if strings.HasPrefix(export, rewrite.GlobalExport(0)[:len(rewrite.GlobalExport(0))-1]) {
					added++
				}
			}
			require.Equal(t, len(report.Movable), added)
		})
	}
}

func exportNames(t testing.TB, wasm []byte) map[string]bool {
	t.Helper()
	m, err := wasmbin.Parse(wasm)
	require.NoError(t, err)
	exports, err := wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, e := range exports {
		require.False(t, names[e.Name], "%s twice", e.Name)
		names[e.Name] = true
	}
	return names
}

// pageLimit is an allocator that holds the maximum that a module declared.
type pageLimit struct {
	memory []byte
	most   uint64
}

func (p *pageLimit) Allocate(_, _ uint64) experimental.LinearMemory { return p }
func (p *pageLimit) Free()                                          {}
func (p *pageLimit) Reallocate(size uint64) []byte {
	if size > p.most {
		return nil
	}
	p.memory = append(p.memory, make([]byte, int(size)-len(p.memory))...)
	return p.memory
}

// A module without the maximum that it declared sees the same, if the host holds it; and
// the host's own Grow comes through even there.
func TestMaximumOfMemoryIsTheHosts(t *testing.T) {
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			grow := func(o rewrite.Options) (results []uint64, last bool) {
				wasm, report, err := rewrite.Module(stateful(nil), o)
				require.NoError(t, err)
				limit := &pageLimit{most: 3 * pageSize}
				if o.Movable {
					limit.most = uint64(report.MaxMemory) * pageSize
				}
				with := experimental.WithMemoryAllocator(ctx, limit)
				r := wazero.NewRuntimeWithConfig(ctx, engine.WithCoreFeatures(features))
				defer r.Close(ctx)
				mod, err := r.Instantiate(with, wasm)
				require.NoError(t, err)
				for _, pages := range []uint64{0, 1, 2, 1, 1, 0, 1 << 31} {
					got, err := mod.ExportedFunction("f1").Call(context.Background(), pages)
					require.NoError(t, err)
					results = append(results, uint64(uint32(got[0])))
				}
				limit.most = 4 * pageSize // the host lets itself in
				_, last = mod.Memory().Grow(1)
				return results, last
			}
			want, last := grow(rewrite.Options{})
			require.False(t, last, "which is why it is lifted")
			failed := uint64(0xffffffff)
			require.Equal(t, []uint64{1, 1, failed, 2, failed, 3, failed}, want)
			got, last := grow(movable)
			require.Equal(t, want, got)
			require.True(t, last)
		})
	}
}

// A memory without a maximum may have all pages.
func TestNoMaximum(t *testing.T) {
	wasm := stateful(func(m *wasmbin.Module) {
		wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Min: 1}}})
	})
	_, report, err := rewrite.Module(wasm, movable)
	require.NoError(t, err)
	require.EqualValues(t, 1<<16, report.MaxMemory)
}

// What cannot be moved stays as it is without the option, and the report says why.
func TestFixed(t *testing.T) {
	one := wasmbin.Memory{Limits: wasmbin.Limits{Min: 1, Max: 1, Flags: wasmbin.HasMax}}
	memories := func(list ...wasmbin.Memory) func(*wasmbin.Module) {
		return func(m *wasmbin.Module) { wasmbin.SetItems(m, wasmbin.SectionMemory, list) }
	}
	globals := func(list ...wasmbin.Global) func(*wasmbin.Module) {
		return func(m *wasmbin.Module) { wasmbin.SetItems(m, wasmbin.SectionGlobal, list) }
	}
	imports := func(i wasmbin.Import) func(*wasmbin.Module) {
		return func(m *wasmbin.Module) {
			i.Module, i.Name = "env", "x"
			wasmbin.SetItems(m, wasmbin.SectionImport, []wasmbin.Import{i})
		}
	}
	code := func(c wasmbin.Code) func(*wasmbin.Module) {
		return func(m *wasmbin.Module) {
			bodies, _ := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
			bodies[0] = c.Body()
			wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
		}
	}
	zeros := ops(i32, 0, i32, 0, i32, 0)
	flags := func(f byte) wasmbin.Memory {
		return wasmbin.Memory{Limits: wasmbin.Limits{Min: 1, Max: 2, Flags: wasmbin.HasMax | f}}
	}
	for name, c := range map[string]struct {
		change func(*wasmbin.Module)
		why    string
	}{
		"no memory":         {memories(), "it has 0 memories of its own: must have one"},
		"two memories":      {memories(one, one), "it has 2 memories of its own: must have one"},
		"imported memory":   {imports(wasmbin.Import{Kind: wasmbin.KindMemory, Memory: one}), `it imports its memory, "x" of "env"`},
		"shared memory":     {memories(flags(wasmbin.Shared)), "its memory is shared between threads"},
		"wide memory":       {memories(flags(wasmbin.Is64)), "its memory has addresses of 64 bits"},
		"imported table":    {imports(wasmbin.Import{Kind: wasmbin.KindTable, Table: wasmbin.Table{Type: wasmbin.FuncRef}}), `it imports the table "x" of "env"`},
		"imported global":   {imports(wasmbin.Import{Kind: wasmbin.KindGlobal, Global: wasmbin.GlobalType{Type: wasmbin.I32, Mutable: true}}), `it imports the mutable global "x" of "env"`},
		"a vector":          {globals(number(wasmbin.I32, true, 0), number(wasmbin.V128, true, 0)), "the global 1 is a mutable v128: must be a number"},
		"a reference":       {globals(number(wasmbin.FuncRef, true, 0)), "the global 0 is a mutable funcref: must be a number"},
		"too many globals":  {globals(many(rewrite.MaxMovable + 1)...), "it has 129 mutable globals: must have at most 128"},
		"memory.init":       {code(append(zeros, ops(wasmbin.OpMemoryInit, 0, 0)...)), "function 0 of its own has the instruction memory.init, which changes a table or a segment"},
		"data.drop":         {code(ops(wasmbin.OpDataDrop, 0)), "data.drop"},
		"table.init":        {code(append(zeros, ops(wasmbin.OpTableInit, 0, 0)...)), "table.init"},
		"table.copy":        {code(append(zeros, ops(wasmbin.OpTableCopy, 0, 0)...)), "table.copy"},
		"elem.drop":         {code(ops(wasmbin.OpElemDrop, 0)), "elem.drop"},
		"table.grow":        {code(ops(wasmbin.OpTableGrow, 0)), "changes a table"},
		"table.fill":        {code(ops(wasmbin.OpTableFill, 0)), "changes a table"},
		"in many bytes":     {code(append(zeros, append([]byte{0xfc, 0x80 | 14, 0x80, 0}, 0, 0)...)), "table.copy"},
		"after another":     {code(append(ops(i32, -4, drop, i32, 0, i32, 0, i32, 0, wasmbin.OpMemoryFill, 0), ops(wasmbin.OpElemDrop, 0)...)), "elem.drop"},
		"in code unreached": {code(ops(ret, wasmbin.OpElemDrop, 0)), "elem.drop"},
	} {
		t.Run(name, func(t *testing.T) {
			before := stateful(c.change)
			after, report, err := rewrite.Module(before, movable)
			require.NoError(t, err)
			require.Contains(t, report.Fixed, c.why)
			require.Empty(t, report.Movable)
			require.Zero(t, report.MaxMemory)
			require.Equal(t, before, after)
			// As without the option.
			for _, o := range []rewrite.Options{{Meter: true}, {MergeData: true, Entry: "f0 f1"}} {
				want, _, wantErr := rewrite.Module(before, o)
				o.Movable = true
				got, report, err := rewrite.Module(before, o)
				require.Equal(t, wantErr, err)
				require.True(t, bytes.Equal(want, got))
				if err == nil {
					require.Contains(t, report.Fixed, c.why)
				}
			}
		})
	}
}

func many(n int) (list []wasmbin.Global) {
	for range n {
		list = append(list, number(wasmbin.I64, true, 0))
	}
	return list
}

// The one instruction that changes a table and has another prefix cannot be read yet: when
// it can, it belongs to those that are looked for.
func TestTablesAreNotSet(t *testing.T) {
	require.Equal(t, wasmbin.LayoutUnread, wasmbin.OpTableSet.Layout())
}

// What does not change is no state: imported constants, constants of any type, tables that
// are only read, segments that are written once.
func TestNotFixed(t *testing.T) {
	wasm := stateful(func(m *wasmbin.Module) {
		wasmbin.SetItems(m, wasmbin.SectionImport, []wasmbin.Import{{Module: "env", Name: "x", Kind: wasmbin.KindGlobal, Global: wasmbin.GlobalType{Type: wasmbin.I32}}})
		wasmbin.SetItems(m, wasmbin.SectionGlobal, append(many(rewrite.MaxMovable), number(wasmbin.V128, false, 0), number(wasmbin.FuncRef, false, 0)))
	})
	_, report, err := rewrite.Module(wasm, movable)
	require.NoError(t, err)
	require.Empty(t, report.Fixed)
	require.Len(t, report.Movable, rewrite.MaxMovable)
	require.EqualValues(t, 1, report.Movable[0], "an imported global has a number, too")
}

// An invalid module stays invalid: a maximum that no memory has would be gone.
func TestMovableKeepsInvalid(t *testing.T) {
	for name, change := range map[string]func(*wasmbin.Module){
		"a maximum beyond all memories": func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Flags: wasmbin.HasMax, Min: 1, Max: 1<<16 + 1}}})
		},
		"a maximum below the minimum": func(m *wasmbin.Module) {
			m.Set(wasmbin.SectionMemory, []byte{1, wasmbin.HasMax, 2, 1})
		},
		"code that ends early": func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionCode, []wasmbin.Body{{0, 0x41}, {0, 0x0b}})
		},
		"a global that no module has": func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: "g", Kind: wasmbin.KindGlobal, Index: 6}})
		},
		"an export that is reserved": func(m *wasmbin.Module) {
			wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: rewrite.GlobalExport(0), Kind: wasmbin.KindGlobal}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			wasm := stateful(change)
			out, _, err := rewrite.Module(wasm, movable)
			if err == nil {
				_, err = newRuntime().CompileModule(ctx, out)
			}
			require.Error(t, err)
		})
	}
}

// Guests that toolchains make can be moved, and each has few globals.
func TestGuestsAreMovable(t *testing.T) {
	for name, wasm := range guests(t) {
		t.Run(name, func(t *testing.T) {
			out, report, err := rewrite.Module(wasm, movable)
			require.NoError(t, err)
			require.Empty(t, report.Fixed)
			require.NotEmpty(t, report.Movable)
			require.LessOrEqual(t, len(report.Movable), 20)
			require.Less(t, len(out), len(wasm)+1000)
			_, err = newRuntime().CompileModule(ctx, out)
			require.NoError(t, err)
			t.Log(fmt.Sprint(report.Movable, report.MaxMemory))
		})
	}
}

func BenchmarkMovable(b *testing.B) {
	wasm := guests(b)["memory"]
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := rewrite.Module(wasm, movable); err != nil {
			b.Fatal(err)
		}
	}
}
