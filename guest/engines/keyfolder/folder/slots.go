package folder

import (
	"io"
	"runtime"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// A session file has three slots of one size, each with a record or empty. A new
// record goes to a slot that holds neither the newest nor the saved record, so that
// one whole record always remains. Its sequence is higher than any in the file, so
// the highest whole record is the current one. When it has been synced, the other
// slots are emptied.
//
// The size of the slots is 4096 bytes, so that no two share a sector, or that times
// a power of two. A slot is empty if it begins with 40 zeros.
//
// The length of a file is three times that, plus one byte once a record in it has
// been synced. That byte distinguishes a session that was saved and is damaged from
// what a power loss left of one that was never saved, which counts as nothing. A
// file of any other length was never saved.
const (
	slotCount    = 3
	leastSlot    = 4 << 10
	mostSlot     = 32 << 20
	leastFile    = slotCount * leastSlot
	savedMark    = 1                         // bytes by which a saved file is longer
	readSize     = leastFile + savedMark + 1 // one more byte shows that a file is longer still
	shrinkFactor = 8                         // a file whose slots are too large by this factor is made anew
)

// slotSizeFor returns the slot size for a record of a size.
func slotSizeFor(size int) int32 {
	slotSize := int32(leastSlot)
	for int(slotSize) < size {
		slotSize *= 2
	}
	return slotSize
}

// fileLength is the length of a file.
func fileLength(slotSize int32, saved bool) int64 {
	length := slotCount * int64(slotSize)
	if saved {
		length += savedMark
	}
	return length
}

// parseLength is the opposite of fileLength.
func parseLength(length int64) (slotSize int32, saved, ok bool) {
	size := length / slotCount
	if size < leastSlot || size > mostSlot || size&(size-1) != 0 {
		return 0, false, false
	}
	slotSize, saved = int32(size), length%slotCount == savedMark
	return slotSize, saved, length == fileLength(slotSize, saved)
}

var (
	errNoRecord    = guest.ErrNotFound // a file that was never saved and has no whole record
	errNothingLeft = guest.Fail(guest.ErrCorrupt, "a saved file has no record: all of it is zeros")
)

// content is what a file contains.
type content struct {
	record record
	place
}

// readFile finds the record in an open file. A file without a whole record is
// errNoRecord, or damaged if it was saved. room returns memory for a large record.
func (s *Store) readFile(f vfs.File, room func(int) []byte) (c content, err error) {
	if len(s.buffer) > keepSize {
		s.buffer = make([]byte, readSize)
	}
	n, err := f.ReadAt(s.buffer[:readSize], 0)
	length := int64(n)
	if err == nil {
		length, err = f.Size()
	} else if err == io.EOF {
		err = nil
	}
	if err != nil {
		return c, err
	}
	slotSize, saved, ok := parseLength(length)
	switch {
	case !ok: // it was being made
		return c, errNoRecord
	case slotSize == leastSlot:
		c, err = parseSlots(s.buffer[:leastFile])
	default:
		c, err = s.readLong(f, slotSize, room)
	}
	c.saved = saved
	switch {
	case saved && err == errNoRecord:
		err = errNothingLeft
	case !saved && isDamage(err):
		err = errNoRecord
	}
	return c, err
}

// parseSlots finds the record in a file with slots of the smallest size. If none is
// whole, the result is errNoRecord if all slots are empty.
func parseSlots(b []byte) (c content, err error) {
	c.slot, c.slotSize = none, leastSlot
	err = errNoRecord
	for slot := range int8(slotCount) {
		in := b[int(slot)*leastSlot : int(slot+1)*leastSlot]
		if isEmpty(in) {
			continue
		}
		c.used |= 1 << slot
		r, damage := parseRecord(in)
		switch {
		case damage != nil:
			err = damage
		case c.slot == none || r.sequence > c.record.sequence:
			c.slot, c.record = slot, r
		}
	}
	if c.slot != none {
		err = nil
	}
	return c, err
}

// readLong is parseSlots for a file that is not read as a whole. It reads the
// headers, then the newest record, and another only if that is not whole.
func (s *Store) readLong(f vfs.File, slotSize int32, room func(int) []byte) (c content, err error) {
	var headers [slotCount]header
	var left [slotCount]bool
	c.slot, c.slotSize = none, slotSize
	err = errNoRecord
	for slot := range headers {
		b := s.buffer[:headerSize]
		if _, readErr := f.ReadAt(b, int64(slot)*int64(slotSize)); readErr != nil {
			return c, readErr
		}
		if isEmpty(b) {
			continue
		}
		c.used |= 1 << slot
		h, damage := parseHeader(b)
		if damage != nil {
			err = damage
			continue
		}
		headers[slot], left[slot] = h, true
	}
	for {
		newest := none
		for slot := range headers {
			if left[slot] && (newest == none || headers[slot].sequence > headers[newest].sequence) {
				newest = slot
			}
		}
		if newest == none {
			return c, err
		}
		left[newest] = false
		r, damage := s.readSlot(f, place{slot: int8(newest), slotSize: slotSize}, headers[newest].size(), room)
		switch {
		case damage == nil:
			c.slot, c.record = int8(newest), r
			return c, nil
		case !isDamage(damage):
			return c, damage
		}
		err = damage
	}
}

// readSlot reads a record whose place is known, and its size if that is not 0.
func (s *Store) readSlot(f vfs.File, p place, size int, room func(int) []byte) (record, error) {
	offset := int64(p.slot) * int64(p.slotSize)
	first := max(size, leastSlot)
	if size == 0 && p.slotSize > leastSlot {
		b := s.buffer[:headerSize]
		if _, err := f.ReadAt(b, offset); err != nil {
			if err == io.EOF {
				err = errDamagedHeader
			}
			return record{}, err
		}
		h, err := parseHeader(b)
		if err != nil {
			return record{}, err
		}
		first = h.size()
	}
	if first > int(p.slotSize) {
		return record{}, errDamagedHeader
	}
	b := s.bufferOf(first, room)
	n, err := f.ReadAt(b, offset)
	if err != nil && err != io.EOF {
		return record{}, err
	}
	return parseRecord(b[:n])
}

// bufferOf returns memory to read into. The previous contents are lost.
func (s *Store) bufferOf(size int, room func(int) []byte) []byte {
	switch {
	case size <= len(s.buffer):
	case size <= keepSize:
		s.buffer = make([]byte, size+size/4) // the next may be a little longer
	case room != nil:
		return room(size)
	default:
		// Memory is small: free the previous buffer first.
		s.buffer = nil
		runtime.GC()
		s.buffer = make([]byte, max(size, readSize))
	}
	return s.buffer[:size]
}

func isEmpty(b []byte) bool {
	for _, c := range b[:headerSize] {
		if c != 0 {
			return false
		}
	}
	return true
}
