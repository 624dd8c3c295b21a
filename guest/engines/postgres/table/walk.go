package table

import (
	"encoding/binary"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// An enumeration goes by key. A cursor is the beginning of the key that comes next, as far
// as it fits: 7 bytes, and how many of them count. It costs no memory and no other
// enumeration changes it. That beginning may be the same for more keys than fit into a
// chunk, though not for keys that are hashes. The cursor is then the number of a position
// that is kept.
const (
	prefixSize = 7
	keptCursor = 1 << 62

	// mostPositions bounds what is kept. The least recently used is forgotten.
	mostPositions = 1024
)

// position is where a chunk begins: at a key, or at the first after it.
type positions struct {
	list []position
	last int64 // the number of the newest
}

type position struct {
	number int64
	key    []byte
}

// start returns the key at which the chunk with a cursor begins.
func (p *positions) start(cursor int64) (key []byte, err error) {
	if cursor&keptCursor == 0 {
		length := int(cursor >> (8 * prefixSize))
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(cursor)<<8)
		if cursor == 0 {
			return nil, nil
		}
		if length == 0 || length > prefixSize || [8]byte(b) != cutOff(b, length) {
			return nil, errCursor
		}
		return b[:length], nil
	}
	for i := range p.list {
		if found := p.list[i]; found.number == cursor {
			copy(p.list[i:], p.list[i+1:])
			p.list[len(p.list)-1] = found
			return found.key, nil
		}
	}
	return nil, errCursor
}

// cutOff returns b with zeros from a length on.
func cutOff(b [8]byte, length int) [8]byte {
	clear(b[length:])
	return b
}

var errCursor = guest.Fail(guest.ErrInvalid, "the cursor is none that this instance has given, or one of an enumeration that was left alone for long")

// cursor returns the cursor of a chunk that begins at next. The one before it began at start.
func (p *positions) cursor(start, next []byte) int64 {
	prefix := next[:min(len(next), prefixSize)]
	if string(prefix) > string(start) {
		var b [8]byte
		copy(b[:], prefix)
		return int64(binary.BigEndian.Uint64(b[:])>>8) | int64(len(prefix))<<(8*prefixSize)
	}
	if len(p.list) == mostPositions {
		p.list = append(p.list[:0], p.list[1:]...)
	}
	p.last++
	p.list = append(p.list, position{keptCursor | p.last, append([]byte(nil), next...)})
	return keptCursor | p.last
}

const (
	// chunkKeys and chunkRecords are how many are read for a chunk at most.
	chunkKeys    = 1024
	chunkRecords = 256

	// chunkBytes is what fits into a chunk.
	chunkBytes = 64<<10 - 8
)

// Keys is guest.Lister's.
func (t *Table) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	start, err := t.walks.start(cursor)
	if err != nil {
		return 0, err
	}
	rows, _, err := t.query(&t.sql.keys, t.deadline(), client.Bytes(start), client.Number(now), client.Number(chunkKeys+1))
	for i, row := range rows {
		if err == nil && (i == chunkKeys || !chunk.Add(row[0])) {
			return t.walks.cursor(start, row[0]), nil
		}
	}
	return 0, err
}

// Snapshot is guest.Snapshotter's.
func (t *Table) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	start, err := t.walks.start(cursor)
	if err != nil {
		return 0, err
	}
	rows, _, err := t.query(&t.sql.records, t.deadline(), client.Bytes(start), client.Number(now), client.Number(chunkRecords+1), client.Number(chunkBytes))
	for i, row := range rows {
		if err == nil && (i == chunkRecords || row[2] == nil || !chunk.Add(row[0], row[2], client.Int(row[1]))) {
			return t.walks.cursor(start, row[0]), nil
		}
	}
	return 0, err
}
