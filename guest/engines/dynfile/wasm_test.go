package main_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
	dir, err := os.MkdirTemp("", "dynfile-engine-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "dynfile.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// module is the engine compiled, over a directory of the machine.
type module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	dir      string
	failed   string // the last message of the import fail
	wasi     int    // calls of WASI functions, if they are counted
}

// counter counts the calls of WASI functions.
type counter struct{ m *module }

func (c counter) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	if f.ModuleName() != wasi_snapshot_preview1.ModuleName {
		return nil
	}
	return experimental.FunctionListenerFunc(func(context.Context, api.Module, api.FunctionDefinition, []uint64, experimental.StackIterator) {
		c.m.wasi++
	})
}

func compile(t testing.TB, memoryLimit int, counted bool) *module {
	if testing.Short() {
		t.Skip("builds and compiles a module")
	}
	wasm, err := build()
	require.NoError(t, err)
	m := &module{dir: t.TempDir()}
	ctx := context.Background()
	if counted {
		ctx = experimental.WithFunctionListenerFactory(ctx, counter{m})
	}
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithMemoryLimitPages(uint32(memoryLimit>>16)).
		WithMemoryCapacityFromMax(true))
	t.Cleanup(func() { _ = m.runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, m.runtime)
	_, err = m.runtime.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().WithFunc(func(_ context.Context, mod api.Module, level int32, ptr, length uint32) {
		b, _ := mod.Memory().Read(ptr, length)
		t.Logf("log %d: %s", level, b)
	}).Export(abi.ImportLog).
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

	get, set, del, save, sweep api.Function
}

func (m *module) instantiate(t testing.TB) *instance {
	ctx := context.Background()
	mod, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().
		WithName("").WithStartFunctions(abi.ExportInitialize).WithStderr(os.Stderr).
		WithSysNanotime().WithSysWalltime().
		WithFSConfig(wazero.NewFSConfig().WithDirMount(m.dir, abi.MountPath)))
	require.NoError(t, err)
	return &instance{
		t: t, mod: mod, memory: mod.Memory(), stack: make([]uint64, 7),
		get: mod.ExportedFunction(abi.ExportGet), set: mod.ExportedFunction(abi.ExportSet),
		del: mod.ExportedFunction(abi.ExportDelete), save: mod.ExportedFunction(abi.ExportSave),
		sweep: mod.ExportedFunction(abi.ExportSweep),
	}
}

func (i *instance) close() { _ = i.mod.Close(context.Background()) }

func (i *instance) call(f api.Function, params ...uint64) int64 {
	n := copy(i.stack, params)
	if err := f.CallWithStack(context.Background(), i.stack[:max(n, 1)]); err != nil {
		i.t.Fatalf("%s: %v", f.Definition().Name(), err)
	}
	return int64(i.stack[0])
}

// write puts arguments into the exchange buffer.
func (i *instance) write(parts ...[]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if uint32(size) > i.size {
		ptr := i.call(i.mod.ExportedFunction(abi.ExportAlloc), uint64(size))
		require.NotZero(i.t, ptr)
		i.exchange, i.size = uint32(ptr), uint32(size)
	}
	at := i.exchange
	for _, p := range parts {
		i.memory.Write(at, p)
		at += uint32(len(p))
	}
}

func (i *instance) open(settings ...string) abi.Code {
	var list []byte
	for n := 0; n < len(settings); n += 2 {
		list = abi.AppendPair(list, settings[n], settings[n+1])
	}
	i.write(make([]byte, 4096))
	i.write(list)
	return abi.Code(i.call(i.mod.ExportedFunction(abi.ExportOpen), uint64(i.exchange), uint64(len(list))))
}

func (i *instance) Get(key []byte, now int64) ([]byte, abi.Code) {
	i.write(key)
	r := i.call(i.get, uint64(i.exchange), uint64(len(key)), uint64(now))
	if r < 0 {
		return nil, abi.Code(r)
	}
	ptr, length := abi.Unpack(r)
	b, ok := i.memory.Read(ptr, length)
	require.True(i.t, ok || length == 0)
	return b, 0
}

func (i *instance) Set(key, value []byte, expires, now, expect int64) abi.Code {
	i.write(key, value)
	return abi.Code(i.call(i.set, uint64(i.exchange), uint64(len(key)), uint64(i.exchange)+uint64(len(key)),
		uint64(len(value)), uint64(expires), uint64(now), uint64(expect)))
}

func (i *instance) Delete(key []byte, now int64) abi.Code {
	i.write(key)
	return abi.Code(i.call(i.del, uint64(i.exchange), uint64(len(key)), uint64(now)))
}

func (i *instance) Save(now int64) abi.Code { return abi.Code(i.call(i.save, uint64(now))) }

func (i *instance) Sweep(now int64, most int) int64 {
	return i.call(i.sweep, uint64(now), uint64(most))
}

const limit = 64 << 20

func opened(t testing.TB, m *module, settings ...string) *instance {
	i := m.instantiate(t)
	settings = append(settings, abi.ConfigMemoryLimit, strconv.Itoa(limit)) // names stand in order
	require.Zero(t, i.open(settings...), m.failed)
	return i
}

// keyOf makes a key like those that the host makes of ids.
func keyOf(n int) []byte {
	key := make([]byte, 32)
	binary.LittleEndian.PutUint64(key, uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(key[8:], uint64(n))
	return key
}

func TestModule(t *testing.T) {
	m := compile(t, limit, true)
	i := opened(t, m)
	value := []byte("\x01\x00\x00\x00\x00\x00\x00\x00the value")
	require.Zero(t, i.Set(keyOf(1), value, 0, 1, abi.ExpectAbsent))
	require.Equal(t, abi.Conflict, i.Set(keyOf(1), value, 0, 1, abi.ExpectAbsent))
	got, code := i.Get(keyOf(1), 1)
	require.Zero(t, code)
	require.Equal(t, value, got)
	require.Zero(t, i.Save(1))

	count := func(what string, want int, f func()) {
		m.wasi = 0
		f()
		require.Equal(t, want, m.wasi, "calls of the system for %s", what)
	}
	count("a get", 1, func() { i.Get(keyOf(1), 1) })
	count("a get of nothing", 0, func() { i.Get(keyOf(9), 1) })
	count("a set", 1, func() { require.Zero(t, i.Set(keyOf(2), value, 0, 1, 0)) })
	count("a set with a condition", 1, func() { require.Zero(t, i.Set(keyOf(2), value, 0, 1, 1)) })
	count("a save", 3, func() { require.Zero(t, i.Save(1)) })
	count("a save of nothing", 0, func() { require.Zero(t, i.Save(1)) })
	count("a delete", 1, func() { require.Zero(t, i.Delete(keyOf(2), 1)) })

	i.close() // as a process that is killed: nothing is said
	i = opened(t, m)
	got, code = i.Get(keyOf(1), 1)
	require.Zero(t, code)
	require.Equal(t, value, got)
	_, code = i.Get(keyOf(2), 1)
	require.Equal(t, abi.NotFound, code)

	format, err := os.ReadFile(filepath.Join(m.dir, "format"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(format), "waddle dynfile 1\nshards 1\n"))
}

func TestModuleRefuses(t *testing.T) {
	m := compile(t, limit, false)
	for _, c := range []struct {
		settings []string
		message  string
	}{
		{[]string{"max_bytes", "1MiB"}, "max_bytes is for all shards together and must be at least 8388608"},
		{[]string{"max_bytes", "64MiB", "segment_bytes", "8MiB"}, "segment_bytes can be at most a sixteenth"},
		{[]string{"segment_bytes", "1"}, "segment_bytes must be 65536 to"},
		{[]string{"colour", "blue"}, "the setting colour is unknown"},
		{[]string{"memory_limit", "1MiB"}, "memory_limit is 1048576 bytes, and this engine needs at least"},
	} {
		i := m.instantiate(t)
		require.Equal(t, abi.Invalid, i.open(c.settings...))
		require.Contains(t, m.failed, c.message)
		i.close()
	}
	entries, err := os.ReadDir(m.dir)
	require.NoError(t, err)
	require.Empty(t, entries, "what is refused writes nothing")
}

// TestModuleCompacts writes much more than is kept, and finds all of it again.
func TestModuleCompacts(t *testing.T) {
	m := compile(t, limit, false)
	settings := []string{"max_bytes", "16MiB"}
	i := opened(t, m, settings...)
	value := make([]byte, 400)
	const keys = 10_000
	for n := range 15 * keys {
		binary.LittleEndian.PutUint64(value, uint64(n+1))
		require.Zero(t, i.Set(keyOf(n%keys), value, 0, 1, 0), m.failed)
		if n%50_000 == 0 {
			require.Zero(t, i.Save(1))
		}
	}
	size := int64(0)
	require.NoError(t, filepath.WalkDir(m.dir, func(path string, d os.DirEntry, err error) error {
		if info, _ := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	}))
	require.Less(t, size, int64(16<<20))
	for range 2 {
		for n := range keys {
			got, code := i.Get(keyOf(n), 1)
			require.Zero(t, code)
			require.EqualValues(t, 14*keys+n+1, abi.Revision(got))
		}
		i.close()
		i = opened(t, m, settings...)
	}
}

// TestModuleWithinItsMemory fills an instance with as many sessions as its
// memory has room for, and its files with more that are gone, and opens it again:
// that takes no more memory than to run, and what does not fit is refused.
func TestModuleWithinItsMemory(t *testing.T) {
	const limit = 24 << 20
	m := compile(t, limit, false)
	open := func() *instance {
		i := m.instantiate(t)
		require.Zero(t, i.open(abi.ConfigMemoryLimit, strconv.Itoa(limit)), m.failed)
		return i
	}
	i := open()
	empty := i.memory.Size()
	value := make([]byte, 60)
	binary.LittleEndian.PutUint64(value, 1)
	sessions := 0
	for ; ; sessions++ {
		code := i.Set(keyOf(sessions), value, 0, 1, 0)
		if code != 0 {
			require.Equal(t, abi.NoSpace, code)
			require.Contains(t, m.failed, "raise memory_limit")
			break
		}
	}
	require.Greater(t, sessions, 80_000)
	require.Zero(t, i.Delete(keyOf(0), 1))
	large := make([]byte, 1<<20)
	// Twice as many come and go, and records of every size.
	for n := range 2 * sessions {
		gone := keyOf(10_000_000 + n)
		require.Zero(t, i.Set(gone, value, 0, 1, 0), m.failed)
		require.Zero(t, i.Delete(gone, 1))
	}
	for size := 100_000; size < len(large); size += 9_000 {
		require.Zero(t, i.Set(keyOf(1), large[:size], 0, 1, 0), m.failed)
	}
	require.Zero(t, i.Set(keyOf(1), value, 0, 1, 0))
	require.Zero(t, i.Save(1))
	i.close()
	i = open()
	t.Logf("%d sessions: %d bytes of memory, %d when it was empty", sessions, i.memory.Size(), empty)
	require.LessOrEqual(t, int(i.memory.Size()), int(empty)+52*sessions+2<<20)
	for n := 1; n < sessions; n += 7 {
		_, code := i.Get(keyOf(n), 1)
		require.Zero(t, code, m.failed)
	}
	i.close()
}

func BenchmarkSet(b *testing.B) {
	i := opened(b, compile(b, limit, false))
	value := make([]byte, 300)
	b.ResetTimer()
	for n := range b.N {
		if code := i.Set(keyOf(n%20_000), value, 0, 1, 0); code != 0 {
			b.Fatal(code)
		}
	}
}

// BenchmarkCreate is BenchmarkSet without anything to compact.
func BenchmarkCreate(b *testing.B) {
	i := opened(b, compile(b, limit, false))
	value := make([]byte, 300)
	b.ResetTimer()
	for n := range b.N {
		if code := i.Set(keyOf(n), value, 0, 1, -1); code != 0 {
			b.Fatal(code)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	i := opened(b, compile(b, limit, false))
	for n := range 20_000 {
		i.Set(keyOf(n), make([]byte, 300), 0, 1, 0)
	}
	b.ResetTimer()
	for n := range b.N {
		if _, code := i.Get(keyOf(n*7919%20_000), 1); code != 0 {
			b.Fatal(code)
		}
	}
}

func BenchmarkSetAndSave(b *testing.B) {
	i := opened(b, compile(b, limit, false))
	value := make([]byte, 300)
	b.ResetTimer()
	for n := range b.N {
		i.Set(keyOf(n%20_000), value, 0, 1, 0)
		if code := i.Save(1); code != 0 {
			b.Fatal(code)
		}
	}
}

// BenchmarkAppend is what BenchmarkSet is held against.
func BenchmarkAppend(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer f.Close()
	record := make([]byte, 376)
	b.ResetTimer()
	for n := range b.N {
		if _, err := f.WriteAt(record, int64(n*len(record))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendAndSync is what BenchmarkSetAndSave is held against.
func BenchmarkAppendAndSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer f.Close()
	record := make([]byte, 376)
	b.ResetTimer()
	for n := range b.N {
		_, _ = f.WriteAt(record, int64(n*len(record)))
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a quarter of a million sessions, one shard's part of a
// million, by hints and without.
func BenchmarkOpen(b *testing.B) {
	const sessions = 250_000
	m := compile(b, limit, false)
	i := opened(b, m)
	for n := range sessions {
		require.Zero(b, i.Set(keyOf(n), make([]byte, 300), 0, 1, 0))
	}
	require.Zero(b, i.Save(1))
	for range 400 {
		i.Sweep(1, 2000)
	}
	require.Zero(b, i.Save(1))
	i.close()
	run := func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			i := m.instantiate(b)
			b.StartTimer()
			require.Zero(b, i.open(abi.ConfigMemoryLimit, strconv.Itoa(limit)))
			b.StopTimer()
			b.ReportMetric(float64(i.memory.Size()), "memory-B")
			_, code := i.Get(keyOf(sessions/2), 1)
			require.Zero(b, code)
			i.close()
		}
	}
	b.Run("hints", run)
	hints, err := filepath.Glob(filepath.Join(m.dir, "shard-0", "*.hint"))
	require.NoError(b, err)
	require.NotEmpty(b, hints)
	for _, name := range hints {
		require.NoError(b, os.Remove(name))
	}
	b.Run("scan", run)
}

// BenchmarkPause writes with compaction at work all the time, and reports the
// longest call.
func BenchmarkPause(b *testing.B) {
	i := opened(b, compile(b, limit, false), "max_bytes", "64MiB")
	value := make([]byte, 300)
	const keys = 50_000
	for n := range keys {
		i.Set(keyOf(n), value, 0, 1, 0)
	}
	b.ResetTimer()
	var longest, over time.Duration
	for n := range b.N {
		start := time.Now()
		if code := i.Set(keyOf(n*7919%keys), value, 0, 1, 0); code != 0 {
			b.Fatal(code)
		}
		if d := time.Since(start); d > longest {
			longest = d
		} else if d > time.Millisecond {
			over++
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	b.ReportMetric(float64(over), "over-1ms")
}
