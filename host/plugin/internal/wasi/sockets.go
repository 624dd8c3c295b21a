package wasi

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Sockets are the connections of a guest. It has them as descriptors, from [FirstSocket]
// on, which files never reach. An errno is a number of WASI, 0 for none.
type Sockets interface {
	// Read and Write move what can be moved at once, or wait for it, if they may and the guest
	// has set the descriptor so. Reading nothing without an error is the end.
	Read(fd uint32, p []byte, mayWait bool) (n int, errno uint32)
	Write(fd uint32, p []byte, mayWait bool) (n int, errno uint32)

	Shutdown(fd uint32, reading, writing bool) (errno uint32)
	Close(fd uint32) (errno uint32)

	// Status reports whether there is such a descriptor, and whether it waits.
	Status(fd uint32) (waits, ok bool)
	SetWaits(fd uint32, waits bool) (errno uint32)

	// A poll begins, gets its descriptors one by one, and waits until one of them is
	// ready, or for no longer than that. Ready then tells of the one that was added as
	// number i, in the order in which they were.
	BeginPoll()
	AddPoll(fd uint32, write bool)
	Wait(d time.Duration)
	Ready(i int) (ready bool, errno uint32)

	// Steady is the guest's steady clock.
	Steady() time.Duration
}

// FirstSocket is the least descriptor of a socket.
const FirstSocket = 1 << 16

// onSocket is what a function does with a descriptor that is a socket.
type onSocket func(s Sockets, mod api.Module, fd uint32, stack []uint64) (errno uint32)

// socketFunctions are the functions that sockets have.
var socketFunctions = map[string]onSocket{
	"fd_close": func(s Sockets, _ api.Module, fd uint32, _ []uint64) uint32 { return s.Close(fd) },
	"fd_read": func(s Sockets, mod api.Module, fd uint32, stack []uint64) uint32 {
		return each(mod, stack[1], stack[2], stack[3], func(p []byte, wait bool) (int, uint32) { return s.Read(fd, p, wait) })
	},
	"fd_write": func(s Sockets, mod api.Module, fd uint32, stack []uint64) uint32 {
		return each(mod, stack[1], stack[2], stack[3], func(p []byte, wait bool) (int, uint32) { return s.Write(fd, p, wait) })
	},
	"fd_fdstat_get":       fdstat,
	"fd_fdstat_set_flags": setFlags,
	"fd_filestat_get":     filestat,
	"sock_recv": func(s Sockets, mod api.Module, fd uint32, stack []uint64) uint32 {
		if uint32(stack[3]) != 0 {
			return notsup // peeking, and waiting for all
		}
		if !mod.Memory().WriteUint16Le(uint32(stack[5]), 0) {
			return fault
		}
		return each(mod, stack[1], stack[2], stack[4], func(p []byte, wait bool) (int, uint32) { return s.Read(fd, p, wait) })
	},
	"sock_send": func(s Sockets, mod api.Module, fd uint32, stack []uint64) uint32 {
		if uint32(stack[3]) != 0 {
			return notsup // there are no flags
		}
		return each(mod, stack[1], stack[2], stack[4], func(p []byte, wait bool) (int, uint32) { return s.Write(fd, p, wait) })
	},
	"sock_shutdown": func(s Sockets, _ api.Module, fd uint32, stack []uint64) uint32 {
		how := uint32(stack[1])
		if how == 0 || how > shutdownRead|shutdownWrite {
			return inval
		}
		return s.Shutdown(fd, how&shutdownRead != 0, how&shutdownWrite != 0)
	},
}

const (
	shutdownRead  = 1
	shutdownWrite = 2
)

// vectoredWork are the functions on sockets that go through a list of vectors.
var vectoredWork = map[string]bool{"fd_read": true, "fd_write": true, "sock_recv": true, "sock_send": true}

// socketFunction is a function that is the socket's own for a socket, and another one's for any
// other descriptor.
type socketFunction struct {
	socket   onSocket
	vectored bool
	other    api.GoModuleFunction
	hooks    Hooks
}

// Call implements api.GoModuleFunction.
func (f *socketFunction) Call(ctx context.Context, mod api.Module, stack []uint64) {
	fd := uint32(stack[0])
	if fd < FirstSocket {
		f.other.Call(ctx, mod, stack)
		return
	}
	s := f.hooks.Sockets(ctx)
	if s == nil {
		f.other.Call(ctx, mod, stack)
		return
	}
	work := Work{}
	if f.vectored {
		work.Bytes = int(min(uint32(stack[2]), maxVectors)) * vectorSize
	}
	f.hooks.Before(ctx, work)
	if _, ok := s.Status(fd); !ok {
		stack[0] = badf
		return
	}
	stack[0] = uint64(f.socket(s, mod, fd, stack))
}

// each calls f with one vector after the other, and writes how many bytes it moved. It stops at
// the first that f does not move wholly, and lets f wait only as long as it has moved nothing. An
// error after that is for the next call to find again.
func each(mod api.Module, vectors, n, result uint64, f func(p []byte, mayWait bool) (int, uint32)) (errno uint32) {
	if uint32(n) > maxVectors {
		return inval
	}
	mem := mod.Memory()
	list, ok := mem.Read(uint32(vectors), uint32(n)*vectorSize)
	if !ok {
		return fault
	}
	if _, ok := mem.ReadUint32Le(uint32(result)); !ok {
		return fault // before anything is moved
	}
	moved := 0
	// What is read may lie over the list: each vector is checked as it is taken.
	for ; len(list) > 0 && moved < MaxTransfer; list = list[vectorSize:] {
		at, length := binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:])
		if length == 0 {
			continue
		}
		p, ok := mem.Read(at, length)
		n, errno := 0, uint32(fault)
		if ok {
			p = p[:min(len(p), MaxTransfer-moved)]
			n, errno = f(p, moved == 0)
		}
		if errno != success && moved == 0 {
			return errno
		}
		moved += n
		if errno != success || n < len(p) {
			break
		}
	}
	mem.WriteUint32Le(uint32(result), uint32(moved))
	return success
}

// Numbers of WASI that describe a socket: its type, its flag, and what may be done with it.
const (
	socketStream = 6
	nonblock     = 1 << 2
	socketRights = 1<<1 | 1<<3 | 1<<6 | 1<<21 | 1<<27 | 1<<28 // read, set flags, write, get status, poll, shut down
)

// fdstat is fd_fdstat_get (fd, result i32) -> errno.
func fdstat(s Sockets, mod api.Module, fd uint32, stack []uint64) uint32 {
	b, ok := mod.Memory().Read(uint32(stack[1]), 24)
	if !ok {
		return fault
	}
	clear(b)
	b[0] = socketStream
	if waits, _ := s.Status(fd); !waits {
		binary.LittleEndian.PutUint16(b[2:], nonblock)
	}
	binary.LittleEndian.PutUint64(b[8:], socketRights)
	return success
}

// setFlags is fd_fdstat_set_flags (fd, flags i32) -> errno.
func setFlags(s Sockets, _ api.Module, fd uint32, stack []uint64) uint32 {
	if uint32(stack[1])&^nonblock != 0 {
		return inval
	}
	return s.SetWaits(fd, uint32(stack[1])&nonblock == 0)
}

// filestat is fd_filestat_get (fd, result i32) -> errno.
func filestat(_ Sockets, mod api.Module, fd uint32, stack []uint64) uint32 {
	b, ok := mod.Memory().Read(uint32(stack[1]), 64)
	if !ok {
		return fault
	}
	clear(b)
	binary.LittleEndian.PutUint64(b[8:], uint64(fd)) // inode
	b[16], b[24] = socketStream, 1                   // links
	return success
}
