package segments

import (
	"encoding/binary"
	"fmt"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

// SurveyOver is the first round of a survey over any file system.
func SurveyOver(fs vfs.FS, o survey.Options, v survey.Visitor) error {
	s := Begin("", o, v)
	s.fs = fs
	return s.Round()
}

// WithHash replaces the hash of keys.
func WithHash(hash func([]byte) uint64) func(*Options) { return func(o *Options) { o.hash = hash } }

// Verify checks that the accounts agree with the index, and that the index is
// consistent.
func (s *Store) Verify() error {
	live := make(map[uint16]int64)
	counts := make(map[uint16]int)
	var all int64
	for id := range s.index.count {
		sl := s.index.slot(id)
		if found, _ := s.index.find(sl.hash); found != id {
			return fmt.Errorf("slot %d is not found by its hash", id)
		}
		if int(sl.at.segment()) >= len(s.table) || s.table[sl.at.segment()] == nil {
			return fmt.Errorf("slot %d lies in segment %d, which is not there", id, sl.at.segment())
		}
		if g := s.table[sl.at.segment()]; sl.at.offset()+int64(sl.at.size()) > g.size {
			return fmt.Errorf("slot %d ends after its segment", id)
		}
		if sl.flags&slotGone != 0 {
			return fmt.Errorf("slot %d is gone", id)
		}
		live[sl.at.segment()] += int64(sl.at.size())
		counts[sl.at.segment()]++
		all += int64(sl.at.size())
	}
	if all != s.live {
		return fmt.Errorf("%d bytes are live, the account says %d", all, s.live)
	}
	total, files := int64(0), 0
	for i, g := range s.table {
		if g == nil {
			continue
		}
		if g.live != live[uint16(i)] || g.liveCount != counts[uint16(i)] {
			return fmt.Errorf("segment %d has %d live records, the account says %d", g.number, counts[uint16(i)], g.liveCount)
		}
		if g.drained && g.liveCount > 0 {
			return fmt.Errorf("segment %d is drained and has %d live records", g.number, g.liveCount)
		}
		if g.file != nil {
			files++
		}
		total += g.size + g.hint
	}
	if total != s.total || files != s.openFiles {
		return fmt.Errorf("%d bytes in files, %d open, the account says %d, %d", total, files, s.total, s.openFiles)
	}
	return nil
}

// Buckets returns how many buckets the index has, and whether these are more than its
// sessions need.
func (s *Store) Buckets() (n int, roomy bool) {
	return int(s.index.table.Buckets()), s.index.table.Roomy(s.index.count)
}

// ExpiryOf returns when a session expires.
func (s *Store) ExpiryOf(key []byte) (int64, bool) {
	_, sl := s.index.find(s.hashOf(key))
	if sl == nil {
		return 0, false
	}
	return sl.expires, true
}

// Renumber gives a segment another number, with matching checksums.
func Renumber(b []byte, number uint32) []byte {
	return rehead(b, func(h *segmentHeader) { h.number = number }, segmentVersion)
}

// Reversion gives a segment another version.
func Reversion(b []byte, version uint32) []byte {
	return rehead(b, func(*segmentHeader) {}, version)
}

func rehead(b []byte, change func(*segmentHeader), version uint32) []byte {
	h, _, ok := decodeHeader(b)
	if !ok {
		panic("no header")
	}
	change(&h)
	header := h.encode()
	binary.LittleEndian.PutUint32(header[8:], version)
	binary.LittleEndian.PutUint32(header[12:], headerSum(header))
	copy(header[segmentHeaderSize:], header[:segmentHeaderSize])
	return append(header, b[recordsAt:]...)
}

// Reseal gives bytes that follow a segment the checksums of records, wherever
// they could be one.
func Reseal(segment, b []byte) []byte {
	h, _, _ := decodeHeader(segment)
	seeds := seedsOf(h.salt)
	b = append([]byte(nil), b...)
	for at := 0; at+headerSize <= len(b); {
		r := fields(b[at:])
		if !r.plausible() || at+r.size() > len(b) {
			at += unit
			continue
		}
		seeds.seal(b[at:at+r.size()], &r, int64(len(segment)+at))
		at += r.size()
	}
	return b
}

// ResealHint gives a hint the correct checksum.
func ResealHint(b []byte) []byte {
	b = append([]byte(nil), b...)
	if len(b) >= hintHeaderSize {
		binary.LittleEndian.PutUint32(b[12:], hintSum(b, entriesSum(0, b[hintHeaderSize:])))
	}
	return b
}
