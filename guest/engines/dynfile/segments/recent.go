package segments

import "encoding/binary"

// recent remembers the keys and revisions of records that were read or written
// lately. Nearly every write follows a read, and so need not read again what it
// replaces. A session's record never changes, so what is remembered about a
// place stays true for ever.
type recent struct{ entries [recentEntries]recentEntry }

const (
	recentEntries = 2048
	recentKey     = 47 // longer keys are read again
)

// recentEntry has the size of a cache line.
type recentEntry struct {
	where    uint64 // number of the segment and offset
	revision uint64
	keyLen   uint8
	key      [recentKey]byte
}

func whereOf(number uint32, at place) uint64 { return uint64(number)<<32 | uint64(at.offset()/unit) }

func (r *recent) entry(hash uint64) *recentEntry { return &r.entries[hash>>32%recentEntries] }

func (r *recent) note(hash, where uint64, key []byte, revision uint64) {
	e := r.entry(hash)
	if len(key) > recentKey {
		return
	}
	e.where, e.revision, e.keyLen = where, revision, uint8(len(key))
	copy(e.key[:], key)
}

// look returns the key and the revision of the record at a place, or false.
func (r *recent) look(hash, where uint64) (key []byte, revision uint64, ok bool) {
	e := r.entry(hash)
	if e.keyLen == 0 || e.where != where {
		return nil, 0, false
	}
	return e.key[:e.keyLen], e.revision, true
}

// revisionBytes returns a revision in the form that Write.Check takes.
func revisionBytes(buffer *[8]byte, revision uint64) []byte {
	binary.LittleEndian.PutUint64(buffer[:], revision)
	return buffer[:]
}
