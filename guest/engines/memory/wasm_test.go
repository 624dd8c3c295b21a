package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/waddle-sessions/waddle/abi"
)

// build makes the module once for all tests, with the toolchain and flags that
// an author uses.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "memory-engine-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "memory.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// compiled keeps what compiling made, for the tests after the first.
var compiled = wazero.NewCompilationCache()

// module is the engine compiled, with the imports it needs.
type module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	failed   string // the last message of the import fail
}

func compile(t testing.TB, memoryLimit int) *module {
	if testing.Short() {
		t.Skip("builds and compiles a module")
	}
	wasm, err := build()
	require.NoError(t, err)
	ctx := context.Background()
	m := &module{runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithMemoryLimitPages(uint32(memoryLimit>>16)).
		WithMemoryCapacityFromMax(true).
		WithCompilationCache(compiled))}
	t.Cleanup(func() { _ = m.runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, m.runtime)
	_, err = m.runtime.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().WithFunc(func(context.Context, api.Module, int32, uint32, uint32) {}).Export(abi.ImportLog).
		NewFunctionBuilder().WithFunc(func(_ context.Context, mod api.Module, ptr, length uint32) {
		b, _ := mod.Memory().Read(ptr, length)
		m.failed = string(b)
	}).Export(abi.ImportFail).
		Instantiate(ctx)
	require.NoError(t, err)
	m.compiled, err = m.runtime.CompileModule(ctx, wasm)
	require.NoError(t, err)
	return m
}

// instance drives one instance as a host does.
type instance struct {
	t        testing.TB
	mod      api.Module
	memory   api.Memory
	exchange uint32
	size     uint32
	stack    []uint64

	get, set, del, touch, sweep, snapshot, restore, clear, save api.Function
}

func (m *module) instantiate(t testing.TB) *instance {
	ctx := context.Background()
	mod, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().
		WithName("").WithStartFunctions(abi.ExportInitialize).WithStderr(os.Stderr).
		WithSysNanotime().WithSysWalltime())
	require.NoError(t, err)
	return &instance{
		t: t, mod: mod, memory: mod.Memory(), stack: make([]uint64, 7),
		get: mod.ExportedFunction(abi.ExportGet), set: mod.ExportedFunction(abi.ExportSet),
		del: mod.ExportedFunction(abi.ExportDelete), touch: mod.ExportedFunction(abi.ExportTouch),
		sweep: mod.ExportedFunction(abi.ExportSweep), snapshot: mod.ExportedFunction(abi.ExportSnapshot),
		restore: mod.ExportedFunction(abi.ExportRestore), clear: mod.ExportedFunction(abi.ExportClear),
		save: mod.ExportedFunction(abi.ExportSave),
	}
}

func (i *instance) call(f api.Function, params ...uint64) int64 {
	n := copy(i.stack, params)
	if err := f.CallWithStack(context.Background(), i.stack[:max(n, 1)]); err != nil {
		i.t.Fatalf("%s: %v", f.Definition().Name(), err)
	}
	return int64(i.stack[0])
}

// write puts arguments into the exchange buffer, and reports false if the engine
// has no room for them.
func (i *instance) write(parts ...[]byte) bool {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if uint32(size) > i.size {
		ptr := i.call(i.mod.ExportedFunction(abi.ExportAlloc), uint64(size))
		if ptr == 0 {
			return false
		}
		i.exchange, i.size = uint32(ptr), uint32(size)
	}
	at := i.exchange
	for _, p := range parts {
		if !i.memory.Write(at, p) {
			i.t.Fatal("the exchange buffer lies outside of the memory")
		}
		at += uint32(len(p))
	}
	return true
}

func (i *instance) read(result int64) []byte {
	ptr, length := abi.Unpack(result)
	b, ok := i.memory.Read(ptr, length)
	if length > 0 && !ok {
		i.t.Fatal("a result lies outside of the memory")
	}
	return b
}

func (i *instance) Open(settings ...string) abi.Code {
	var list []byte
	for n := 0; n < len(settings); n += 2 {
		list = abi.AppendPair(list, settings[n], settings[n+1])
	}
	require.True(i.t, i.write(make([]byte, 4096)))
	i.write(list)
	return abi.Code(i.call(i.mod.ExportedFunction(abi.ExportOpen), uint64(i.exchange), uint64(len(list))))
}

func (i *instance) Get(key []byte, now int64) ([]byte, abi.Code) {
	i.write(key)
	r := i.call(i.get, uint64(i.exchange), uint64(len(key)), uint64(now))
	if r < 0 {
		return nil, abi.Code(r)
	}
	return i.read(r), 0
}

func (i *instance) Set(key, value []byte, expires, now, expect int64) abi.Code {
	if !i.write(key, value) {
		return abi.NoSpace
	}
	return abi.Code(i.call(i.set, uint64(i.exchange), uint64(len(key)), uint64(i.exchange)+uint64(len(key)),
		uint64(len(value)), uint64(expires), uint64(now), uint64(expect)))
}

func open(t testing.TB, memoryLimit int, settings ...string) *instance {
	i := compile(t, memoryLimit).instantiate(t)
	settings = append([]string{abi.ConfigMemoryLimit, strconv.Itoa(memoryLimit)}, settings...)
	require.Zero(t, i.Open(settings...))
	return i
}
