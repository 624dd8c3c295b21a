package guest

import (
	"encoding/binary"

	"github.com/waddle-sessions/waddle/abi"
)

// chunkSize is the size at which the enumeration of a chunk pauses. A larger
// record makes a chunk of its own.
const chunkSize = 64 << 10

// Bytes of a chunk, and of an entry in it, besides keys and values.
const (
	cursorSize       = 8
	keyHeaderSize    = 4
	recordHeaderSize = 16
)

// chunk is a cursor and the entries that follow it, built in a buffer that is
// usually large enough.
type chunk struct {
	buffer []byte // its length is what has been written so far
}

func (c *chunk) begin(buffer []byte) { c.buffer = abi.AppendCursor(buffer[:0], 0) }

func (c *chunk) end(next int64) []byte {
	abi.AppendCursor(c.buffer[:0], next)
	b := c.buffer
	c.buffer = nil
	return b
}

// fits reports whether n more bytes may be added. The first entry always may.
func (c *chunk) fits(n int) bool {
	return len(c.buffer) == cursorSize || len(c.buffer)+n <= chunkSize
}

// KeyChunk collects the keys of one [Lister].Keys call.
type KeyChunk struct{ chunk }

// Add adds a copy of a key and reports whether there was room. If there was
// none, the enumeration pauses: return the cursor of this key. The first key of
// a chunk always has room.
func (c *KeyChunk) Add(key []byte) bool {
	if !c.fits(keyHeaderSize + len(key)) {
		return false
	}
	c.buffer = abi.AppendKey(c.buffer, key)
	return true
}

// RecordChunk collects the records of one [Snapshotter].Snapshot call.
type RecordChunk struct{ chunk }

// Add adds a copy of a record and reports whether there was room. If there was
// none, the enumeration pauses: return the cursor of this record. The first
// record of a chunk always has room.
func (c *RecordChunk) Add(key, value []byte, expires int64) bool {
	if !c.fits(recordHeaderSize + len(key) + len(value)) {
		return false
	}
	c.buffer = abi.AppendRecord(c.buffer, key, value, expires)
	return true
}

// AddRoom is Add for a value that does not lie in one piece. It returns room for
// valueLen bytes; the caller writes the value there before it adds anything
// else.
func (c *RecordChunk) AddRoom(key []byte, valueLen int, expires int64) (value []byte, ok bool) {
	n := recordHeaderSize + len(key) + valueLen
	if !c.fits(n) {
		return nil, false
	}
	start := len(c.buffer)
	if cap(c.buffer)-start < n {
		c.buffer = append(make([]byte, 0, start+n), c.buffer...)
	}
	c.buffer = abi.AppendRecord(c.buffer, key, nil, expires)
	binary.LittleEndian.PutUint32(c.buffer[start+4:], uint32(valueLen)) // AppendRecord wrote 0
	body := len(c.buffer)
	c.buffer = c.buffer[:body+valueLen]
	return c.buffer[body:], true
}

// Records is a list of records to restore.
type Records struct {
	list []byte
	now  int64
}

// All enumerates the records that have not expired, each as an unconditional
// write. It may be called more than once. Keys and values are valid until
// Restore returns.
func (r Records) All() func(yield func(Write) bool) {
	return func(yield func(Write) bool) {
		for rest := r.list; ; {
			key, value, expires, after, ok := abi.NextRecord(rest)
			if !ok {
				return
			}
			rest = after
			if !Expired(expires, r.now) && !yield(Write{Key: key, Value: value, Expires: expires, Now: r.now}) {
				return
			}
		}
	}
}
