package folder

import (
	"encoding/binary"

	"github.com/waddle-sessions/waddle/guest/engines/internal/sha256"
)

// id names the folder of a key: the first half of the key's SHA-256. Keys are
// hashed whatever they look like, so that folders are spread evenly and a
// stranger can never choose a name.
type id [16]byte

func idOf(key []byte) (i id) {
	sum := sha256.Sum(key)
	copy(i[:], sum[:])
	return i
}

// The fan-out: 256 directories with 16 in each, which hold the folders. Their
// names are the first two hexadecimal digits of the folder's name, and the third:
// ab/c/abc9….
const (
	tops          = 256
	leavesPerTop  = 16
	leaves        = tops * leavesPerTop
	folderNameLen = 2 * len(id{})
)

// leaf is the number of the directory that holds a folder.
func (i id) leaf() int { return int(i[0])<<4 | int(i[1]>>4) }

// prefix is the first 62 bits, as much of an id as fits into a cursor.
func (i id) prefix() int64 {
	return int64(binary.BigEndian.Uint64(i[:]) >> 2)
}

const (
	prefixBits = 62
	leafBits   = 12
)

// leafOf returns the leaf of ids with a prefix.
func leafOf(prefix int64) int { return int(prefix >> (prefixBits - leafBits)) }

// firstIn returns the lowest prefix in a leaf.
func firstIn(leaf int) int64 { return int64(leaf) << (prefixBits - leafBits) }

// parseID reads the name of a folder.
func parseID(name string) (i id, ok bool) {
	if len(name) != folderNameLen {
		return i, false
	}
	for n := range len(i) {
		high, low := digit(name[2*n]), digit(name[2*n+1])
		if high > 15 || low > 15 {
			return i, false
		}
		i[n] = high<<4 | low
	}
	return i, true
}

// digit is the value of a lower-case hexadecimal digit, or 255 for any other
// byte.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

const hexDigits = "0123456789abcdef"

// paths makes the names of files and directories of one shard.
type paths struct {
	live string // the directory that holds everything alive
}

func (p paths) top(top int) string {
	return p.live + "/" + string([]byte{hexDigits[top>>4], hexDigits[top&15]})
}

func (p paths) leaf(leaf int) string {
	return p.top(leaf>>4) + "/" + hexDigits[leaf&15:leaf&15+1]
}

func (p paths) folder(i id) string {
	var b [pathSize]byte
	return string(p.appendFolder(b[:0], i))
}

// file is a file in the folder of a key.
func (p paths) file(i id, name string) string {
	var b [pathSize]byte
	return string(append(append(p.appendFolder(b[:0], i), '/'), name...))
}

// pathSize has room for any path, so that making one takes one allocation.
const pathSize = 80

func (p paths) appendFolder(b []byte, i id) []byte {
	b = append(b, p.live...)
	b = append(b, '/', hexDigits[i[0]>>4], hexDigits[i[0]&15], '/', hexDigits[i[1]>>4], '/')
	for _, c := range i {
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}

// The files in a folder.
const (
	sessionName = "session"
	newName     = "session-new" // one that is about to become the other
)
