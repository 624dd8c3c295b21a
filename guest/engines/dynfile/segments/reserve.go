package segments

import (
	"encoding/binary"
	"errors"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// A disk can be full, and deleting takes a write: a tombstone, or the segment that
// clears all others. A file without content keeps room for that. When there is no
// other room, it is removed. From then on, until there is room to make it again,
// sessions are refused, lest they use up the room.
const (
	reserveName  = "reserve"
	reserveBytes = 256 << 10

	// spareBytes is how much of it deletions may use. The rest is for Clear.
	spareBytes = reserveBytes / 4 * 3

	// smallMove is how much compaction may write at a time while the reserve is
	// spent.
	smallMove = reserveBytes / 8

	// reserveEvery: of the calls that want the reserve back, one in reserveEvery
	// tries to make it.
	reserveEvery = 64

	// A call that would be refused for lack of the reserve tries at once. On some
	// file systems a vain attempt takes a millisecond. Therefore only reserveTries
	// calls try within reserveRest milliseconds and, if their clock stands still,
	// one in reserveEvery.
	reserveTries = 4
	reserveRest  = 100
)

var errShort = guest.Fail(guest.ErrNoSpace, "the disk is full, and the remaining room is kept for deletions")

// reserve is the state of the file.
type reserve struct {
	held  bool  // it exists
	short bool  // it does not exist, for lack of room
	spare int64 // while short: bytes that deletions and compaction may still write
	wait  int   // calls that are not refused until the next attempt

	since int64 // when refused calls began to try
	tried int   // how many of them did
	asked int64 // when the last one came
	still int   // how many came at that time
}

// allows reports whether a call that would be refused may try.
func (r *reserve) allows(now int64) bool {
	if now != r.asked {
		r.asked, r.still = now, 0
	}
	r.still++
	switch past := now - r.since; {
	case past >= reserveRest || past <= -reserveRest:
		r.since, r.tried, r.still = now, 0, 0
	case r.still > reserveEvery:
		r.tried, r.still = reserveTries-1, 0
	}
	if r.tried == reserveTries {
		return false
	}
	r.tried++
	return true
}

// openReserve finds the file, or makes it.
func (s *Store) openReserve() {
	_ = s.fs.Remove(s.reserveNew()) // one that a crash has left half made
	info, err := s.fs.Stat(s.reservePath())
	if err == nil && info.Kind == vfs.Regular && info.Size == reserveBytes {
		s.reserve.held = true
		return
	}
	s.restore()
}

func (s *Store) reservePath() string { return s.dir + "/" + reserveName }
func (s *Store) reserveNew() string  { return s.reservePath() + ".new" }

// spend removes the reserve if an operation failed for lack of room, and reports
// whether there may be some now.
func (s *Store) spend(err error) bool {
	if !s.reserve.held || !errors.Is(err, guest.ErrNoSpace) || errors.Is(err, errSegments) {
		return false
	}
	if err := s.fs.Remove(s.reservePath()); err != nil && !vfs.NotExist(err) {
		return false
	}
	if !s.full {
		guest.Log(guest.LevelWarn, "dynfile: the disk is full: until there is room, sessions can be deleted but not stored")
		s.full = true
	}
	s.reserve = reserve{short: true, spare: spareBytes}
	if s.hinting != nil {
		s.abandonHint()
	}
	return true
}

// restore makes the reserve again, at some of the calls. Only a lack of room keeps
// sessions from being stored without it: any other problem shows when they are
// written.
func (s *Store) restore() {
	switch {
	case s.reserve.held || s.gone:
	case s.reserve.wait > 0:
		s.reserve.wait--
	default:
		s.tryReserve()
	}
}

// demand makes the reserve again for a call that would otherwise be refused, and
// reports whether the call can proceed.
func (s *Store) demand() bool {
	if s.reserve.short && !s.gone && s.reserve.allows(s.told) {
		s.tryReserve()
	}
	return !s.reserve.short
}

func (s *Store) tryReserve() {
	err := s.makeReserve()
	switch {
	case err == nil:
		s.reserve = reserve{held: true}
		return
	case !vfs.NoSpace(err):
		s.reserve.short = false
	case !s.reserve.short:
		s.reserve.short, s.reserve.spare = true, spareBytes
	}
	s.reserve.wait = reserveEvery - 1
}

// makeReserve writes the file under another name, so that it never has the right
// size without the room.
func (s *Store) makeReserve() error {
	file, err := s.fs.OpenFile(s.reserveNew(), vfs.ReadWrite|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(noise(uint64(s.options.Shard)), 0)
	if err == nil {
		err = file.Sync()
	}
	_ = file.Close()
	if err == nil {
		err = s.fs.Rename(s.reserveNew(), s.reservePath())
	}
	if err != nil {
		_ = s.fs.Remove(s.reserveNew())
	}
	return err
}

// noise is data that a file system can neither compress, store as a hole, nor
// share with another shard's.
func noise(seed uint64) []byte {
	b := make([]byte, 0, reserveBytes)
	for x := seed + 0x9e3779b97f4a7c15; len(b) < reserveBytes; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

// retireWaste lets compaction work on the current segment while space is short:
// there may be nothing else to free.
func (s *Store) retireWaste() {
	g := s.hot
	if g == nil || g.size <= min(s.options.SegmentBytes/2, reserveBytes) {
		return
	}
	kept := g.live
	if g.tombs > 0 && s.needsTombstone(s.oldestBeside(g), g.tombSeq, g.tombExpires) {
		kept += g.tombs
	}
	if kept <= smallMove {
		s.hot = nil
	}
}
