package mount

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
)

// MaxTransfer is how many bytes one call reads or writes at most: room for the
// largest value that a guest can be given and for what it puts beside it. What is
// more is left for the next call, as POSIX allows. Nothing can end a call of the
// host, so that it must end by itself.
const MaxTransfer = 17 << 20

// vectorSize is the size of an iovec: a pointer and a length.
const vectorSize = 8

// fewer returns how many of the vectors a call is given, so that they have no more
// than MaxTransfer bytes together: those before the one that is too much, or that
// one if it is the first, of which the file then takes a part.
//
// wazero goes on to the next vector after a part of one was written, so that it
// must not be given any behind that. Nor behind one that leads into the list, which
// wazero looks at while it reads: what the file has for that would be a new list.
func fewer(mod api.Module, vectors, n uint32) uint32 {
	list, ok := mod.Memory().Read(vectors, n*vectorSize)
	if !ok {
		return n // for wazero to refuse
	}
	room := uint32(MaxTransfer)
	for i := range n {
		at, length := binary.LittleEndian.Uint32(list[i*vectorSize:]), binary.LittleEndian.Uint32(list[i*vectorSize+4:])
		if length > room {
			if room == MaxTransfer {
				return i + 1
			}
			return i
		}
		room -= length
		if uint64(at) < uint64(vectors)+uint64(len(list)) && uint64(vectors) < uint64(at)+uint64(length) {
			return i + 1
		}
	}
	return n
}

// part is as much of a buffer as one call transfers.
func part(buf []byte) []byte { return buf[:min(len(buf), MaxTransfer)] }
