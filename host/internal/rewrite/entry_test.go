package rewrite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// signature makes a type of letters: i is an i32, I an i64, f an f32, v a vector.
func signature(params, results string) (t wasmbin.FuncType) {
	types := map[rune]wasmbin.ValueType{'i': wasmbin.I32, 'I': wasmbin.I64, 'f': wasmbin.F32, 'v': wasmbin.V128}
	for _, p := range params {
		t.Params = append(t.Params, types[p])
	}
	for _, r := range results {
		t.Results = append(t.Results, types[r])
	}
	return t
}

const (
	i64Mul     wasmbin.Opcode = 0x7e
	i64Add     wasmbin.Opcode = 0x7c
	i64ExtendS wasmbin.Opcode = 0xac
	i32WrapI64 wasmbin.Opcode = 0xa7
)

// mixed is a module whose exports f0, f1 … each return a number made of all their
// parameters and of their own number.
func mixed(types ...wasmbin.FuncType) *wasmbin.Module {
	m := new(wasmbin.Module)
	var functions []wasmbin.Index
	var exports []wasmbin.Export
	var bodies []wasmbin.Body
	for i, t := range types {
		var c wasmbin.Code
		c.I64(int64(i) + 1)
		for j, p := range t.Params {
			c.I64(31)
			c.Op(i64Mul)
			c.Op(wasmbin.OpLocalGet, uint32(j))
			if p == wasmbin.I32 {
				c.Op(i64ExtendS)
			}
			c.Op(i64Add)
		}
		switch {
		case len(t.Results) == 0:
			c.Op(wasmbin.OpGlobalSet, 0)
		case t.Results[0] == wasmbin.I32:
			c.Op(i32WrapI64)
		}
		functions = append(functions, wasmbin.Index(i))
		exports = append(exports, wasmbin.Export{Name: fmt.Sprint("f", i), Index: uint32(i)})
		bodies = append(bodies, c.Body())
	}
	var zero wasmbin.Code
	zero.I64(0)
	wasmbin.SetItems(m, wasmbin.SectionType, types)
	wasmbin.SetItems(m, wasmbin.SectionFunction, functions)
	wasmbin.SetItems(m, wasmbin.SectionGlobal, []wasmbin.Global{{
		GlobalType: wasmbin.GlobalType{Type: wasmbin.I64, Mutable: true}, Init: zero.Expression(),
	}})
	wasmbin.SetItems(m, wasmbin.SectionExport, append(exports, wasmbin.Export{Name: "last", Kind: wasmbin.KindGlobal}))
	wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
	return m
}

// instantiate brings up a module until the end of the test.
func instantiate(t testing.TB, engine wazero.RuntimeConfig, wasm []byte) api.Module {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, engine)
	t.Cleanup(func() { _ = r.Close(ctx) })
	mod, err := r.Instantiate(ctx, wasm)
	require.NoError(t, err)
	return mod
}

// By its number, an export does and returns what it does when it is called itself.
func TestEntryCallsExports(t *testing.T) {
	types := []wasmbin.FuncType{
		signature("", ""), signature("", "i"), signature("", "I"), signature("i", "i"), signature("I", "I"),
		signature("iiiiIII", "I"), signature("iI", ""), signature("IIIIIII", "i"), signature("Ii", "I"), signature("iI", ""),
	}
	plain := mixed(types...).Append(nil)
	names := "f9 f8 f7 f6 f5 f4 f3 f2 f1 f0"
	wasm, report, err := rewrite.Module(plain, rewrite.Options{Entry: names})
	require.NoError(t, err)
	require.EqualValues(t, len(types), report.Entry)
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			mod := instantiate(t, engine, wasm)
			entry, last := mod.ExportedFunction(rewrite.EntryExport), mod.ExportedGlobal("last").(api.MutableGlobal)
			r := rand.New(rand.NewPCG(1, 1))
			for range 20 {
				for number, name := range strings.Fields(names) {
					f := mod.ExportedFunction(name)
					kind := f.Definition()
					stack := make([]uint64, 8)
					direct := make([]uint64, 8)
					for i := range kind.ParamTypes() {
						direct[i] = r.Uint64() // of an i32 only the lower half counts
						stack[i+1] = direct[i]
						if kind.ParamTypes()[i] == api.ValueTypeI32 {
							direct[i] = uint64(uint32(direct[i]))
						}
					}
					for i := len(kind.ParamTypes()) + 1; i < 8; i++ {
						stack[i] = r.Uint64() // which it does not take
					}
					last.Set(0)
					require.NoError(t, f.CallWithStack(ctx, direct))
					want := last.Get()
					switch {
					case len(kind.ResultTypes()) == 0:
						direct[0] = 0
					case kind.ResultTypes()[0] == api.ValueTypeI32:
						direct[0] = uint64(uint32(direct[0]))
					}
					last.Set(0)
					stack[0] = uint64(number)
					require.NoError(t, entry.CallWithStack(ctx, stack))
					require.Equal(t, direct[0], stack[0], name)
					require.Equal(t, want, last.Get(), name)
				}
			}
		})
	}
}

// A number without an export traps. The functions that were there keep their numbers.
func TestEntryOfWhatIsNotThere(t *testing.T) {
	plain := mixed(signature("i", "i"), signature("", "I")).Append(nil)
	wasm, report, err := rewrite.Module(plain, rewrite.Options{Entry: "none f1 last"})
	require.NoError(t, err)
	require.EqualValues(t, 2, report.Entry)
	for name, engine := range engines {
		entry := instantiate(t, engine, wasm).ExportedFunction(rewrite.EntryExport)
		require.Len(t, entry.Definition().ParamTypes(), 1, "as many as f1 takes, and the number")
		for number, works := range map[uint64]bool{0: false, 1: true, 2: false, 3: false, 1 << 31: false} {
			result, err := entry.Call(context.Background(), number)
			if !works {
				require.ErrorContains(t, err, "unreachable", "%s, %d", name, number)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, []uint64{2}, result)
		}
	}
}

// An export may be a function of the host.
func TestEntryCallsImports(t *testing.T) {
	m := mixed(signature("I", "I"))
	wasmbin.SetItems(m, wasmbin.SectionImport, []wasmbin.Import{{Module: "env", Name: "double"}})
	wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: "double"}, {Name: "f0", Index: 1}})
	wasm, report, err := rewrite.Module(m.Append(nil), rewrite.Options{Entry: "f0 double"})
	require.NoError(t, err)
	require.EqualValues(t, 2, report.Entry)
	for name, engine := range engines {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, engine)
		defer r.Close(ctx)
		_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
			WithFunc(func(_ context.Context, n uint64) uint64 { return 2 * n }).Export("double").Instantiate(ctx)
		require.NoError(t, err)
		mod, err := r.Instantiate(ctx, wasm)
		require.NoError(t, err)
		result, err := mod.ExportedFunction(rewrite.EntryExport).Call(ctx, 1, 21)
		require.NoError(t, err)
		require.Equal(t, []uint64{42}, result, name)
	}
}

// A module that has the type of the added function gets no second one, and one without
// functions of its own gets the sections for it.
func TestEntryAddsWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		m     *wasmbin.Module
		types int
	}{
		"another type": {mixed(signature("II", "I"), signature("I", "I")), 3},
		"the same":     {mixed(signature("iI", "I"), signature("I", "I")), 2},
		"nothing":      {new(wasmbin.Module), 1},
	} {
		wasm, _, err := rewrite.Module(c.m.Append(nil), rewrite.Options{Entry: "f1"})
		require.NoError(t, err, name)
		outline, err := preflight.Parse(wasm, preflight.Limits{})
		require.NoError(t, err, name)
		require.Equal(t, preflight.KindFunction, outline.Export(rewrite.EntryExport).Kind, name)
		m, err := wasmbin.Parse(wasm)
		require.NoError(t, err)
		types, err := wasmbin.Items(m, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
		require.NoError(t, err)
		require.Len(t, types, c.types, name)
	}
}

func TestEntryIsRefused(t *testing.T) {
	outside := mixed(signature("i", "i"))
	wasmbin.SetItems(outside, wasmbin.SectionExport, []wasmbin.Export{{Name: "f0", Index: 1}})
	reserved := mixed(signature("i", "i"))
	wasmbin.SetItems(reserved, wasmbin.SectionExport, []wasmbin.Export{{Name: rewrite.ReservedPrefix + "x"}})
	for name, c := range map[string]struct {
		m    *wasmbin.Module
		want error
	}{
		"a parameter that is no integer":      {mixed(signature("if", "i")), rewrite.ErrEntry},
		"a result that is no integer":         {mixed(signature("i", "v")), rewrite.ErrEntry},
		"two results":                         {mixed(signature("i", "ii")), rewrite.ErrEntry},
		"a function that does not exist":      {outside, wasmbin.ErrMalformed},
		"a name that begins as what is added": {reserved, rewrite.ErrReserved},
	} {
		_, _, err := rewrite.Module(c.m.Append(nil), rewrite.Options{Entry: "f0"})
		require.ErrorIs(t, err, c.want, name)
	}
	// It is nobody's business what exports that are not listed take.
	_, _, err := rewrite.Module(mixed(signature("if", "ii")).Append(nil), rewrite.Options{Entry: "f1"})
	require.NoError(t, err)
}

// What is added for the host costs the guest no fuel, and works in a metered module.
func TestEntryCostsNoFuel(t *testing.T) {
	wasm, report, err := rewrite.Module(mixed(signature("iI", "I"), signature("I", "i")).Append(nil), rewrite.Options{Meter: true, Entry: "f0 f1"})
	require.NoError(t, err)
	require.Greater(t, report.Entry, report.Hook)
	for name, engine := range engines {
		mod := instantiate(t, engine, wasm)
		fuel := mod.ExportedGlobal(rewrite.FuelExport).(api.MutableGlobal)
		used := func(name string, params ...uint64) (uint64, uint64) {
			fuel.Set(1 << 30)
			result, err := mod.ExportedFunction(name).Call(context.Background(), params...)
			require.NoError(t, err)
			return 1<<30 - fuel.Get(), result[0]
		}
		direct, want := used("f0", 3, 5)
		byNumber, got := used(rewrite.EntryExport, 0, 3, 5)
		require.Positive(t, direct, name)
		require.Equal(t, direct, byNumber, name)
		require.Equal(t, want, got, name)

		// What is left after the call is its second result.
		fuel.Set(1 << 30)
		results, err := mod.ExportedFunction(rewrite.EntryExport).Call(context.Background(), 1, 3, 0)
		require.NoError(t, err)
		require.Len(t, results, 2)
		require.Equal(t, fuel.Get(), results[1], name)
		require.Less(t, results[1], uint64(1<<30), name)
	}
}

// contract are the exports that a host calls.
var contract = []string{abi.ExportAlloc, abi.ExportOpen, abi.ExportGet, abi.ExportSet, abi.ExportDelete, abi.ExportClear, abi.ExportSave,
	abi.ExportInitialize, abi.ExportDescribe, abi.ExportTouch, abi.ExportSweep, abi.ExportKeys, abi.ExportSnapshot, abi.ExportRestore}

// A guest is what it was, with one export more, and its code is where it was.
func TestEntryOfGuests(t *testing.T) {
	for name, before := range guests(t) {
		t.Run(name, func(t *testing.T) {
			after, _, err := rewrite.Module(before, rewrite.Options{Entry: strings.Join(contract, " ")})
			require.NoError(t, err)
			require.Less(t, len(after), len(before)+500)
			was, err := preflight.Parse(before, preflight.Limits{})
			require.NoError(t, err)
			is, err := preflight.Parse(after, preflight.Limits{})
			require.NoError(t, err)
			added := is.Export(rewrite.EntryExport)
			require.Equal(t, signature("iIIIIIII", "I"), added.Signature)
			require.Equal(t, append(slices.Clone(was.Exports), *added), is.Exports)
			require.Equal(t, was.Functions+1, is.Functions)
			codeBefore, codeAfter := codeOf(t, before), codeOf(t, after)
			require.Equal(t, codeBefore[2:], codeAfter[2:len(codeBefore)], "the number of functions takes as many bytes as before")
		})
	}
}

func codeOf(t *testing.T, wasm []byte) []byte {
	m, err := wasmbin.Parse(wasm)
	require.NoError(t, err)
	return m.Section(wasmbin.SectionCode).Content
}
