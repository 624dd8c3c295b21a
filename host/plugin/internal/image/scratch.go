package image

import (
	"encoding/binary"
	"sync"
)

// A Scratch is room that is used again, so that looking at memories leaves no
// garbage. The zero value is ready. Only one goroutine at a time may use it.
type Scratch struct {
	entries []byte // of the kernel's page map
	pages   pageSet
}

var scratches = sync.Pool{New: func() any { return new(Scratch) }}

// What the kernel says of a page. A page that was written to is anonymous: neither
// of a file nor shared. It may have been swapped out since, or be about to move.
const (
	entrySize = 8
	present   = 1 << 63
	swapped   = 1 << 62
	ofFile    = 1 << 61
)

// readDirty sets pages to those of the memory's first size bytes that are its own,
// in a set that has bits for room bytes.
func (s *Scratch) readDirty(m *Memory, size, room uint64) error {
	words := int((room/pageSize + 63) / 64)
	if cap(s.pages) < words {
		s.pages = make(pageSet, words)
	}
	s.pages = s.pages[:words]
	clear(s.pages)

	n := int(size/systemPage) * entrySize
	if cap(s.entries) < n {
		s.entries = make([]byte, n)
	}
	s.entries = s.entries[:n]
	if err := readPageMap(s.entries, m.base); err != nil {
		return err
	}
	const each = Granularity / pageSize
	perEntry := systemPage / pageSize
	for at := 0; at < n; at += entrySize {
		if !own(binary.NativeEndian.Uint64(s.entries[at:])) {
			continue
		}
		first := uint64(at/entrySize) * perEntry
		for i := first; i < first+min(perEntry, each); i++ {
			s.pages.add(i)
		}
	}
	return nil
}

// own reports whether a page was written to. One that was swapped out is not
// present.
func own(entry uint64) bool { return entry&ofFile == 0 && entry&(present|swapped) != 0 }
