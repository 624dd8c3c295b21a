//go:build !wasip1

// Package wasmtest lets an engine's tests drive its module as a host does, using
// only wazero. It shows what only the module can show, such as how much memory it
// takes and what it asks of the system, and what the sandbox of package plugin
// would hide.
package wasmtest

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/abi"
)

// build makes the module of the package under test once for all tests, with the
// toolchain and flags that an author uses.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "engine-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "engine.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// compiled keeps compiled code for later tests.
var compiled = wazero.NewCompilationCache()

// Module is the compiled engine, with the imports that it needs.
type Module struct {
	// MemoryLimit is the limit in bytes that instances are given.
	MemoryLimit int
	// Failed is the last message of the import fail.
	Failed string

	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	calls    map[string]int // calls of WASI functions by name, if they are counted
}

// Compile builds and compiles the engine whose package the test is in. Instances
// can have that many bytes of memory.
func Compile(t testing.TB, memoryLimit int) *Module {
	return compile(t, context.Background(), &Module{MemoryLimit: memoryLimit})
}

// CompileCounted is Compile for [Module.Counted].
func CompileCounted(t testing.TB, memoryLimit int) *Module {
	m := &Module{MemoryLimit: memoryLimit, calls: make(map[string]int)}
	return compile(t, experimental.WithFunctionListenerFactory(context.Background(), counter{m}), m)
}

func compile(t testing.TB, ctx context.Context, m *Module) *Module {
	if testing.Short() {
		t.Skip("builds and compiles a module")
	}
	wasm, err := build()
	require.NoError(t, err)
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithMemoryLimitPages(uint32(m.MemoryLimit>>16)).
		WithMemoryCapacityFromMax(true).
		WithCompilationCache(compiled))
	t.Cleanup(func() { _ = m.runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, m.runtime)
	_, err = m.runtime.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().WithFunc(func(_ context.Context, mod api.Module, level int32, ptr, length uint32) {
		b, _ := mod.Memory().Read(ptr, length)
		t.Logf("log %d: %s", level, b)
	}).Export(abi.ImportLog).
		NewFunctionBuilder().WithFunc(func(_ context.Context, mod api.Module, ptr, length uint32) {
		b, _ := mod.Memory().Read(ptr, length)
		m.Failed = string(b)
	}).Export(abi.ImportFail).
		Instantiate(ctx)
	require.NoError(t, err)
	m.compiled, err = m.runtime.CompileModule(ctx, wasm)
	require.NoError(t, err)
	return m
}

// counter counts the calls of WASI functions.
type counter struct{ m *Module }

func (c counter) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	// A host function is either defined in WASI's module or is a guest's import.
	if f.ModuleName() != wasi_snapshot_preview1.ModuleName {
		return nil
	}
	return experimental.FunctionListenerFunc(func(_ context.Context, _ api.Module, f api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
		c.m.calls[f.Name()]++
	})
}

// Counted returns the WASI calls made during f, by name: those of functions whose
// names begin with a prefix, or all.
func (m *Module) Counted(f func(), prefixes ...string) map[string]int {
	clear(m.calls)
	f()
	counted := make(map[string]int)
	for name, n := range m.calls {
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				counted[name] = n
			}
		}
		if len(prefixes) == 0 {
			counted[name] = n
		}
	}
	return counted
}

// Instantiate makes an instance that is not open yet, over a directory unless dir
// is empty.
func (m *Module) Instantiate(t testing.TB, dir string) *Instance {
	return m.instantiate(t, dir, wazero.NewModuleConfig().
		WithRandSource(rand.Reader). // wazero's own is the same every time
		WithSysNanotime().WithSysWalltime())
}

func (m *Module) instantiate(t testing.TB, dir string, config wazero.ModuleConfig) *Instance {
	config = config.WithName("").WithStartFunctions(abi.ExportInitialize).WithStderr(os.Stderr)
	if dir != "" {
		config = config.WithFSConfig(wazero.NewFSConfig().WithDirMount(dir, abi.MountPath))
	}
	mod, err := m.runtime.InstantiateModule(context.Background(), m.compiled, config)
	require.NoError(t, err)
	return &Instance{
		Memory: mod.Memory(), t: t, module: m, mod: mod, stack: make([]uint64, 7),
		get: mod.ExportedFunction(abi.ExportGet), set: mod.ExportedFunction(abi.ExportSet),
		del: mod.ExportedFunction(abi.ExportDelete), touch: mod.ExportedFunction(abi.ExportTouch),
	}
}

// Open makes an instance and opens it.
func (m *Module) Open(t testing.TB, dir string, settings ...string) *Instance {
	i := m.Instantiate(t, dir)
	require.Zero(t, i.Open(settings...), "%s", m.Failed)
	return i
}
