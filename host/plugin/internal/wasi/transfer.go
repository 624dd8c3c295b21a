package wasi

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
)

// MaxTransfer is how many bytes one call reads or writes at most: room for the
// largest value that a guest can be given and what it stores beside it. The rest is
// left to the next call, as POSIX allows. Nothing can end a call of the host, so it
// must end by itself.
const MaxTransfer = 17 << 20

// vectorSize is the size of an iovec: a pointer and a length.
const vectorSize = 8

// fewer returns how many of the vectors a call is given, and how many bytes of them it
// moves at most. They have no more than MaxTransfer bytes together: those before the one that exceeds it, or only that
// one if it is the first, of which the file then takes a part.
//
// wazero continues with the next vector after part of one was written, so it must
// not be given any after that one. It must not be given any after one that points
// into the list either. wazero reads the list while it reads the file, so the
// file's contents would become a new list.
func fewer(mod api.Module, vectors, n uint32) (given uint32, bytes int) {
	list, ok := mod.Memory().Read(vectors, n*vectorSize)
	if !ok {
		return n, 0 // for wazero to refuse
	}
	room := uint32(MaxTransfer)
	for i := range n {
		at, length := binary.LittleEndian.Uint32(list[i*vectorSize:]), binary.LittleEndian.Uint32(list[i*vectorSize+4:])
		if length > room {
			if room == MaxTransfer {
				return i + 1, MaxTransfer
			}
			return i, int(MaxTransfer - room)
		}
		room -= length
		if uint64(at) < uint64(vectors)+uint64(len(list)) && uint64(vectors) < uint64(at)+uint64(length) {
			return i + 1, int(MaxTransfer - room)
		}
	}
	return n, int(MaxTransfer - room)
}

// part is as much of a buffer as one call transfers.
func part(buf []byte) []byte { return buf[:min(len(buf), MaxTransfer)] }
