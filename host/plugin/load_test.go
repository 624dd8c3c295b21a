package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

func TestRefusals(t *testing.T) {
	limited := quiet()
	limited.Trusted, limited.Deadline, limited.OpenDeadline = false, 50*time.Millisecond, 100*time.Millisecond
	small := quiet()
	small.Limits.Module = 100
	config := func(change func(*plugin.Config)) plugin.Config {
		c := quiet()
		change(&c)
		return c
	}
	for _, c := range []struct {
		guest  string
		config plugin.Config
		kind   error
		says   []string
	}{
		{"marker_missing", quiet(), plugin.ErrNotPlugin, []string{"session_abi_v1"}},
		{"marker_version", quiet(), plugin.ErrVersion, []string{"session_abi_v7", "session_abi_v1"}},
		{"marker_signature", quiet(), plugin.ErrExport, []string{"session_abi_v1", "(i32) -> ()", "() -> ()"}},
		{"marker_memory", quiet(), plugin.ErrExport, []string{"session_abi_v1", "a memory", "() -> ()"}},
		{"export_missing", quiet(), plugin.ErrExport, []string{"session_save", "not exported", "(i64) -> i64"}},
		{"export_signature", quiet(), plugin.ErrExport, []string{"session_get", "(i32, i32, i32) -> i64", "(i32, i32, i64) -> i64"}},
		{"export_global", quiet(), plugin.ErrExport, []string{"session_get", "a global", "(i32, i32, i64) -> i64"}},
		{"optional_signature", quiet(), plugin.ErrExport, []string{"session_touch", "(i32, i32, i64, i64) -> ()", "-> i64"}},
		{"memory_missing", quiet(), plugin.ErrExport, []string{`"memory" is not exported`}},
		{"memory_absent", quiet(), plugin.ErrExport, []string{`"memory" is not exported`}},
		{"memory_function", quiet(), plugin.ErrExport, []string{`"memory" is a function`}},
		{"memory_large", quiet(), plugin.ErrLimits, []string{"33554432", "1073741824", "2147483648"}},
		{"memory_huge", quiet(), plugin.ErrLimits, []string{"65536 pages", "2147483648"}},
		{"import_module", quiet(), plugin.ErrImport, []string{`"env"."abort"`, "waddle_v1", "wasi_snapshot_preview1"}},
		{"import_function", quiet(), plugin.ErrImport, []string{`"waddle_v1"."listen"`, "conn_close, conn_error", "fail, log"}},
		{"import_signature", quiet(), plugin.ErrImport, []string{`"waddle_v1"."log"`, "(i32, i32) -> ()", "(i32, i32, i32) -> ()"}},
		{"import_wasi", quiet(), plugin.ErrImport, []string{`"sock_open"`, "sock_accept"}},
		{"import_memory", quiet(), plugin.ErrFeature, []string{"memory", `"env"."memory"`}},
		{"start", quiet(), plugin.ErrFeature, []string{"start section", "_initialize"}},
		{"table_huge", quiet(), plugin.ErrLimits, []string{"120000000", "262144"}},
		{"nested", quiet(), plugin.ErrLimits, []string{"nested blocks", "4096"}},
		{"data_outside", quiet(), plugin.ErrModule, []string{"data segment", "the memory, which has 1 pages"}},
		{"init_trap", quiet(), plugin.ErrOpen, []string{"unreachable"}},
		{"init_loop", limited, plugin.ErrOpen, []string{"may run for 100ms"}},
		{"init_exit", quiet(), plugin.ErrOpen, []string{"exited with code 2"}},
		{"init_recursion", quiet(), plugin.ErrOpen, []string{"stack overflow"}},
		{"open_trap", quiet(), plugin.ErrOpen, []string{"unreachable"}},
		{"open_loop", limited, plugin.ErrOpen, []string{"may run for 100ms"}},
		{"open_refuses", quiet(), plugin.ErrOpen, []string{"INVALID", "unknown setting: colour"}},
		{"alloc_zero", quiet(), plugin.ErrOpen, []string{"NO_SPACE", "no room for a buffer of"}},
		{"alloc_outside", quiet(), plugin.ErrOpen, []string{"0x0000fde8", "65536"}},
		{"alloc_negative", quiet(), plugin.ErrOpen, []string{"0xfffffff0", "65536"}},
		{"alloc_trap", quiet(), plugin.ErrOpen, []string{"unreachable"}},
		{"alloc_loop", limited, plugin.ErrOpen, []string{"may run for 100ms"}},
		{"describe_trap", quiet(), plugin.ErrOpen, []string{"unreachable"}},
		{"describe_loop", limited, plugin.ErrOpen, []string{"may run for 100ms"}},
		{"describe_outside", quiet(), plugin.ErrOpen, []string{"0x70000000", "65536"}},
		{"describe_unpaired", quiet(), plugin.ErrOpen, []string{"session_describe", "not a pair"}},
		{"describe_small", quiet(), plugin.ErrOpen, []string{"max_key", `"63"`, "64"}},
		{"tiny", small, plugin.ErrLimits, []string{"bytes", "100"}},
		{"tiny", config(func(c *plugin.Config) { c.Shards = 3 }), plugin.ErrConfig, []string{"Shards is 3", "power of two"}},
		{"tiny", config(func(c *plugin.Config) { c.Shards = -1 }), plugin.ErrConfig, []string{"Shards is -1"}},
		{"tiny", config(func(c *plugin.Config) { c.Shards = 2048 }), plugin.ErrConfig, []string{"Shards is 2048", "1024"}},
		{"tiny", config(func(c *plugin.Config) { c.MemoryLimit = -1 }), plugin.ErrConfig, []string{"MemoryLimit is -1"}},
		{"tiny", config(func(c *plugin.Config) { c.MemoryLimit = 1 << 20 }), plugin.ErrLimits, []string{"524288", "1179648", "2359296"}},
		{"tiny", config(func(c *plugin.Config) { c.MemoryLimit = 1 }), plugin.ErrLimits, []string{"leaves 0 bytes"}},
		{"tiny", config(func(c *plugin.Config) { c.Deadline = -1 }), plugin.ErrConfig, []string{"Deadline"}},
		{"tiny", config(func(c *plugin.Config) { c.Limits.Module = -1 }), plugin.ErrConfig, []string{"Limits.Module is -1"}},
		{"tiny", config(func(c *plugin.Config) { c.CacheDir = "x" }), plugin.ErrConfig, []string{"CacheDir", "NoCache"}},
		{"tiny", config(func(c *plugin.Config) { c.GuestConfig = map[string]string{"Bad-Name": "1"} }), plugin.ErrConfig, []string{"Bad-Name", "a-z"}},
		{"tiny", config(func(c *plugin.Config) { c.GuestConfig = map[string]string{"shards": "1"} }), plugin.ErrConfig, []string{"shards"}},
		{"tiny", config(func(c *plugin.Config) { c.GuestConfig = map[string]string{"host_x": "1"} }), plugin.ErrConfig, []string{"host_x"}},
		{"tiny", config(func(c *plugin.Config) { c.GuestConfig = map[string]string{"a": "1\x00"} }), plugin.ErrConfig, []string{"NUL"}},
	} {
		t.Run(c.guest, func(t *testing.T) {
			wasm := guest(t, c.guest)
			p, err := plugin.Open(ctx, wasm, c.config)
			require.Nil(t, p)
			require.ErrorIs(t, err, c.kind)
			var refused *plugin.LoadError
			require.ErrorAs(t, err, &refused)
			for _, s := range append(c.says, c.kind.Error()) {
				require.Contains(t, err.Error(), s)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
	require.Zero(t, plugin.SharedCode(), "a refused guest must leave no code behind")
}

func TestNotWasm(t *testing.T) {
	for name, c := range map[string]struct {
		bytes string
		kind  error
		says  string
	}{
		"empty":     {"", plugin.ErrNotPlugin, `begins with ""`},
		"text":      {"<!DOCTYPE html>", plugin.ErrNotPlugin, `begins with "<!DOCTYP"`},
		"component": {"\x00asm\x0d\x00\x01\x00", plugin.ErrNotPlugin, "component"},
		"version 2": {"\x00asm\x02\x00\x00\x00", plugin.ErrNotPlugin, "02 00 00 00"},
		"bare":      {"\x00asm\x01\x00\x00\x00", plugin.ErrNotPlugin, "session_abi_v1"},
		"cut":       {"\x00asm\x01\x00\x00\x00\x01\x7f", plugin.ErrModule, "section type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plugin.Open(ctx, []byte(c.bytes), quiet())
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// The compiler refuses a module that passes preflight and is still not valid. It panics
// on some, which must not matter.
func TestInvalidCode(t *testing.T) {
	wasm := guest(t, "tiny")
	at := bytes.LastIndex(wasm, []byte{0x42, 0x00, 0x0b}) // i64.const 0, end
	require.Positive(t, at)
	broken := bytes.Clone(wasm)
	broken[at] = 0x41 // i32.const in place of an i64
	_, err := plugin.Open(ctx, broken, quiet())
	require.ErrorIs(t, err, plugin.ErrModule)
	require.ErrorContains(t, err, "does not compile")
}

func TestRefusalsTakeLittleMemory(t *testing.T) {
	// Thirty bytes declare four thousand million locals, and the like.
	module := func(sections ...string) []byte {
		return []byte("\x00asm\x01\x00\x00\x00" + strings.Join(sections, ""))
	}
	const void = "\x01\x04\x01\x60\x00\x00"
	for name, wasm := range map[string][]byte{
		"locals":        module(void, "\x03\x02\x01\x00", "\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b"),
		"types":         module("\x01\x05\xff\xff\xff\xff\x0f"),
		"functions":     module(void, "\x03\x05\xff\xff\xff\xff\x0f"),
		"name":          module("\x07\x06\x01\xff\xff\xff\xff\x0f"),
		"custom name":   module("\x00\x05\xff\xff\xff\xff\x0f"),
		"names":         module("\x00\x0c\x04name\x01\x05\xff\xff\xff\xff\x0f"),
		"data":          module("\x0b\x07\x01\x01\xff\xff\xff\xff\x0f"),
		"elements":      module("\x09\x08\x01\x01\x00\xff\xff\xff\xff\x0f"),
		"table":         guest(t, "table_huge"),
		"section":       module("\x01\xff\xff\xff\xff\x0f"),
		"imports":       module("\x02\x05\xff\xff\xff\xff\x0f"),
		"branch table":  module(void, "\x03\x02\x01\x00", "\x0a\x0a\x01\x08\x00\x0e\xff\xff\xff\xff\x0f\x0b"),
		"nested blocks": guest(t, "nested"),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := plugin.Open(ctx, wasm, quiet())
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
		})
	}
}

func TestOpenFileAndFS(t *testing.T) {
	p, err := plugin.OpenFile(ctx, filepath.Join("testdata", "tiny.wasm"), quiet())
	require.NoError(t, err)
	require.Equal(t, "tiny.wasm", p.Name(), "a guest without a name is called by its file")
	require.NoError(t, p.Close(ctx))

	p, err = plugin.OpenFS(ctx, os.DirFS("testdata"), "store.wasm", quiet())
	require.NoError(t, err)
	require.Equal(t, "tiny store", p.Name(), "a guest's own name comes first")
	require.NoError(t, p.Close(ctx))

	config := quiet()
	config.Name = "mine"
	p, err = plugin.OpenFS(ctx, fstest.MapFS{"x": {Data: guest(t, "store")}}, "x", config)
	require.NoError(t, err)
	info := p.Info()
	require.Equal(t, "mine", p.Name())
	require.Equal(t, "tiny store", info.Name)
	require.Equal(t, "1.0", info.Version)
	require.Equal(t, []string{"cas"}, info.Capabilities)
	require.Equal(t, 128, info.MaxKey)
	require.Equal(t, 8000, info.MaxValue)
	require.Equal(t, int64(32<<20), info.ShardMemory)
	require.NoError(t, p.Close(ctx))

	_, err = plugin.OpenFile(ctx, "testdata/none.wasm", quiet())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = plugin.OpenFS(ctx, os.DirFS("testdata"), "start.wasm", quiet())
	require.ErrorContains(t, err, "plugin start.wasm: ")

	config = quiet()
	config.Limits.Module = 100
	_, err = plugin.OpenFS(ctx, endless{}, "endless", config)
	require.ErrorIs(t, err, plugin.ErrLimits, "a file without an end is not read to it")
}

func TestOpenWithCancelledContext(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := plugin.Open(cancelled, guest(t, "tiny"), quiet())
	require.ErrorIs(t, err, context.Canceled)
}

func TestConfigReachesTheGuest(t *testing.T) {
	var log logBuffer
	config := quiet()
	config.Logger, config.Shards, config.MemoryLimit = log.logger(), 2, 4<<20
	config.GuestConfig = map[string]string{"zebra": "z", "max_entries": "100", "apple": ""}
	open(t, guest(t, "open_shouts"), config)
	// A NUL does not print and is replaced in the log.
	const pairs = "apple\ufffd\ufffdmax_entries\ufffd100\ufffdmemory_limit\ufffd2097152\ufffdshard\ufffd%\ufffdshards\ufffd2\ufffdzebra\ufffdz\ufffd"
	require.Contains(t, log.String(), strings.ReplaceAll(pairs, "%", "0"))
	require.Contains(t, log.String(), strings.ReplaceAll(pairs, "%", "1"))
}

func TestShardsByDefault(t *testing.T) {
	config := quiet()
	config.Shards = 0
	p := open(t, guest(t, "tiny"), config)
	n := p.Info().Shards
	require.GreaterOrEqual(t, n, min(2*runtime.GOMAXPROCS(0), 64))
	require.Zero(t, n&(n-1))

	config.MemoryLimit = 2 << 20 // room for one instance of 18 pages
	p = open(t, guest(t, "tiny"), config)
	require.Equal(t, 1, p.Info().Shards, "fewer shards rather than too small ones")
}

type endless struct{}

func (endless) Open(string) (fs.File, error) { return endlessFile{}, nil }

type endlessFile struct{}

func (endlessFile) Read(p []byte) (int, error) { clear(p); return len(p), nil }
func (endlessFile) Close() error               { return nil }
func (endlessFile) Stat() (os.FileInfo, error) { return nil, errors.ErrUnsupported }
