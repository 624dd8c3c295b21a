package rewrite_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

var (
	ctx      = context.Background()
	errFuel  = errors.New("out of fuel")
	errDepth = errors.New("too deep")
	compiler = wazero.NewRuntimeConfigCompiler
)

// slice is how much fuel the hook gives at once, so that few rounds are enough. A host
// gives as much as hostSlice.
const (
	slice     = 1 << 16
	hostSlice = 1 << 20
)

// run is a module that runs, metered or not.
type run struct {
	t           testing.TB
	runtime     wazero.Runtime
	module      api.Module
	report      *rewrite.Report
	fuel, depth api.MutableGlobal
	budget      int64 // of a call; 0 is unlimited
	given       int64 // to the call so far
	slice       int64 // that the hook gives at once
	hooks       int
	rest        int64 // of the stack, which the hook gives once
	takes       int64 // fuel that each imported function takes
}

const features = api.CoreFeaturesV2

// start starts a module. It is metered if it has a report.
func start(t testing.TB, config wazero.RuntimeConfig, wasm []byte, o rewrite.Options) (*run, error) {
	t.Helper()
	r := &run{t: t, slice: slice, runtime: wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features))}
	t.Cleanup(func() { r.runtime.Close(ctx) })
	var err error
	if wasm, r.report, err = rewrite.Module(wasm, o); err != nil {
		return nil, err
	}
	compileCtx := ctx
	if o.Meter {
		compileCtx = experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(r.listen))
	}
	compiled, err := r.runtime.CompileModule(compileCtx, wasm)
	if err != nil {
		return nil, err
	}
	require.NoError(t, r.imports(compiled))
	r.given = slice
	r.module, err = r.runtime.InstantiateModule(ctx, compiled,
		wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime())
	if err == nil && o.Meter {
		r.globals(r.module)
	}
	return r, err
}

func (r *run) globals(m api.Module) {
	r.fuel = m.ExportedGlobal(rewrite.FuelExport).(api.MutableGlobal)
	r.depth = m.ExportedGlobal(rewrite.DepthExport).(api.MutableGlobal)
}

func (r *run) listen(f api.FunctionDefinition) experimental.FunctionListener {
	if f.Index() != r.report.Hook {
		return nil
	}
	return experimental.FunctionListenerFunc(func(_ context.Context, m api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
		if r.fuel == nil {
			r.globals(m)
		}
		r.hooks++
		fuel := int64(r.fuel.Get())
		depth := int64(r.depth.Get())
		switch {
		case depth < 0 && depth+r.rest >= 0:
			r.depth.Set(uint64(depth + r.rest))
			r.rest = 0
			if fuel >= 0 {
				return
			}
		case depth < 0:
			panic(errDepth)
		case r.budget > 0 && r.given-fuel > r.budget:
			panic(errFuel)
		case fuel >= 0:
			panic("the hook was called without a reason")
		}
		r.fuel.Set(uint64(r.slice))
		r.given += r.slice - fuel
	})
}

// imports defines what the module imports: WASI, and functions that give zero.
func (r *run) imports(m wazero.CompiledModule) error {
	others := map[string]wazero.HostModuleBuilder{}
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == wasi_snapshot_preview1.ModuleName {
			if r.runtime.Module(module) == nil {
				wasi_snapshot_preview1.MustInstantiate(ctx, r.runtime)
			}
			continue
		}
		if others[module] == nil {
			others[module] = r.runtime.NewHostModuleBuilder(module)
		}
		results := len(f.ResultTypes())
		others[module].NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
			if name == "fail" {
				said, _ := m.Memory().Read(uint32(stack[0]), uint32(stack[1]))
				r.t.Logf("the guest says: %s", said)
			}
			if r.takes > 0 {
				r.fuel.Set(uint64(int64(r.fuel.Get()) - r.takes))
			}
			clear(stack[:results])
		}), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, b := range others {
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// call calls an export with that much fuel, and returns how much it used.
func (r *run) call(budget int64, name string, params ...uint64) (results []uint64, used int64, err error) {
	r.t.Helper()
	f := r.module.ExportedFunction(name)
	require.NotNil(r.t, f, name)
	r.budget = budget
	if r.fuel != nil {
		r.fuel.Set(uint64(r.slice))
		r.given = r.slice
	}
	results, err = f.Call(ctx, params...)
	if r.fuel != nil {
		used = r.given - int64(r.fuel.Get())
	}
	return results, used, err
}

// guest is a storage plugin that runs.
type guest struct {
	*run
	get, set, alloc api.Function
	at              uint32
	stack           [8]uint64
	key, value      []byte
}

const now = 1_700_000_000_000

func openGuest(t testing.TB, config wazero.RuntimeConfig, wasm []byte, o rewrite.Options) *guest {
	t.Helper()
	r, err := start(t, config, wasm, o)
	require.NoError(t, err)
	g := &guest{run: r, get: r.module.ExportedFunction("session_get"), set: r.module.ExportedFunction("session_set"),
		alloc: r.module.ExportedFunction("session_alloc"), key: make([]byte, 32), value: bytes.Repeat([]byte("value of it "), 25)}
	at, err := g.alloc.Call(ctx, 4096)
	require.NoError(t, err)
	g.at = uint32(at[0])
	settings := "memory_limit\x0067108864\x00shard\x000\x00shards\x001\x00"
	require.True(t, r.module.Memory().WriteString(g.at, settings))
	got, err := r.module.ExportedFunction("session_open").Call(ctx, uint64(g.at), uint64(len(settings)))
	require.NoError(t, err)
	require.GreaterOrEqual(t, int64(got[0]), int64(0))
	return g
}

func (g *guest) begin() {
	if g.fuel != nil {
		g.fuel.Set(uint64(g.slice))
	}
}

// Set writes a value under the key of that number.
func (g *guest) Set(n int) {
	g.key[0], g.key[1] = byte(n), byte(n>>8)
	m := g.module.Memory()
	m.Write(g.at, g.key)
	m.Write(g.at+32, g.value)
	g.begin()
	g.stack = [8]uint64{uint64(g.at), 32, uint64(g.at) + 32, uint64(len(g.value)), now + 3600000, now, 0}
	if err := g.set.CallWithStack(ctx, g.stack[:]); err != nil || int64(g.stack[0]) < 0 {
		g.t.Fatal(err, int64(g.stack[0]))
	}
}

// Get reads it.
func (g *guest) Get(n int) {
	g.key[0], g.key[1] = byte(n), byte(n>>8)
	g.module.Memory().Write(g.at, g.key)
	g.begin()
	g.stack[0], g.stack[1], g.stack[2] = uint64(g.at), 32, now
	if err := g.get.CallWithStack(ctx, g.stack[:]); err != nil || int64(g.stack[0]) < 0 {
		g.t.Fatal(err, int64(g.stack[0]))
	}
}

// byLanguage are guests of the tree.
var byLanguage = map[string]string{
	"go":             "../../engines/memory/memory.wasm.gz",
	"c":              "../../../examples/guests/c/store.wasm",
	"rust":           "../../../examples/guests/rust/store.wasm",
	"zig":            "../../../examples/guests/zig/store.wasm",
	"assemblyscript": "../../../examples/guests/assemblyscript/store.wasm",
}

func module(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		require.NoError(t, err)
		b, err = io.ReadAll(z)
		require.NoError(t, err)
	}
	return b
}

func newRuntime() wazero.Runtime {
	return wazero.NewRuntimeWithConfig(ctx, compiler().WithCoreFeatures(features))
}

func anonymous() wazero.ModuleConfig { return wazero.NewModuleConfig().WithName("") }
