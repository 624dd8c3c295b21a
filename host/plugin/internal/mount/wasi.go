package mount

import (
	"context"
	"io/fs"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	wasys "github.com/tetratelabs/wazero/sys"
)

// Config returns base with the directory mounted at guestPath. The guest's WASI
// must be that of [ExportFunctions]: with wazero's own, an error for which it has
// no number ends the call with a panic.
func (m *FS) Config(base wazero.FSConfig, guestPath string) wazero.FSConfig {
	return base.(sysfs.FSConfig).WithSysFSMount(guestFS{m}, guestPath)
}

// ExportFunctions adds WASI preview 1 to a module that is being built. The
// functions are wazero's, except that errors like ENOSPC and EMFILE reach the
// guest, and that their cost to the host is bounded. Functions exported later
// replace those it exported.
//
// Unless it is nil, before runs at the beginning of each function that deals with
// files. It may panic to end the guest.
func ExportFunctions(b wazero.HostModuleBuilder, before func(context.Context)) {
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	for name, definition := range wasiFunctions() {
		if !strings.HasPrefix(name, "fd_") && !strings.HasPrefix(name, "path_") {
			continue
		}
		b.NewFunctionBuilder().
			WithGoModuleFunction(&function{
				wasi:     definition.GoFunction().(api.GoModuleFunction),
				limits:   limits[name],
				vectored: vectored[name],
				before:   before,
			}, definition.ParamTypes(), definition.ResultTypes()).
			Export(name)
	}
}

// wasiFunctions are wazero's own, which only a compiled module gives access to.
var wasiFunctions = sync.OnceValue(func() map[string]api.FunctionDefinition {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	module, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		panic(err) // these functions are constants of the program
	}
	return module.ExportedFunctions()
})

// limit is the maximum of a parameter of a function, and the error above it.
type limit struct {
	param int
	most  uint32
	errno uint64
}

// Numbers of WASI.
const (
	wasiBadf        = 8
	wasiInval       = 28
	wasiNametoolong = 37
)

// What wazero does for one call grows with these numbers, which the guest
// chooses: system calls with vectors, memory with a buffer for entries, copies
// with a path, and the table of descriptors, up to gigabytes, with the number of
// a descriptor. [MaxTransfer] bounds how many bytes a call moves.
const (
	maxVectors       = 1024
	maxReaddirBuffer = 128 << 10
	maxDescriptor    = 1 << 12
)

func pathLimit(param int) limit { return limit{param, maxPath, wasiNametoolong} }

var limits = map[string][]limit{
	"fd_pread":                {{2, maxVectors, wasiInval}},
	"fd_pwrite":               {{2, maxVectors, wasiInval}},
	"fd_read":                 {{2, maxVectors, wasiInval}},
	"fd_readdir":              {{2, maxReaddirBuffer, wasiInval}},
	"fd_renumber":             {{1, maxDescriptor, wasiBadf}},
	"fd_write":                {{2, maxVectors, wasiInval}},
	"path_create_directory":   {pathLimit(2)},
	"path_filestat_get":       {pathLimit(3)},
	"path_filestat_set_times": {pathLimit(3)},
	"path_link":               {pathLimit(3), pathLimit(6)},
	"path_open":               {pathLimit(3)},
	"path_readlink":           {pathLimit(2)},
	"path_remove_directory":   {pathLimit(2)},
	"path_rename":             {pathLimit(2), pathLimit(5)},
	"path_symlink":            {pathLimit(1), pathLimit(4)},
	"path_unlink_file":        {pathLimit(2)},
}

// vectored are the functions that read or write a list of vectors.
var vectored = map[string]bool{"fd_pread": true, "fd_pwrite": true, "fd_read": true, "fd_write": true}

// function is one of wazero's functions with its limits and its way of passing
// errors.
type function struct {
	wasi     api.GoModuleFunction
	limits   []limit
	vectored bool // its second and third parameters are a list of vectors
	before   func(context.Context)
}

// Call implements api.GoModuleFunction.
func (f *function) Call(ctx context.Context, mod api.Module, stack []uint64) {
	if f.before != nil {
		f.before(ctx)
	}
	for _, l := range f.limits {
		if uint32(stack[l.param]) > l.most {
			stack[0] = l.errno
			return
		}
	}
	if f.vectored {
		stack[2] = uint64(fewer(mod, uint32(stack[1]), uint32(stack[2])))
	}
	defer catch(stack)
	f.wasi.Call(ctx, mod, stack)
}

// thrown is an error on its way past wazero, as a panic. wazero's functions
// between the file and here hold no locks and have nothing to undo, and nothing
// else belongs to one call alone: instances share the mount and the functions.
type thrown sys.Errno

func catch(stack []uint64) {
	switch r := recover().(type) {
	case nil:
	case thrown:
		stack[0] = uint64(sys.Errno(r) - beyond)
	default:
		panic(r)
	}
}

// throw passes on the errors that wazero knows and panics with the others.
func throw(errno sys.Errno) sys.Errno {
	if errno >= beyond {
		panic(thrown(errno))
	}
	return errno
}

// guestFS is an FS whose errors reach the guest.
type guestFS struct{ sys.FS }

func (g guestFS) OpenFile(path string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	f, errno := g.FS.OpenFile(path, flag, perm)
	if throw(errno) != 0 {
		return nil, errno
	}
	return guestFile{f}, 0
}

func (g guestFS) Lstat(path string) (wasys.Stat_t, sys.Errno) {
	st, errno := g.FS.Lstat(path)
	return st, throw(errno)
}

func (g guestFS) Stat(path string) (wasys.Stat_t, sys.Errno) {
	st, errno := g.FS.Stat(path)
	return st, throw(errno)
}

func (g guestFS) Readlink(path string) (string, sys.Errno) {
	text, errno := g.FS.Readlink(path)
	return text, throw(errno)
}

func (g guestFS) Mkdir(path string, perm fs.FileMode) sys.Errno {
	return throw(g.FS.Mkdir(path, perm))
}

func (g guestFS) Rename(from, to string) sys.Errno          { return throw(g.FS.Rename(from, to)) }
func (g guestFS) Rmdir(path string) sys.Errno               { return throw(g.FS.Rmdir(path)) }
func (g guestFS) Unlink(path string) sys.Errno              { return throw(g.FS.Unlink(path)) }
func (g guestFS) Utimens(path string, a, m int64) sys.Errno { return throw(g.FS.Utimens(path, a, m)) }

// guestFile is a file or directory whose errors reach the guest. The methods that
// are not here return no errors unknown to wazero.
type guestFile struct{ sys.File }

func (g guestFile) Stat() (wasys.Stat_t, sys.Errno) {
	st, errno := g.File.Stat()
	return st, throw(errno)
}

func (g guestFile) Read(buf []byte) (int, sys.Errno) {
	n, errno := g.File.Read(part(buf))
	return n, throw(errno)
}

func (g guestFile) Pread(buf []byte, off int64) (int, sys.Errno) {
	n, errno := g.File.Pread(part(buf), off)
	return n, throw(errno)
}

func (g guestFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	entries, errno := g.File.Readdir(n)
	return entries, throw(errno)
}

func (g guestFile) Write(buf []byte) (int, sys.Errno) {
	n, errno := g.File.Write(part(buf))
	return n, throw(errno)
}

func (g guestFile) Pwrite(buf []byte, off int64) (int, sys.Errno) {
	n, errno := g.File.Pwrite(part(buf), off)
	return n, throw(errno)
}

func (g guestFile) Truncate(size int64) sys.Errno      { return throw(g.File.Truncate(size)) }
func (g guestFile) Sync() sys.Errno                    { return throw(g.File.Sync()) }
func (g guestFile) Datasync() sys.Errno                { return throw(g.File.Datasync()) }
func (g guestFile) Utimens(atim, mtim int64) sys.Errno { return throw(g.File.Utimens(atim, mtim)) }
