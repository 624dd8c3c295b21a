package proof_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// machine is a generated module, compiled in an engine, as it was or rewritten. What is
// seen of it leaves out what the rewriter has added.
type machine struct {
	t        testing.TB
	m        modgen.Module
	runtime  wazero.Runtime
	code     wazero.CompiledModule
	original *wasmbin.Module
	globals  int
	entry    []string        // exports that are called by the one added function
	moves    *rewrite.Report // of a module whose state moves before each call, or nil
	host     imported
}

// newMachine compiles a module. There is no report if nothing was added.
func newMachine(t testing.TB, engine string, m modgen.Module, wasm []byte, report *rewrite.Report) *machine {
	t.Helper()
	ctx := context.Background()
	features := guestFeatures
	if !allowed(m.Wasm) {
		features = api.CoreFeaturesV2
	}
	x := &machine{t: t, m: m}
	pages := uint32(modgen.MaxPages)
	if report != nil && report.MaxMemory > 0 {
		x.moves, pages = report, movingPages
	}
	x.runtime = wazero.NewRuntimeWithConfig(ctx, config(engine, features, pages))
	t.Cleanup(x.close)
	var err error
	x.original, err = wasmbin.Parse(m.Wasm)
	require.NoError(t, err)
	globals, err := wasmbin.Items(x.original, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	require.NoError(t, err)
	x.globals = len(globals)
	x.provide()
	if report != nil && report.Hook > 0 {
		ctx = hooked(ctx, report.Hook)
	}
	x.code, err = x.runtime.CompileModule(ctx, wasm)
	require.NoError(t, err)
	return x
}

// close may be called again.
func (x *machine) close() { _ = x.runtime.Close(context.Background()) }

// run makes an instance and runs all calls. It does not count without a meter, whose
// budget is for all calls together.
func (x *machine) run(count *meter) (o outcome) {
	x.t.Helper()
	ctx := context.Background()
	if x.host = (imported{}); count != nil {
		ctx = count.with(ctx)
	}
	mod, state, err := x.instantiate(ctx)
	first := called{ended: reason(err), trace: trace(err)}
	if count != nil {
		count.end(mod)
		if first.used = count.used; err != nil && count.seen == nil {
			first.used = unseen
		}
	}
	o.calls = append(o.calls, first)
	if err != nil {
		o.host = x.host.seen
		return o
	}
	defer mod.Close(ctx)
	for _, call := range x.m.Calls {
		c := called{export: call.Export}
		if state != nil {
			mod = state.turn()
		}
		before := int64(0)
		if count != nil {
			before = count.used
			count.begin(mod)
		}
		f, results, err := x.call(ctx, mod, call)
		o.stack = max(o.stack, stackOf(f))
		if c.ended, c.trace = reason(err), trace(err); err == nil {
			c.results = values(typesOf(f.Definition().ResultTypes()), results)
		}
		if count != nil {
			count.end(mod)
			c.used = count.used - before
			if err == nil {
				c.depth = int64(counter(mod, rewrite.DepthExport).Get())
			}
		}
		o.calls = append(o.calls, c)
		if errors.Is(err, errFuel) || errors.Is(err, errDepth) {
			break
		}
	}
	o.memory = hash(nil)
	if x.original.Section(wasmbin.SectionMemory) != nil {
		memory := mod.Memory()
		b, _ := memory.Read(0, memory.Size())
		o.memory, o.pages = hash(b), int(memory.Size()>>16)
	}
	inside := mod.(experimental.InternalModule)
	for i := range x.globals {
		o.globals = append(o.globals, inside.Global(i).Get())
	}
	o.host = x.host.seen
	return o
}

// instantiate makes an instance, or two between which the state moves.
func (x *machine) instantiate(ctx context.Context) (api.Module, *moving, error) {
	if x.moves == nil {
		mod, err := x.runtime.InstantiateModule(ctx, x.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
		return mod, nil, err
	}
	state, err := x.newMoving(ctx)
	if err != nil {
		return nil, nil, err
	}
	return state.pair[state.now].mod, state, nil
}

// call calls an export, by the added function if it is one of those.
func (x *machine) call(ctx context.Context, mod api.Module, call modgen.Call) (api.Function, []uint64, error) {
	f := mod.ExportedFunction(call.Export)
	i := slices.Index(x.entry, call.Export)
	if i < 0 {
		results, err := f.Call(ctx, call.Args...)
		return f, results, err
	}
	entry := mod.ExportedFunction(rewrite.EntryExport)
	args := make([]uint64, len(entry.Definition().ParamTypes()))
	args[0] = uint64(i)
	copy(args[1:], call.Args)
	results, err := entry.Call(ctx, args...)
	if err == nil && mod.ExportedGlobal(rewrite.FuelExport) != nil {
		require.Len(x.t, results, 2)
		require.Equal(x.t, counter(mod, rewrite.FuelExport).Get(), results[1], "the fuel that is left")
		results = results[:1]
	}
	if err == nil && len(f.Definition().ResultTypes()) == 0 {
		require.Equal(x.t, []uint64{0}, results)
		results = nil
	}
	return f, results, err
}

// stackOf returns how much stack a function of the compiler holds. It starts with 10 KiB
// and doubles.
func stackOf(f api.Function) int {
	if v := reflect.Indirect(reflect.ValueOf(f)); v.Kind() == reflect.Struct {
		if stack := v.FieldByName("stack"); stack.IsValid() && stack.Type() == reflect.TypeFor[[]byte]() {
			return stack.Len()
		}
	}
	return 0
}

// byEntry are the exports that the added function can call: those of integers only, with
// at most one result.
func byEntry(t testing.TB, m modgen.Module) (names []string) {
	t.Helper()
	w, err := wasmbin.Parse(m.Wasm)
	require.NoError(t, err)
	types, err := wasmbin.Items(w, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	require.NoError(t, err)
	imports, err := wasmbin.Items(w, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	require.NoError(t, err)
	own, err := wasmbin.Items(w, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	require.NoError(t, err)
	exports, err := wasmbin.Items(w, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	require.NoError(t, err)
	integer := func(t wasmbin.ValueType) bool { return t == wasmbin.I32 || t == wasmbin.I64 }
	for _, e := range exports {
		if e.Kind != wasmbin.KindFunction {
			continue
		}
		var f wasmbin.FuncType
		if n := uint32(len(imports)); e.Index < n {
			f = types[imports[e.Index].Type]
		} else {
			f = types[own[e.Index-n]]
		}
		if len(f.Results) < 2 && !slices.ContainsFunc(slices.Concat(f.Params, f.Results), func(t wasmbin.ValueType) bool { return !integer(t) }) {
			names = append(names, e.Name)
		}
	}
	return names
}

// imported are the functions that modules import. They remember what they were given,
// and return numbers that depend on it.
type imported struct{ seen uint64 }

func (h *imported) call(name string, t wasmbin.FuncType, params []uint64) (results []uint64) {
	h.seen = mixed(fmt.Append(nil, h.seen, name, params))
	for i, r := range t.Results {
		v := h.seen >> i
		if r == wasmbin.I32 || r == wasmbin.F32 {
			v = uint64(uint32(v))
		}
		if results = append(results, v); r == wasmbin.V128 {
			results = append(results, v*31)
		}
	}
	return results
}

// provide makes the module that generated modules import from.
func (x *machine) provide() {
	x.t.Helper()
	types, err := wasmbin.Items(x.original, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	require.NoError(x.t, err)
	imports, err := wasmbin.Items(x.original, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	require.NoError(x.t, err)
	if len(imports) == 0 {
		return
	}
	b := x.runtime.NewHostModuleBuilder(modgen.HostModule)
	for _, i := range imports {
		f := types[i.Type]
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			copy(stack, x.host.call(i.Name, f, values(f.Params, stack)))
		}), bytesOf(f.Params), bytesOf(f.Results)).Export(i.Name)
	}
	_, err = b.Instantiate(context.Background())
	require.NoError(x.t, err)
}

// values copies values of those types. The upper half of a place with 32 bits may hold
// anything, and becomes zero.
func values(types []wasmbin.ValueType, from []uint64) (to []uint64) {
	for _, t := range types {
		v := from[0]
		if t == wasmbin.I32 || t == wasmbin.F32 {
			v = uint64(uint32(v))
		}
		if to, from = append(to, v), from[1:]; t == wasmbin.V128 {
			to, from = append(to, from[0]), from[1:]
		}
	}
	return to
}

func bytesOf(types []wasmbin.ValueType) []api.ValueType {
	b := make([]api.ValueType, len(types))
	for i, t := range types {
		b[i] = api.ValueType(t)
	}
	return b
}

func typesOf(b []api.ValueType) []wasmbin.ValueType {
	types := make([]wasmbin.ValueType, len(b))
	for i, t := range b {
		types[i] = wasmbin.ValueType(t)
	}
	return types
}
