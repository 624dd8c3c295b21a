package segments

import (
	"errors"
	"io"
	"math/bits"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Reading and writing single records.

// room returns a buffer for a record.
func (s *Store) room(size int) []byte {
	if size > len(s.buffer) {
		// A power of two, so that values that grow a little each time do not leave a row
		// of buffers to the collector.
		s.buffer = make([]byte, 1<<bits.Len(uint(max(size, 8<<10)-1)))
	}
	return s.buffer[:size]
}

// read returns the key and value of a slot's record, which lie in the buffer.
func (s *Store) read(sl *slot) (key, value []byte, err error) {
	g := s.table[sl.at.segment()]
	file, err := s.open(g)
	if err != nil {
		return nil, nil, err
	}
	b := s.room(sl.at.size())
	if n, err := file.ReadAt(b, sl.at.offset()); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, nil, guest.Fail(guest.ErrCorrupt, "the segment ends within the record")
		}
		return nil, nil, vfs.Answer(err, "reading a record")
	}
	offset := sl.at.offset()
	r, ok := g.seeds.open(b, offset)
	if !ok && g.seeds.repair(b[:headerSize], offset) {
		r, ok = g.seeds.open(b, offset)
	}
	if !ok || r.tombstone() || r.size() != len(b) || r.hash != sl.hash {
		s.stats.Damaged++
		return nil, nil, errDamaged
	}
	if !g.seeds.whole(b, &r) {
		s.stats.Damaged++
		if !s.mend(b, &r) {
			return nil, nil, errDamaged
		}
	}
	key, value = r.body(b)
	return key, value, nil
}

// mend puts into a record whose key or value is damaged what is kept in memory of it, if
// the damage has left the key as it was.
func (s *Store) mend(b []byte, r *record) bool {
	key, value := r.body(b)
	if s.hashOf(key) != r.hash {
		return false
	}
	kept, ok := s.kept.look(key, s.told)
	return ok && copy(value, kept) == len(kept) && len(kept) == len(value)
}

// append writes a record to the current segment and gives it its sequence number. Its
// key and value are in place in b.
func (s *Store) append(b []byte, r *record) (place, error) {
	if s.gone {
		return 0, errGone
	}
	if !r.tombstone() {
		at, err := s.write(b, r)
		s.full = s.full && err != nil
		return at, err
	}
	if s.reserve.short {
		if s.reserve.spare < int64(len(b)) && !s.demand() {
			return 0, errShort
		}
		s.reserve.spare -= int64(len(b))
	}
	at, err := s.write(b, r)
	if err != nil && s.spend(err) {
		return s.write(b, r)
	}
	return at, err
}

func (s *Store) write(b []byte, r *record) (place, error) {
	if s.hot != nil && s.hot.size > recordsAt && s.hot.size+int64(len(b)) > s.options.SegmentBytes {
		s.hot = nil // full
	}
	if s.hot == nil {
		g, err := s.create(s.floor)
		if err != nil {
			return 0, err
		}
		s.hot = g
	}
	g := s.hot
	r.seq = s.nextSeq
	s.nextSeq++ // also if the write fails: what replaces it gets a number of its own
	r.watermark = watermark(g)
	g.seal(b, r, g.size)
	if _, err := g.file.WriteAt(b, g.size); err != nil {
		s.unwrite(g)
		return 0, vfs.Answer(err, "writing a record")
	}
	if s.lookDue() {
		if err := s.reached(g, g.size+int64(len(b))); err != nil {
			s.unwrite(g)
			return 0, err
		}
	}
	at := placeOf(g.slot, g.size, len(b))
	s.grow(g, len(b))
	g.count(r)
	return at, nil
}

// A write to a file that nobody will find must not be acknowledged. Checking costs two
// thirds as much as a write, and is done once a millisecond by the callers' clock. What
// was answered within the last millisecond is no worse off than what was answered just
// before somebody changed the files. If the clock stands still, one write in looksEvery
// is checked.
const looksEvery = 64

func (s *Store) lookDue() bool {
	s.unlooked++
	if s.told == s.looked && s.unlooked < looksEvery {
		return false
	}
	s.looked, s.unlooked = s.told, 0
	return true
}

// reached returns an error unless everything written to a segment, up to an end, is in
// the file that the next process will open by its name. A file can be written and synced
// long after somebody has removed it, moved it, or put a copy in its place; the copy
// does not grow with it.
func (s *Store) reached(g *segment, end int64) error {
	info, err := s.fs.Stat(s.path(g, segmentSuffix))
	if err == nil && info.Size >= end {
		return nil
	}
	if err != nil && !vfs.NotExist(err) {
		return vfs.Answer(err, "checking a segment")
	}
	s.gone = true
	return errGone
}

func watermark(g *segment) uint32 { return uint32(min(g.synced/unit, maxWatermark)) }

func (s *Store) grow(g *segment, n int) {
	g.size += int64(n)
	g.grown = true
	s.total += int64(n)
}

// count notes the properties of a record that later tell whether its segment may hold
// something needed, even when no session in it is in the index.
func (g *segment) count(r *record) {
	if !r.tombstone() {
		g.outlived = g.outlived || r.outlived()
		if r.expires != 0 {
			if g.firstExpires == 0 || r.expires < g.firstExpires {
				g.firstExpires = r.expires
			}
			g.lastExpires = max(g.lastExpires, r.expires)
		}
		return
	}
	if g.tombs == 0 {
		g.tombExpires = r.expires
	}
	g.tombs += headerSize
	g.tombSeq = max(g.tombSeq, r.seq)
	g.tombExpires = later(g.tombExpires, r.expires)
}

// unwrite undoes what a failed write may have left after the end: all of it may be
// there. It syncs at once. Otherwise a power loss could leave the refused record without
// its undoing. If unwrite fails too, the segment is not written to again, and what is
// needed of it goes elsewhere.
func (s *Store) unwrite(g *segment) {
	err := g.file.Truncate(g.size)
	if err != nil {
		_, err = g.file.WriteAt(zeroHeader[:], g.size)
	}
	if err == nil {
		err = g.file.Sync()
	}
	if err == nil {
		g.synced = g.size
		return
	}
	g.suspect = true
	s.retire(g)
}
