package segments

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/guest/engines/internal/siphash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"
)

// A segment begins with its header, twice, so that a damaged bit there does not
// cost all the records.
const (
	segmentMagic      = "waddyseg"
	segmentVersion    = 1
	segmentHeaderSize = 72
	recordsAt         = 2 * segmentHeaderSize
)

// segmentHeader is what a segment says about itself.
type segmentHeader struct {
	number        uint32
	shard, shards uint32
	salt          uint64

	// first is the sequence number that was next when the segment was made.
	// Every record made before it has a lower one.
	first uint64

	// floor is the sequence number below which no record counts, in any segment:
	// the shard was cleared then.
	floor uint64

	key siphash.Key // of the hash of keys
}

func (h *segmentHeader) encode() []byte {
	b := make([]byte, recordsAt)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], segmentVersion)
	binary.LittleEndian.PutUint32(b[16:], h.number)
	binary.LittleEndian.PutUint32(b[20:], h.shard)
	binary.LittleEndian.PutUint32(b[24:], h.shards)
	binary.LittleEndian.PutUint64(b[32:], h.salt)
	binary.LittleEndian.PutUint64(b[40:], h.first)
	binary.LittleEndian.PutUint64(b[48:], h.floor)
	binary.LittleEndian.PutUint64(b[56:], h.key.K0)
	binary.LittleEndian.PutUint64(b[64:], h.key.K1)
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))
	copy(b[segmentHeaderSize:], b[:segmentHeaderSize])
	return b
}

// headerSum covers all of a header but the sum itself.
func headerSum(b []byte) uint32 {
	return uint32(xxhash.Sum(xxhash.Sum(0, b[:12]), b[16:segmentHeaderSize]))
}

// decodeHeader reads a segment's header from whichever copy is whole. It returns
// the version even if it is not one of ours.
func decodeHeader(b []byte) (h segmentHeader, version uint32, ok bool) {
	for ; len(b) >= segmentHeaderSize; b = b[segmentHeaderSize:] {
		if string(b[:8]) != segmentMagic || headerSum(b) != binary.LittleEndian.Uint32(b[12:]) {
			continue
		}
		h = headerFields(b)
		return h, binary.LittleEndian.Uint32(b[8:]), h.first < maxSeq && h.floor < maxSeq
	}
	return h, 0, false
}

func headerFields(b []byte) segmentHeader {
	return segmentHeader{
		number: binary.LittleEndian.Uint32(b[16:]),
		shard:  binary.LittleEndian.Uint32(b[20:]),
		shards: binary.LittleEndian.Uint32(b[24:]),
		salt:   binary.LittleEndian.Uint64(b[32:]),
		first:  binary.LittleEndian.Uint64(b[40:]),
		floor:  binary.LittleEndian.Uint64(b[48:]),
		key:    siphash.Key{K0: binary.LittleEndian.Uint64(b[56:]), K1: binary.LittleEndian.Uint64(b[64:])},
	}
}

// maxFile is the largest size that a segment's file can have.
const maxFile = 1 << offsetBits * unit

// segment is a file of records.
type segment struct {
	segmentHeader
	seeds
	slot uint16 // its place in Store.table

	size   int64 // where the next record goes; everything before it is known to be there
	synced int64 // how much of it is durable

	// live is how much of it is sessions that are in the index.
	live      int64
	liveCount int

	// tombs is how much of it is tombstones. The highest sequence number and the
	// latest expiry among them (0 is never) tell whether they are needed.
	tombs       int64
	tombSeq     uint64
	tombExpires int64

	// The first and the last expiry of all sessions in it that ever expire, 0 if
	// there is none; and whether any has flagOutlived.
	firstExpires, lastExpires int64
	outlived                  bool

	hint int64 // size of its hint file, 0 if it has none

	// unhintable: it has damaged records, which a hint would hide.
	unhintable bool
	// suspect: a sync failed, so nothing after synced is certain. That part is
	// written again elsewhere before the next sync.
	suspect bool
	// uncertain: it has bytes before its end that were never durable, from a
	// failed sync or from a write that a power loss cut short.
	uncertain bool
	// drained: nothing in it is needed once everything that took its place is
	// durable.
	drained bool
	// stuck: it was drained, but has sessions left that cannot be read.
	stuck bool

	file  vfs.File // nil if not open
	used  uint64   // last use, in Store.uses
	grown bool     // this store has written records to it
}

const (
	segmentSuffix = ".segment"
	hintSuffix    = ".hint"
	damagedSuffix = ".damaged"
)

// fileName names a segment's file: its number in eight hexadecimal digits.
func fileName(number uint32, suffix string) string {
	digits := strconv.FormatUint(uint64(number), 16)
	return "00000000"[len(digits):] + digits + suffix
}

// parseName is the opposite of fileName.
func parseName(name, suffix string) (number uint32, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	// Half of the numbers are never used, so there is always a next one.
	return uint32(n), err == nil && n < 1<<31 && fileName(uint32(n), suffix) == name
}

func (s *Store) path(g *segment, suffix string) string {
	return s.dir + "/" + fileName(g.number, suffix)
}

// oldestBeside returns the lowest first of all segments but one. A segment that
// waits for its removal counts. One that was removed does not, although the
// removal may not be durable yet: it will be before the next removal, which is
// what takes a tombstone away.
func (s *Store) oldestBeside(g *segment) uint64 {
	oldest := ^uint64(0)
	for _, other := range s.table {
		if other != nil && other != g {
			oldest = min(oldest, other.first)
		}
	}
	return oldest
}

// needsTombstone reports whether a segment could have a session that a tombstone
// covers, if the oldest segment has this first.
func (s *Store) needsTombstone(oldest, seq uint64, expires int64) bool {
	return oldest <= seq && !s.longExpired(expires)
}

// longExpired reports whether an expiry is so long ago that nobody will ever see
// its record again.
func (s *Store) longExpired(expires int64) bool {
	return expires != 0 && expires <= s.now-clockGrace
}

// clockGrace is how far, in milliseconds, the clock may go backwards between
// calls before an expired record could be seen again.
const clockGrace = 3_600_000

// create makes a new segment to write to. floor is for Clear.
func (s *Store) create(floor uint64) (*segment, error) {
	slot := 0
	for slot < len(s.table) && s.table[slot] != nil {
		slot++
	}
	if slot == maxSegments {
		return nil, errSegments
	}
	for {
		g := &segment{
			segmentHeader: segmentHeader{
				number: s.nextNumber,
				shard:  uint32(s.options.Shard), shards: uint32(s.options.Shards),
				salt: s.options.Random(), first: s.nextSeq, floor: floor, key: s.hash,
			},
			slot: uint16(slot),
			size: recordsAt,
			used: s.uses,
		}
		g.seeds = seedsOf(g.salt)
		if err := s.makeRoom(); err != nil {
			return nil, err
		}
		name := s.path(g, segmentSuffix)
		file, err := s.fs.OpenFile(name, vfs.ReadWrite|vfs.Create|vfs.Exclusive)
		if vfs.Exist(err) { // left by a creation that failed
			s.nextNumber++
			continue
		}
		if err != nil {
			return nil, vfs.Answer(err, "making a segment")
		}
		s.nextNumber++
		if _, err := file.WriteAt(g.encode(), 0); err != nil {
			_ = file.Close()
			_ = s.fs.Remove(name) // an empty segment does no harm
			return nil, vfs.Answer(err, "making a segment")
		}
		g.file = file
		s.openFiles++
		if slot == len(s.table) {
			s.table = append(s.table, nil)
		}
		s.table[slot] = g
		s.total += g.size
		s.dirChanged = true
		return g, nil
	}
}

// open returns a segment's file.
func (s *Store) open(g *segment) (vfs.File, error) {
	s.uses++
	g.used = s.uses
	if g.file != nil {
		return g.file, nil
	}
	if err := s.makeRoom(); err != nil {
		return nil, err
	}
	file, err := s.fs.OpenFile(s.path(g, segmentSuffix), vfs.ReadWrite)
	if err != nil {
		return nil, vfs.Answer(err, "opening a segment")
	}
	g.file = file
	s.openFiles++
	return file, nil
}

// makeRoom closes the file that has been unused for longest, if the maximum
// number is open. A file that is not durable stays open, since its sync reports
// errors in writing it; if necessary, it is synced.
func (s *Store) makeRoom() error {
	for s.openFiles >= s.options.MaxOpen {
		var clean, dirty *segment
		for _, g := range s.table {
			switch {
			case g == nil || g.file == nil || g == s.hot || g == s.cold:
			case g.synced < g.size && (dirty == nil || g.used < dirty.used):
				dirty = g
			case g.synced >= g.size && (clean == nil || g.used < clean.used):
				clean = g
			}
		}
		if clean == nil {
			if dirty == nil {
				return nil
			}
			if err := s.sync(dirty); err != nil {
				return err
			}
			clean = dirty
		}
		s.close(clean)
	}
	return nil
}

func (s *Store) close(g *segment) {
	if g.file != nil {
		_ = g.file.Close() // Sync has already reported all errors
		g.file = nil
		s.openFiles--
	}
}

// sync makes a segment durable.
func (s *Store) sync(g *segment) error {
	if g.synced >= g.size {
		return nil
	}
	file, err := s.open(g)
	if err == nil {
		if err = file.Sync(); err == nil {
			end := g.size
			if !g.grown {
				end = 0 // it may have been cut short before this store was opened
			}
			if err := s.reached(g, end); err != nil {
				return err
			}
			g.synced = g.size
			return nil
		}
		err = vfs.Answer(err, "syncing a segment")
	}
	// The system may have dropped what it could not write, and would report
	// success the next time. What was not durable is written again elsewhere.
	g.suspect = true
	s.retire(g)
	return err
}

// retire ensures that nothing more is written to a segment.
func (s *Store) retire(g *segment) {
	if s.hot == g {
		s.hot = nil
	}
	if s.cold == g {
		s.cold = nil
	}
}

// forget removes a segment from the table and from the disk.
func (s *Store) forget(g *segment) error {
	s.close(g)
	if s.hinting != nil && s.hinting.segment == g {
		s.abandonHint()
	}
	if g.hint > 0 { // first: it is useless without its segment
		if err := s.fs.Remove(s.path(g, hintSuffix)); err != nil && !vfs.NotExist(err) {
			return vfs.Answer(err, "removing a hint")
		}
		s.total -= g.hint
		g.hint = 0
	}
	if err := s.fs.Remove(s.path(g, segmentSuffix)); err != nil && !vfs.NotExist(err) {
		return vfs.Answer(err, "removing a segment")
	}
	s.total -= g.size
	s.reserve.spare += g.size
	s.reserve.wait, s.reserve.tried = 0, 0
	s.table[g.slot] = nil
	s.dirChanged = true
	return nil
}
