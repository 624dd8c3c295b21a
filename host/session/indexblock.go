package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/waddle-sessions/waddle/host/store"
)

// indexBlock is the stored list of a user's sessions, the one value of its
// record. Each look at a session looks up its entry, so the list has a table to
// search in. Little-endian:
//
//	how many entries                       u32
//	a row for each, ordered by public id:
//	    public id                          22 bytes
//	    where its entry begins             u32
//	the entries, in the same order:
//	    since, added, until                i64 each
//	    keys, up to where the next begins  32 bytes each
type indexBlock []byte

const (
	indexKey = reservedPrefix + "sessions"

	blockHeader    = 4
	publicIDLength = (publicIDSize*8 + 5) / 6 // in base64url without padding
	rowLength      = publicIDLength + 4
)

// indexBlockOf returns the block of a list's record, or ErrDecode for one that is
// not whole.
func indexBlockOf(list *Record) (indexBlock, error) {
	value, ok := list.Values.lookup(indexKey)
	b := indexBlock(value)
	if !ok || list.Values.n != 1 || len(b) < blockHeader || (len(b)-blockHeader)/rowLength < b.len() {
		return nil, fmt.Errorf("%w: the record is not a list", ErrDecode)
	}
	return b, nil
}

func (b indexBlock) len() int { return int(binary.LittleEndian.Uint32(b)) }

func (b indexBlock) publicID(i int) []byte {
	return b[blockHeader+i*rowLength:][:publicIDLength]
}

// entry returns an entry's stored bytes, or nil if they are out of bounds.
func (b indexBlock) entry(i int) []byte {
	begin := func(i int) int {
		return int(binary.LittleEndian.Uint32(b[blockHeader+i*rowLength+publicIDLength:]))
	}
	from, to := begin(i), len(b)
	if i+1 < b.len() {
		to = begin(i + 1)
	}
	if from < blockHeader+b.len()*rowLength || to < from || to > len(b) {
		return nil
	}
	return b[from:to]
}

// has reports whether the list has an entry with a public id and a key.
func (b indexBlock) has(publicID []byte, key *storageKey) bool {
	i := sort.Search(b.len(), func(i int) bool { return bytes.Compare(b.publicID(i), publicID) >= 0 })
	if i == b.len() || !bytes.Equal(b.publicID(i), publicID) {
		return false
	}
	for keys := b.entry(i); len(keys) >= entryTimes+sha256.Size; keys = keys[sha256.Size:] {
		if bytes.Equal(keys[entryTimes:][:sha256.Size], key[:]) {
			return true
		}
	}
	return false
}

// entries decodes the block.
func (b indexBlock) entries() (map[string]indexEntry, error) {
	entries := make(map[string]indexEntry, b.len())
	for i := range b.len() {
		e, ok := decodeIndexEntry(b.entry(i))
		if !ok {
			return nil, fmt.Errorf("%w: entry %d of the list is cut off or out of bounds", ErrDecode, i)
		}
		entries[string(b.publicID(i))] = e
	}
	return entries, nil
}

func makeIndexBlock(entries map[string]indexEntry) indexBlock {
	publicIDs := slices.Sorted(maps.Keys(entries))
	at := blockHeader + len(publicIDs)*rowLength
	size := at
	for _, e := range entries {
		size += entryTimes + len(e.keys)*sha256.Size
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, size), uint32(len(publicIDs)))
	for _, publicID := range publicIDs {
		b = append(b, publicID...)
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
		at += entryTimes + len(entries[publicID].keys)*sha256.Size
	}
	for _, publicID := range publicIDs {
		b = entries[publicID].append(b)
	}
	return b
}

// indexEntry is a session in the list: when its user logged in, when the entry
// was last changed, when the session is certainly over, and the keys under which
// it is, or is about to be, stored.
//
// The last key is where it was. The keys before it are where requests have been
// about to store it since. The list cannot know which of these was first, so it
// keeps them all until a request is seen to go on from one of them.
type indexEntry struct {
	since, added, until store.Millis
	keys                []storageKey
}

const (
	entryTimes = 3 * 8

	// maxEntryKeys bounds how many requests may be giving one session a new id.
	maxEntryKeys = 8
)

// follow adds the key under which a session will be stored next, coming from
// another key of the entry. It returns false if too many requests do so already.
func (e *indexEntry) follow(from, to storageKey, now store.Millis) bool {
	if from != e.keys[len(e.keys)-1] || len(e.keys) >= maxEntryKeys && now-e.added > indexWaitFull {
		// The session was found under from, so it is under none of the others.
		e.keys = []storageKey{to, from}
		return true
	}
	if len(e.keys) >= maxEntryKeys {
		return false
	}
	e.keys = append([]storageKey{to}, e.keys...)
	return true
}

func (e indexEntry) same(as indexEntry) bool {
	return e.since == as.since && e.added == as.added && slices.Equal(e.keys, as.keys)
}

func (e indexEntry) append(b []byte) []byte {
	for _, at := range [...]store.Millis{e.since, e.added, e.until} {
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
	}
	for _, key := range e.keys {
		b = append(b, key[:]...)
	}
	return b
}

func decodeIndexEntry(b []byte) (e indexEntry, ok bool) {
	if len(b) < entryTimes+sha256.Size || (len(b)-entryTimes)%sha256.Size != 0 {
		return e, false
	}
	e.since = store.Millis(binary.LittleEndian.Uint64(b))
	e.added = store.Millis(binary.LittleEndian.Uint64(b[8:]))
	e.until = store.Millis(binary.LittleEndian.Uint64(b[16:]))
	e.keys = make([]storageKey, 0, (len(b)-entryTimes)/sha256.Size)
	for b = b[entryTimes:]; len(b) > 0; b = b[sha256.Size:] {
		e.keys = append(e.keys, storageKey(b[:sha256.Size]))
	}
	return e, true
}
