package mount_test

import (
	"context"
	_ "embed"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

var (
	//go:embed testdata/calls.wasm
	callsWasm []byte

	//go:embed testdata/storm.wasm
	stormWasm []byte
)

// Numbers of WASI.
const (
	success      = 0
	badf         = 8
	dquot        = 19
	exist        = 20
	inval        = 28
	isdir        = 31
	loop         = 32
	mfile        = 33
	nametoolong  = 37
	noent        = 44
	nomem        = 48
	nospc        = 51
	notdir       = 54
	notempty     = 55
	perm         = 63
	rofs         = 69
	oCreat       = 1
	oDirectory   = 2
	oExcl        = 4
	oTrunc       = 8
	rightRead    = 1 << 1
	rightWrite   = 1 << 6
	fdAppend     = 1
	preopen      = 3
	bufferAt     = 0x1000
	secondPathAt = 0x400
)

// guest makes file calls through WASI; calls.wat does what it is told.
type guest struct {
	t   testing.TB
	mod api.Module
}

func newRuntime(t testing.TB, before func(context.Context)) wazero.Runtime {
	return newRuntimeWith(t, wazero.NewRuntimeConfig(), before)
}

func newRuntimeWith(t testing.TB, config wazero.RuntimeConfig, before func(context.Context)) wazero.Runtime {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { r.Close(ctx) })
	b := r.NewHostModuleBuilder("wasi_snapshot_preview1")
	var hooks wasi.Hooks
	if before != nil {
		hooks.Before = func(ctx context.Context, _ wasi.Work) { before(ctx) }
	}
	for _, f := range wasi.Functions(hooks) {
		b.NewFunctionBuilder().WithGoModuleFunction(f.Call, f.Params, f.Results).Export(f.Name)
	}
	_, err := b.Instantiate(ctx)
	require.NoError(t, err)
	return r
}

func instantiate(t testing.TB, r wazero.Runtime, wasm []byte, config wazero.FSConfig) api.Module {
	mod, err := r.InstantiateWithConfig(context.Background(), wasm,
		wazero.NewModuleConfig().WithName("").WithFSConfig(config).WithSysWalltime())
	require.NoError(t, err)
	return mod
}

func newGuest(t testing.TB, m *mount.FS) *guest {
	r := newRuntime(t, nil)
	return &guest{t, instantiate(t, r, callsWasm, wasi.Mount(wazero.NewFSConfig(), m, "/"))}
}

func (g *guest) call(name string, args ...uint64) uint64 {
	g.t.Helper()
	results, err := g.mod.ExportedFunction(name).Call(context.Background(), args...)
	require.NoError(g.t, err)
	return results[0]
}

// path writes a path into the guest's memory and returns its address and
// length.
func (g *guest) path(at uint64, path string) (uint64, uint64) {
	require.True(g.t, g.mod.Memory().WriteString(uint32(at), path))
	return at, uint64(len(path))
}

func (g *guest) word(at uint32) uint64 {
	v, ok := g.mod.Memory().ReadUint32Le(at)
	require.True(g.t, ok)
	return uint64(v)
}

func (g *guest) open(path string, oflags, rights, fdflags uint64) (fd, errno uint64) {
	g.t.Helper()
	p, n := g.path(0, path)
	errno = g.call("path_open", preopen, 1, p, n, oflags, rights, 0, fdflags, 8)
	return g.word(8), errno
}

// vector writes one vector for a buffer.
func (g *guest) vector(length int) uint64 {
	const at = 0x800
	b := binary.LittleEndian.AppendUint32(nil, bufferAt)
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	require.True(g.t, g.mod.Memory().Write(at, b))
	return at
}

func (g *guest) write(fd uint64, text string) uint64 {
	g.t.Helper()
	g.path(bufferAt, text)
	return g.call("fd_write", fd, g.vector(len(text)), 1, 8)
}

func (g *guest) read(fd uint64, most int) (string, uint64) {
	g.t.Helper()
	errno := g.call("fd_read", fd, g.vector(most), 1, 8)
	b, ok := g.mod.Memory().Read(bufferAt, uint32(g.word(8)))
	require.True(g.t, ok)
	return string(b), errno
}

func (g *guest) one(name, path string) uint64 {
	g.t.Helper()
	p, n := g.path(0, path)
	return g.call(name, preopen, p, n)
}

func (g *guest) mkdir(path string) uint64  { g.t.Helper(); return g.one("path_create_directory", path) }
func (g *guest) rmdir(path string) uint64  { g.t.Helper(); return g.one("path_remove_directory", path) }
func (g *guest) unlink(path string) uint64 { g.t.Helper(); return g.one("path_unlink_file", path) }

func (g *guest) rename(from, to string) uint64 {
	g.t.Helper()
	p, n := g.path(0, from)
	q, k := g.path(secondPathAt, to)
	return g.call("path_rename", preopen, p, n, preopen, q, k)
}

func (g *guest) link(from, to string) uint64 {
	g.t.Helper()
	p, n := g.path(0, from)
	q, k := g.path(secondPathAt, to)
	return g.call("path_link", preopen, 1, p, n, preopen, q, k)
}

func (g *guest) symlink(target, path string) uint64 {
	g.t.Helper()
	p, n := g.path(0, target)
	q, k := g.path(secondPathAt, path)
	return g.call("path_symlink", p, n, preopen, q, k)
}

func (g *guest) readlink(path string) uint64 {
	g.t.Helper()
	p, n := g.path(0, path)
	return g.call("path_readlink", preopen, p, n, bufferAt, 4096, 8)
}

func (g *guest) stat(path string, follow bool) uint64 {
	g.t.Helper()
	flags := uint64(0)
	if follow {
		flags = 1
	}
	p, n := g.path(0, path)
	return g.call("path_filestat_get", preopen, flags, p, n, bufferAt)
}

func (g *guest) touch(path string, follow bool) uint64 {
	g.t.Helper()
	flags := uint64(0)
	if follow {
		flags = 1
	}
	p, n := g.path(0, path)
	return g.call("path_filestat_set_times", preopen, flags, p, n, 1, 1, 5)
}

// list reads the names of a directory, in pieces of bufLen bytes.
func (g *guest) list(fd uint64, bufLen uint32) (names []string, errno uint64) {
	g.t.Helper()
	cookie := uint64(0)
	for {
		if errno := g.call("fd_readdir", fd, bufferAt, uint64(bufLen), cookie, 8); errno != 0 {
			return nil, errno
		}
		used := g.word(8)
		b, ok := g.mod.Memory().Read(bufferAt, uint32(used))
		require.True(g.t, ok)
		for len(b) >= 24 {
			size := 24 + binary.LittleEndian.Uint32(b[16:])
			if uint32(len(b)) < size {
				break
			}
			names = append(names, string(b[24:size]))
			cookie = binary.LittleEndian.Uint64(b)
			b = b[size:]
		}
		if uint32(used) < bufLen {
			return names, 0
		}
	}
}
