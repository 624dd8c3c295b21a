package wasi

import (
	"context"
	"io/fs"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	wasys "github.com/tetratelabs/wazero/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// Mount returns base with a file system mounted at path. The guest's functions must
// be those of [Functions]: with wazero's own, an error for which it has no number
// ends the call with a panic.
func Mount(base wazero.FSConfig, files sys.FS, path string) wazero.FSConfig {
	return base.(sysfs.FSConfig).WithSysFSMount(guestFS{files}, path)
}

// limit is the maximum of a parameter of a function, and the error above it.
type limit struct {
	param int
	most  uint32
	errno uint64
}

// What wazero does for one call grows with these numbers, which the guest
// chooses: system calls with vectors, memory with a buffer for entries, copies
// with a path, and the table of descriptors, up to gigabytes, with the number of
// a descriptor. [MaxTransfer] bounds how many bytes a call moves.
const (
	maxVectors    = 1024
	maxDescriptor = 1 << 12
)

func pathLimit(param int) limit { return limit{param, mount.MaxPath, nametoolong} }

var limits = map[string][]limit{
	"fd_pread":                {{2, maxVectors, inval}},
	"fd_pwrite":               {{2, maxVectors, inval}},
	"fd_read":                 {{2, maxVectors, inval}},
	"fd_readdir":              {{2, mount.MaxListing, inval}},
	"fd_renumber":             {{1, maxDescriptor, badf}},
	"fd_write":                {{2, maxVectors, inval}},
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

// changes are the functions that change a descriptor, their first parameter, itself.
var changes = map[string]bool{"fd_close": true, "fd_renumber": true, "fd_fdstat_set_flags": true, "fd_fdstat_set_rights": true}

// lastStream is the last descriptor of the standard streams.
const lastStream = 2

// fileFunction is one of wazero's functions with its limits and its way of passing
// errors.
type fileFunction struct {
	wasi     api.GoModuleFunction
	limits   []limit
	vectored bool // its second and third parameters are a list of vectors
	changes  bool // its first parameter is a descriptor that it changes
	hooks    Hooks
}

// Call implements api.GoModuleFunction.
func (f *fileFunction) Call(ctx context.Context, mod api.Module, stack []uint64) {
	work := Work{Files: true}
	refused := f.refuses(stack)
	if f.changes && uint32(stack[0]) <= lastStream && f.hooks.Common(ctx) {
		refused = notsup
	}
	if f.vectored && refused == success {
		vectors, bytes := fewer(mod, uint32(stack[1]), uint32(stack[2]))
		stack[2], work.Bytes = uint64(vectors), bytes
	}
	f.hooks.Before(ctx, work)
	defer f.hooks.After(ctx)
	if refused != success {
		stack[0] = refused
		return
	}
	defer catch(stack)
	f.wasi.Call(ctx, mod, stack)
}

// refuses returns the error for a parameter above its limit.
func (f *fileFunction) refuses(stack []uint64) (errno uint64) {
	for _, l := range f.limits {
		if uint32(stack[l.param]) > l.most {
			return l.errno
		}
	}
	return success
}

// thrown is an error on its way past wazero, as a panic. wazero's functions
// between the file and here hold no locks and have nothing to undo, and nothing
// else belongs to one call alone: instances share the mount and the functions.
type thrown sys.Errno

func catch(stack []uint64) {
	switch r := recover().(type) {
	case nil:
	case thrown:
		stack[0] = uint64(sys.Errno(r) - mount.Beyond)
	default:
		panic(r)
	}
}

// throw passes on the errors that wazero knows and panics with the others.
func throw(errno sys.Errno) sys.Errno {
	if errno >= mount.Beyond {
		panic(thrown(errno))
	}
	return errno
}

// guestFS is a file system whose errors reach the guest.
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
