package cache

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// Errors that are made once: repeated bad calls must not fill the memory with
// messages.
var (
	errKey    = guest.Fail(guest.ErrInvalid, "the key has the wrong length: must have 1 to 1024 bytes")
	errValue  = guest.Fail(guest.ErrTooLarge, "the value is too large: must have at most 1 MiB and at most half of an instance's memory")
	errNoRoom = guest.Fail(guest.ErrNoSpace, "there is no room for the record, although all others were evicted")
)

// keyOf returns the key of a record.
func (c *Cache) keyOf(s *slot) []byte {
	at := ownerSize
	if !s.inCell() {
		at += chainSize
	}
	return c.pool.cell(s.ref)[at:][:s.keyLen()]
}

// sessionKeyOf returns the key of a record that has one of 32 bytes.
func (c *Cache) sessionKeyOf(s *slot) *[4]uint64 {
	at := ownerSize
	if !s.inCell() {
		at += chainSize
	}
	extent, from := c.pool.at(s.ref, at)
	return words(extent[from:])
}

// valueInCell returns the value of a record that lies in its cell.
func (c *Cache) valueInCell(s *slot) []byte {
	extent, at := c.pool.at(s.ref, ownerSize+s.keyLen())
	n := uint32(s.valueLen())
	return extent[at : at+n : at+n]
}

// value returns the value of a record in one piece.
func (c *Cache) value(s *slot) []byte {
	if s.inCell() {
		return c.valueInCell(s)
	}
	var whole []byte
	if c.options.Scratch != nil {
		whole = c.options.Scratch(s.valueLen())
	} else {
		whole = make([]byte, s.valueLen())
	}
	c.copyValue(whole, s)
	return whole
}

// copyValue writes the beginning of a value into a buffer, which may be shorter
// than the value.
func (c *Cache) copyValue(to []byte, s *slot) {
	chain, inCell, _ := shape(s.keyLen(), s.valueLen())
	cell := c.pool.cell(s.ref)[ownerSize:]
	if chain == 0 {
		copy(to, cell[s.keyLen():][:inCell])
		return
	}
	id := uint32At(cell)
	n := copy(to, cell[chainSize+s.keyLen():][:inCell])
	for left := s.valueLen() - inCell; left > 0 && n < len(to); left -= chainBytes {
		b := c.pool.block(id)
		n += copy(to[n:], b[:min(left, chainBytes)])
		id = uint32At(b[linkAt:])
	}
}

// revisionOf returns the first bytes of a value, as many as its revision has.
func (c *Cache) revisionOf(s *slot) []byte {
	revision := c.revision[:min(abi.RevisionSize, s.valueLen())]
	c.copyValue(revision, s)
	return revision
}
