package vfs

import (
	"structs"
	"unsafe"
)

// Calls of WASI preview 1. Each returns an errno.

//go:wasmimport wasi_snapshot_preview1 path_open
//go:noescape
func pathOpen(dir int32, lookup uint32, path *byte, pathLen, how uint32, rights, inheriting uint64, flags uint32, fd *int32) uint32

//go:wasmimport wasi_snapshot_preview1 path_create_directory
//go:noescape
func pathCreateDirectory(dir int32, path *byte, pathLen uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_unlink_file
//go:noescape
func pathUnlinkFile(dir int32, path *byte, pathLen uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_remove_directory
//go:noescape
func pathRemoveDirectory(dir int32, path *byte, pathLen uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_rename
//go:noescape
func pathRename(oldDir int32, oldPath *byte, oldPathLen uint32, newDir int32, newPath *byte, newPathLen uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_filestat_get
//go:noescape
func pathFilestatGet(dir int32, lookup uint32, path *byte, pathLen uint32, stat unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 fd_datasync
//go:noescape
func fdDatasync(fd int32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_prestat_get
//go:noescape
func fdPrestatGet(fd int32, prestat unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 fd_prestat_dir_name
//go:noescape
func fdPrestatDirName(fd int32, path *byte, pathLen uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_pread
//go:noescape
func fdPread(fd int32, vectors *vector, n uint32, offset uint64, read *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_pwrite
//go:noescape
func fdPwrite(fd int32, vectors *vector, n uint32, offset uint64, written *uint32) uint32

// vector is a piece of memory to read to or write from.
type vector struct {
	_      structs.HostLayout
	at     uint32
	length uint32
}

func vectorOf(b []byte) vector {
	return vector{at: uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), length: uint32(len(b))}
}

// Flags of path_open.
const (
	openCreate    = 1
	openDirectory = 2
	openExclusive = 4
	openTruncate  = 8
)

// flagNonblock is the flag of path_open with which fd_datasync does not wait.
const flagNonblock = 4

// Rights. Hosts open for reading or for writing according to them.
const (
	rightFdDatasync        = 1 << 0
	rightFdRead            = 1 << 1
	rightFdSeek            = 1 << 2
	rightFdSync            = 1 << 4
	rightFdTell            = 1 << 5
	rightFdWrite           = 1 << 6
	rightFdReaddir         = 1 << 14
	rightFdFilestatGet     = 1 << 21
	rightFdFilestatSetSize = 1 << 22

	rightsRead  = rightFdRead | rightFdSeek | rightFdTell | rightFdSync | rightFdFilestatGet
	rightsWrite = rightFdWrite | rightFdDatasync | rightFdFilestatSetSize
	rightsDir   = rightFdReaddir | rightFdSync | rightFdDatasync | rightFdFilestatGet
)

type filestat struct {
	_                   structs.HostLayout
	dev, ino            uint64
	filetype            uint8
	nlink, size         uint64
	atim, mtim, ctimens uint64
}

type prestat struct {
	_       structs.HostLayout
	kind    uint8
	nameLen uint32
}

// preopened finds the descriptor of a mount by its name. If there is none, it
// returns -1, which no descriptor has.
func preopened(name string) int32 {
	for fd := int32(3); ; fd++ {
		var p prestat
		if fdPrestatGet(fd, unsafe.Pointer(&p)) != 0 {
			return -1
		}
		if p.kind != 0 || int(p.nameLen) != len(name) {
			continue
		}
		found := make([]byte, p.nameLen)
		if fdPrestatDirName(fd, unsafe.SliceData(found), p.nameLen) == 0 && string(found) == name {
			return fd
		}
	}
}
