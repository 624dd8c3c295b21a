package segments

import (
	"encoding/binary"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"
)

// A hint has what the index needs to know of a segment, without keys and values,
// so that a store is opened without reading all of them. It is made some time
// after a segment is full and durable. A missing hint costs only time; one that
// is cut short or damaged is ignored.
const (
	hintMagic      = "waddyhnt"
	hintHeaderSize = segmentHeaderSize + 16
	hintEntrySize  = 32

	// maxHint bounds the memory that reading a hint takes. A segment with so
	// many small records that its hint would be larger has none.
	maxHint = 4 << 20
)

// hinting is a hint that is being written.
type hinting struct {
	segment *segment
	scan    *scanner
	file    vfs.File
	out     []byte
	at      int64  // offset where out goes
	sum     uint64 // of all entries up to there
	count   int64
}

// hintStep continues a hint, or begins one.
func (s *Store) hintStep(budget int) error {
	if s.hinting == nil && !s.beginHint() {
		return nil
	}
	h := s.hinting
	file, err := s.open(h.segment)
	if err != nil {
		return err
	}
	h.scan.file = file
	for until := h.scan.at + int64(budget); h.scan.at < until; {
		f, err := h.scan.next()
		if err != nil {
			s.abandonHint()
			return vfs.Answer(err, "reading a segment")
		}
		switch f.what {
		case foundEnd:
			return s.endHint()
		case foundRecord:
			h.out = appendHint(h.out, &f.record, f.offset)
			if h.count++; hintHeaderSize+h.count*hintEntrySize > maxHint {
				h.segment.unhintable = true
				s.abandonHint()
				return nil
			}
		default:
			h.segment.unhintable = true
			s.abandonHint()
			return nil
		}
	}
	return s.writeHint()
}

// beginHint finds a segment that has no hint and creates the file for it.
func (s *Store) beginHint() bool {
	for _, g := range s.table {
		if g == nil || g == s.hot || g == s.cold || g.hint > 0 || g.unhintable || g.suspect || g.drained ||
			g.synced < g.size || g == s.compaction.victim {
			continue
		}
		if s.options.MaxBytes > 0 && s.total+g.size > s.budget() { // a hint is smaller than its segment
			return false
		}
		file, err := s.open(g)
		if err != nil {
			return false
		}
		hint, err := s.fs.OpenFile(s.path(g, hintSuffix), vfs.ReadWrite|vfs.Create|vfs.Truncate)
		if err != nil {
			g.unhintable = true // it does without
			return false
		}
		s.hinting = &hinting{
			segment: g, file: hint, at: hintHeaderSize,
			scan: newScanner(file, g.seeds, g.size, s.hintScan), out: s.hintOut[:0],
		}
		return true
	}
	return false
}

func (s *Store) writeHint() error {
	h := s.hinting
	if _, err := h.file.WriteAt(h.out, h.at); err != nil {
		h.segment.unhintable = true
		s.abandonHint()
		return vfs.Answer(err, "writing a hint")
	}
	h.sum = entriesSum(h.sum, h.out)
	h.at += int64(len(h.out))
	h.out = h.out[:0]
	return nil
}

// endHint writes the header, without which the rest does not count.
func (s *Store) endHint() error {
	if err := s.writeHint(); err != nil {
		return err
	}
	h := s.hinting
	header := encodeHint(h.segment, h.count, h.sum)
	if _, err := h.file.WriteAt(header, 0); err != nil {
		h.segment.unhintable = true
		s.abandonHint()
		return vfs.Answer(err, "writing a hint")
	}
	h.segment.hint = h.at
	s.total += h.at
	s.leaveHint()
	return nil
}

func (s *Store) abandonHint() {
	name := s.path(s.hinting.segment, hintSuffix)
	s.leaveHint()
	_ = s.fs.Remove(name) // it is ignored if it stays
}

func (s *Store) leaveHint() {
	_ = s.hinting.file.Close()
	s.hintScan, s.hintOut = s.hinting.scan.buffer, s.hinting.out
	s.hinting = nil
}

func appendHint(b []byte, r *record, offset int64) []byte {
	b = binary.LittleEndian.AppendUint64(b, r.hash)
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.expires))
	b = binary.LittleEndian.AppendUint32(b, uint32(offset/unit))
	return binary.LittleEndian.AppendUint32(b, uint32(r.kind)<<24|uint32(r.size()/unit))
}

// hintEntry is what a hint says about a record.
type hintEntry struct {
	record
	offset int64
	size   int
}

func decodeHint(b []byte) hintEntry {
	last := binary.LittleEndian.Uint32(b[28:])
	return hintEntry{
		record: record{
			hash:    binary.LittleEndian.Uint64(b),
			seq:     binary.LittleEndian.Uint64(b[8:]),
			expires: int64(binary.LittleEndian.Uint64(b[16:])),
			kind:    byte(last >> 24),
		},
		offset: int64(binary.LittleEndian.Uint32(b[24:])) * unit,
		size:   int(last&(1<<24-1)) * unit,
	}
}

// encodeHint makes the header: that of the segment with another magic, the
// segment's size, and the number of entries.
func encodeHint(g *segment, count int64, entries uint64) []byte {
	b := make([]byte, hintHeaderSize)
	copy(b, g.segmentHeader.encode()[:segmentHeaderSize])
	copy(b, hintMagic)
	binary.LittleEndian.PutUint64(b[segmentHeaderSize:], uint64(g.size))
	binary.LittleEndian.PutUint64(b[segmentHeaderSize+8:], uint64(count))
	binary.LittleEndian.PutUint32(b[12:], hintSum(b, entries))
	return b
}

func hintSum(header []byte, entries uint64) uint32 {
	return uint32(xxhash.Sum(xxhash.Sum(entries, header[:12]), header[16:hintHeaderSize]))
}

// entriesSum continues the sum of entries.
func entriesSum(sum uint64, entries []byte) uint64 {
	for ; len(entries) >= hintEntrySize; entries = entries[hintEntrySize:] {
		sum = xxhash.Sum(sum, entries[:hintEntrySize])
	}
	return sum
}

// hint is a hint that was read and is whole.
type hint struct {
	header  segmentHeader
	size    int64 // of the segment
	entries []byte
	bytes   int64 // of the hint itself
}

// readHint reads a hint, into the buffer if it fits. It returns false for one
// that is not whole. It returns the buffer, perhaps replaced by a larger one.
func readHint(fs vfs.FS, name string, most int64, buffer []byte) (h hint, _ []byte, ok bool) {
	file, err := fs.OpenFile(name, 0)
	if err != nil {
		return h, buffer, false
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil || size < hintHeaderSize || (size-hintHeaderSize)%hintEntrySize != 0 || size > most {
		return h, buffer, false
	}
	if int64(len(buffer)) < size {
		buffer = make([]byte, size)
	}
	if n, _ := file.ReadAt(buffer[:size], 0); int64(n) < size {
		return h, buffer, false
	}
	h, ok = parseHint(buffer[:size])
	return h, buffer, ok
}

func parseHint(b []byte) (h hint, ok bool) {
	if len(b) < hintHeaderSize || string(b[:8]) != hintMagic || binary.LittleEndian.Uint32(b[8:]) != segmentVersion {
		return h, false
	}
	h.entries = b[hintHeaderSize:]
	if hintSum(b, entriesSum(0, h.entries)) != binary.LittleEndian.Uint32(b[12:]) {
		return h, false
	}
	h.header = headerFields(b)
	h.size = int64(binary.LittleEndian.Uint64(b[segmentHeaderSize:]))
	h.bytes = int64(len(b))
	count := binary.LittleEndian.Uint64(b[segmentHeaderSize+8:])
	if count != uint64(len(h.entries)/hintEntrySize) || len(h.entries)%hintEntrySize != 0 ||
		h.header.first >= maxSeq || h.header.floor >= maxSeq || h.size < recordsAt || h.size > maxFile || h.size%unit != 0 {
		return h, false
	}
	end := int64(recordsAt)
	for rest := h.entries; len(rest) > 0; rest = rest[hintEntrySize:] {
		e := decodeHint(rest)
		// In order and without gaps, as in a whole segment.
		if e.offset != end || e.seq >= maxSeq || e.size < headerSize || e.size > maxRecord ||
			e.kind&^flagOutlived != kindPut && e.kind != kindTombstone || e.tombstone() && e.size != headerSize {
			return h, false
		}
		end += int64(e.size)
	}
	return h, end == h.size
}
