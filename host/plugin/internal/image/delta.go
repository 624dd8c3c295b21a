package image

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// A delta is what a memory has that an image has not:
//
//	sum    uint32  CRC-32C of all that follows
//	count  uint32  of pages
//	image  uint64  the image's number in this process
//	then for each page, in ascending order:
//	page   uint32  its number
//	blocks uint64  a bit for each block of 64 bytes that follows; 0 if the page is zeros
//	        [64]byte for each bit
//
// Numbers are little-endian.
const (
	deltaHeader = 16
	pageHeader  = 12
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Delta appends to a slice what the memory's first size bytes have that an image
// has not, which can be another image than the memory's own. A memory of that
// image which [Memory.Apply] gives the delta has the same size bytes, and zeros
// beyond.
func (m *Memory) Delta(size uint64, against *Image, s *Scratch, to []byte) ([]byte, error) {
	if err := m.check(size); err != nil {
		return to, err
	}
	if err := against.use(); err != nil {
		return to, err
	}
	defer func() { _ = against.leave() }()
	if s == nil {
		s = new(Scratch)
	}
	if err := s.readDirty(m, size, max(size, against.size)); err != nil {
		return to, err
	}
	// Pages that were not written to are as in the memory's own image.
	s.pages.addAll(against.differs(m.image), 0)
	// There are zeros beyond the size, whatever the image has there.
	s.pages.addAll(against.stored, size/pageSize)

	start, count := len(to), uint32(0)
	to = append(to, make([]byte, deltaHeader)...)
	for i := range s.pages.all() {
		p := zeroPage[:]
		if i*pageSize < size {
			p = m.page(i)
		}
		before := len(to)
		if to = appendPage(to, uint32(i), p, against.page(i)); len(to) > before {
			count++
		}
	}
	d := to[start:]
	binary.LittleEndian.PutUint32(d[4:], count)
	binary.LittleEndian.PutUint64(d[8:], against.id)
	binary.LittleEndian.PutUint32(d, crc32.Checksum(d[4:], castagnoli))
	return to, nil
}

// appendPage appends a page's difference, and nothing if there is none.
func appendPage(to []byte, i uint32, p, base []byte) []byte {
	if string(p) == string(base) {
		return to
	}
	at := len(to)
	to = binary.LittleEndian.AppendUint32(to, i)
	to = binary.LittleEndian.AppendUint64(to, 0)
	if string(p) == string(zeroPage[:]) {
		return to
	}
	var mask uint64
	for b := range pageSize / blockSize {
		if block := p[b*blockSize:][:blockSize]; string(block) != string(base[b*blockSize:][:blockSize]) {
			mask |= 1 << b
			to = append(to, block...)
		}
	}
	binary.LittleEndian.PutUint64(to[at+4:], mask)
	return to
}

// Apply writes a delta into a memory that equals the delta's image: newly mapped
// or reset. A delta that is damaged, or of another image, is refused with
// [ErrDelta] before anything is written.
func (m *Memory) Apply(delta []byte) error {
	if m.base == nil {
		return fmt.Errorf("%w: a delta cannot be applied after Release", ErrClosed)
	}
	end, err := checkDelta(delta, m.image.id, m.limit)
	if err != nil {
		return err
	}
	m.used = max(m.used, end)
	for d := delta[deltaHeader:]; len(d) > 0; {
		p, mask := m.page(uint64(binary.LittleEndian.Uint32(d))), binary.LittleEndian.Uint64(d[4:])
		d = d[pageHeader:]
		if mask == 0 {
			clear(p)
		}
		for ; mask != 0; mask &= mask - 1 {
			copy(p[bits.TrailingZeros64(mask)*blockSize:][:blockSize], d)
			d = d[blockSize:]
		}
	}
	return nil
}

// checkDelta returns where the last page of a delta ends.
func checkDelta(delta []byte, image, limit uint64) (end uint64, err error) {
	refuse := func(format string, args ...any) (uint64, error) {
		return 0, fmt.Errorf("%w: %s", ErrDelta, fmt.Sprintf(format, args...))
	}
	if len(delta) < deltaHeader {
		return refuse("it has %d bytes, of at least %d", len(delta), deltaHeader)
	}
	if sum := crc32.Checksum(delta[4:], castagnoli); sum != binary.LittleEndian.Uint32(delta) {
		return refuse("it is damaged: its sum is %08x instead of %08x", sum, binary.LittleEndian.Uint32(delta))
	}
	if id := binary.LittleEndian.Uint64(delta[8:]); id != image {
		return refuse("it was taken against image %d, and the memory is of image %d", id, image)
	}
	count := binary.LittleEndian.Uint32(delta[4:])
	d, next := delta[deltaHeader:], uint64(0)
	for ; len(d) > 0; count-- {
		if count == 0 || len(d) < pageHeader {
			return refuse("%d bytes follow its last page", len(d))
		}
		i := uint64(binary.LittleEndian.Uint32(d))
		n := bits.OnesCount64(binary.LittleEndian.Uint64(d[4:])) * blockSize
		d = d[pageHeader:]
		if i < next || (i+1)*pageSize > limit {
			return refuse("page %d does not belong after page %d in a region of %d bytes", i, next, limit)
		}
		if len(d) < n {
			return refuse("page %d has %d bytes, of %d", i, len(d), n)
		}
		d, next = d[n:], i+1
	}
	if count != 0 {
		return refuse("%d pages are missing", count)
	}
	return next * pageSize, nil
}
