package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// build makes the module once for all tests, with the toolchain and flags that
// an author uses.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "keyfolder-engine-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "keyfolder.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

const memoryLimit = 64 << 20

// module is the engine compiled, with the imports it needs.
type module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	memory   int            // bytes that an instance may have
	failed   string         // the last message of the import fail
	calls    map[string]int // of WASI functions, by name, if they are counted
}

func compile(t testing.TB, count bool) *module { return compileFor(t, count, memoryLimit) }

func compileFor(t testing.TB, count bool, memory int) *module {
	if testing.Short() {
		t.Skip("builds and compiles a module")
	}
	wasm, err := build()
	require.NoError(t, err)
	ctx := context.Background()
	m := &module{memory: memory, calls: make(map[string]int)}
	if count {
		ctx = experimental.WithFunctionListenerFactory(ctx, m)
	}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithMemoryLimitPages(uint32(memory>>16)).WithMemoryCapacityFromMax(true))
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

// NewFunctionListener counts what the guest asks its host for.
func (m *module) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	// A host function is defined in WASI's module, or is a guest's import.
	if f.ModuleName() != wasi_snapshot_preview1.ModuleName {
		return nil
	}
	return experimental.FunctionListenerFunc(func(_ context.Context, _ api.Module, f api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
		if strings.HasPrefix(f.Name(), "fd_") || strings.HasPrefix(f.Name(), "path_") {
			m.calls[f.Name()]++
		}
	})
}

// counted returns what WASI calls f makes.
func (m *module) counted(f func()) map[string]int {
	clear(m.calls)
	f()
	return m.calls
}

// instance drives one instance as a host does.
type instance struct {
	t        testing.TB
	module   *module
	mod      api.Module
	memory   api.Memory
	exchange uint32
	size     uint32
	stack    []uint64

	functions map[string]api.Function // looking one up takes microseconds
}

func (m *module) open(t testing.TB, dir string, settings ...string) *instance {
	i := m.instantiate(t, dir)
	require.Zero(t, i.Open(settings...), "%s", m.failed)
	return i
}

func (m *module) instantiate(t testing.TB, dir string) *instance {
	ctx := context.Background()
	mod, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().
		WithName("").WithStartFunctions(abi.ExportInitialize).WithStderr(os.Stderr).
		WithFSConfig(wazero.NewFSConfig().WithDirMount(dir, abi.MountPath)).
		WithRandSource(randomSource{}).WithSysNanotime().WithSysWalltime())
	require.NoError(t, err)
	return &instance{
		t: t, module: m, mod: mod, memory: mod.Memory(), stack: make([]uint64, 7),
		functions: make(map[string]api.Function),
	}
}

func (i *instance) kill() { _ = i.mod.Close(context.Background()) }

func (i *instance) call(name string, params ...uint64) int64 {
	f := i.functions[name]
	if f == nil {
		f = i.mod.ExportedFunction(name)
		i.functions[name] = f
	}
	n := copy(i.stack, params)
	if err := f.CallWithStack(context.Background(), i.stack[:max(n, 1)]); err != nil {
		i.t.Fatalf("%s: %v", name, err)
	}
	return int64(i.stack[0])
}

func (i *instance) write(parts ...[]byte) {
	size := uint32(0)
	for _, p := range parts {
		size += uint32(len(p))
	}
	if size > i.size {
		i.exchange, i.size = uint32(i.call(abi.ExportAlloc, uint64(size))), size
		require.NotZero(i.t, i.exchange)
	}
	at := i.exchange
	for _, p := range parts {
		if !i.memory.Write(at, p) {
			i.t.Fatal("the exchange buffer lies outside of the memory")
		}
		at += uint32(len(p))
	}
}

func (i *instance) Open(settings ...string) abi.Code {
	list := abi.AppendPair(nil, abi.ConfigMemoryLimit, strconv.Itoa(i.module.memory))
	for n := 0; n < len(settings); n += 2 {
		list = abi.AppendPair(list, settings[n], settings[n+1])
	}
	i.write(make([]byte, 4096))
	i.write(list)
	return abi.Code(i.call(abi.ExportOpen, uint64(i.exchange), uint64(len(list))))
}

func (i *instance) Get(key []byte, now int64) ([]byte, abi.Code) {
	i.write(key)
	r := i.call(abi.ExportGet, uint64(i.exchange), uint64(len(key)), uint64(now))
	if r < 0 {
		return nil, abi.Code(r)
	}
	ptr, length := abi.Unpack(r)
	b, ok := i.memory.Read(ptr, length)
	require.True(i.t, ok || length == 0)
	return bytes.Clone(b), 0
}

func (i *instance) Set(key, value []byte, expires, now, expect int64) abi.Code {
	i.write(key, value)
	return abi.Code(i.call(abi.ExportSet, uint64(i.exchange), uint64(len(key)), uint64(i.exchange)+uint64(len(key)),
		uint64(len(value)), uint64(expires), uint64(now), uint64(expect)))
}

func (i *instance) Touch(key []byte, expires, now int64) abi.Code {
	i.write(key)
	return abi.Code(i.call(abi.ExportTouch, uint64(i.exchange), uint64(len(key)), uint64(expires), uint64(now)))
}

func (i *instance) Delete(key []byte, now int64) abi.Code {
	i.write(key)
	return abi.Code(i.call(abi.ExportDelete, uint64(i.exchange), uint64(len(key)), uint64(now)))
}

func (i *instance) Clear(now int64) abi.Code { return abi.Code(i.call(abi.ExportClear, uint64(now))) }
func (i *instance) Save(now int64) abi.Code  { return abi.Code(i.call(abi.ExportSave, uint64(now))) }
func (i *instance) Sweep(now int64, most int) int64 {
	return i.call(abi.ExportSweep, uint64(now), uint64(most))
}

func key(n uint64) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	h := sha256.Sum256(b[:])
	return h[:]
}

func value(revision uint64, size int) []byte {
	b := bytes.Repeat([]byte{byte(revision)}, size)
	binary.LittleEndian.PutUint64(b, revision)
	return b
}
