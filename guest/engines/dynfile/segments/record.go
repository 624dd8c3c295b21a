package segments

import (
	"encoding/binary"
	"math/bits"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"
)

// A record is a header, a key, a value, and zeros up to a multiple of 8 bytes.
// README.md of this engine shows every byte of it.
const (
	headerSize = 40
	unit       = 8 // records begin at multiples of it and have sizes that are multiples of it
)

// MaxValue is the largest value in bytes. It bounds what one step of compaction
// must move.
const MaxValue = 1 << 20

// Kinds of records.
const (
	kindPut       byte = 1 // a session
	kindTombstone byte = 2 // there is no session: no key, no value

	// An older record of the key may expire later than this one. This one must
	// therefore not be forgotten just because it has expired itself.
	flagOutlived byte = 0x80
)

// Widths of fields that share a word.
const (
	valueLenBits = 21
	maxWatermark = 1<<24 - 1
)

// record is what a header says.
type record struct {
	hash, seq uint64

	// expires is when a session expires. For a tombstone, it is when the last
	// session that it covers expires. 0 means never.
	expires int64

	keyLen, valueLen int
	kind             byte // including flags

	// watermark is how much of the segment was durable when the record was
	// written, in units. Damage before it was not caused by a power loss.
	watermark uint32

	bodySum uint32
}

func (r *record) tombstone() bool { return r.kind&^flagOutlived == kindTombstone }
func (r *record) outlived() bool  { return r.kind&flagOutlived != 0 }
func (r *record) size() int       { return recordSize(r.keyLen, r.valueLen) }

// body returns the key and the value of a record that is whole in b.
func (r *record) body(b []byte) (key, value []byte) {
	at, end := headerSize+r.keyLen, headerSize+r.keyLen+r.valueLen
	return b[headerSize:at:at], b[at:end:end]
}

func recordSize(keyLen, valueLen int) int {
	return (headerSize + keyLen + valueLen + unit - 1) &^ (unit - 1)
}

// maxRecord is the size of the largest record.
const maxRecord = (headerSize + abi.MaxKey + MaxValue + unit - 1) &^ (unit - 1)

// seeds begin the checksums of a segment's records. They come from the segment's
// salt. Bytes of another segment, which a file system may show after a power
// loss, or of a value made to look like records, are therefore not records here.
// The offset goes into the header's checksum too.
type seeds struct{ header, body uint64 }

func seedsOf(salt uint64) seeds { return seeds{salt, ^salt} }

func (s seeds) headerSum(header []byte, offset int64) uint32 {
	return uint32(xxhash.Sum(s.header+uint64(offset), header[4:headerSize]))
}

func (s seeds) bodySum(body []byte) uint32 { return uint32(xxhash.Sum(s.body, body)) }

// seal writes the header and the padding of a record whose key and value are
// already in place after it. b is the whole record.
func (s seeds) seal(b []byte, r *record, offset int64) {
	end := headerSize + r.keyLen + r.valueLen
	clear(b[end:])
	binary.LittleEndian.PutUint32(b[4:], s.bodySum(b[headerSize:end]))
	binary.LittleEndian.PutUint64(b[8:], r.hash)
	binary.LittleEndian.PutUint64(b[16:], r.seq)
	binary.LittleEndian.PutUint64(b[24:], uint64(r.expires))
	binary.LittleEndian.PutUint32(b[32:], uint32(r.keyLen)<<valueLenBits|uint32(r.valueLen))
	binary.LittleEndian.PutUint32(b[36:], r.watermark<<8|uint32(r.kind))
	binary.LittleEndian.PutUint32(b, s.headerSum(b, offset))
}

// open reads a header. It returns false for bytes that are not one.
func (s seeds) open(header []byte, offset int64) (record, bool) {
	r := fields(header)
	// The fields are checked first: they reject most of what is not a header.
	return r, r.plausible() && s.headerSum(header, offset) == binary.LittleEndian.Uint32(header)
}

// whole reports whether the body, key and value, belongs to the header.
func (s seeds) whole(b []byte, r *record) bool {
	return s.bodySum(b[headerSize:headerSize+r.keyLen+r.valueLen]) == r.bodySum
}

func fields(header []byte) record {
	_ = header[headerSize-1]
	lengths, last := binary.LittleEndian.Uint32(header[32:]), binary.LittleEndian.Uint32(header[36:])
	return record{
		bodySum:   binary.LittleEndian.Uint32(header[4:]),
		hash:      binary.LittleEndian.Uint64(header[8:]),
		seq:       binary.LittleEndian.Uint64(header[16:]),
		expires:   int64(binary.LittleEndian.Uint64(header[24:])),
		keyLen:    int(lengths >> valueLenBits),
		valueLen:  int(lengths & (1<<valueLenBits - 1)),
		kind:      byte(last),
		watermark: last >> 8,
	}
}

// maxSeq bounds sequence numbers, so that none is followed by 0.
const maxSeq = 1 << 62

func (r *record) plausible() bool {
	if r.seq >= maxSeq {
		return false
	}
	switch r.kind &^ flagOutlived {
	case kindPut:
		return r.keyLen >= 1 && r.keyLen <= abi.MaxKey && r.valueLen <= MaxValue
	case kindTombstone:
		return r.keyLen == 0 && r.valueLen == 0 && !r.outlived()
	}
	return false
}

// repair corrects a single flipped bit of a header, in place, and reports whether
// that made it whole. Use it only where a record is known to be: some arbitrary
// bytes would pass.
func (s seeds) repair(header []byte, offset int64) bool {
	sum := binary.LittleEndian.Uint32(header)
	if difference := s.headerSum(header, offset) ^ sum; bits.OnesCount32(difference) <= 1 {
		binary.LittleEndian.PutUint32(header, sum^difference)
		return difference != 0
	}
	for bit := 4 * 8; bit < headerSize*8; bit++ {
		header[bit/8] ^= 1 << (bit % 8)
		if s.headerSum(header, offset) == sum {
			return true
		}
		header[bit/8] ^= 1 << (bit % 8)
	}
	return false
}

var zeroHeader [headerSize]byte

// later returns the later of two expiries.
func later(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// outlives reports whether one expiry comes after another.
func outlives(a, b int64) bool { return b != 0 && (a == 0 || a > b) }
