package folder

import (
	"encoding/binary"
	"errors"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"
)

// A record is a header, the key and the value. Numbers are little-endian.
//
//	 0  8  "waddle1\n"
//	 8  4  checksum of the bytes 12 to 39
//	12  4  checksum of the value, begun with the hash of the key
//	16  2  length of the key, 1 to 1024
//	18  2  0
//	20  4  length of the value
//	24  8  expiry, Unix milliseconds, 0 for never
//	32  8  sequence: of several records in a file the highest is the one
//	40     the key, then the value
//
// A checksum is the lower half of an XXH64.
const (
	magic      = "waddle1\n"
	headerSize = 40

	offHeaderSum = 8
	offBodySum   = 12
	offKeyLen    = 16
	offZero      = 18
	offValueLen  = 20
	offExpires   = 24
	offSequence  = 32
)

// header is what precedes key and value.
type header struct {
	keyLen, valueLen int
	expires          int64
	sequence         uint64
	bodySum          uint32
}

// checksum is for what lies in one piece.
func checksum(b []byte) uint32 { return uint32(xxhash.Sum(0, b)) }

// bodyChecksum is for a key and a value, which may lie apart.
func bodyChecksum(key, value []byte) uint32 { return uint32(xxhash.Sum(xxhash.Sum(0, key), value)) }

func (h header) size() int { return headerSize + h.keyLen + h.valueLen }

// record is a record that was read and its decoded contents.
type record struct {
	header
	key, value []byte // in the buffer that it was read into
}

func (r *record) revision() uint64 { return abi.Revision(r.value) }

var (
	errDamagedHeader = guest.Fail(guest.ErrCorrupt, "the header of a record is damaged")
	errDamagedBody   = guest.Fail(guest.ErrCorrupt, "a record is damaged after its header")
	errOtherKey      = guest.Fail(guest.ErrCorrupt, "a record lies in the folder of another key")
)

// isDamage reports whether a file was read but has no record.
func isDamage(err error) bool { return errors.Is(err, guest.ErrCorrupt) }

// parseHeader reads a header from the first bytes of a record.
func parseHeader(b []byte) (h header, err error) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic ||
		binary.LittleEndian.Uint32(b[offHeaderSum:]) != checksum(b[offBodySum:headerSize]) {
		return h, errDamagedHeader
	}
	h = header{
		keyLen:   int(binary.LittleEndian.Uint16(b[offKeyLen:])),
		valueLen: int(binary.LittleEndian.Uint32(b[offValueLen:])),
		expires:  int64(binary.LittleEndian.Uint64(b[offExpires:])),
		sequence: binary.LittleEndian.Uint64(b[offSequence:]),
		bodySum:  binary.LittleEndian.Uint32(b[offBodySum:]),
	}
	if h.keyLen < 1 || h.keyLen > abi.MaxKey || h.valueLen < 0 || h.valueLen > abi.MaxValue ||
		b[offZero] != 0 || b[offZero+1] != 0 {
		return h, errDamagedHeader
	}
	return h, nil
}

// parseRecord reads a record at the beginning of b and ignores what follows it.
func parseRecord(b []byte) (r record, err error) {
	if r.header, err = parseHeader(b); err != nil {
		return r, err
	}
	value, size := headerSize+r.keyLen, r.size()
	if len(b) < size || bodyChecksum(b[headerSize:value], b[value:size]) != r.bodySum {
		return r, errDamagedBody
	}
	r.key, r.value = b[headerSize:value:value], b[value:size:size]
	return r, nil
}

// appendHeader appends the header of a record.
func appendHeader(b, key, value []byte, expires int64, sequence uint64) []byte {
	start := len(b)
	b = append(b, magic...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, bodyChecksum(key, value))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	b = binary.LittleEndian.AppendUint64(b, uint64(expires))
	b = binary.LittleEndian.AppendUint64(b, sequence)
	binary.LittleEndian.PutUint32(b[start+offHeaderSum:], checksum(b[start+offBodySum:]))
	return b
}
