// Package segments keeps sessions in files to which records are only ever
// appended: the inside of the engine dynfile.
//
// Where the record of each session lies is known in memory; the files are the
// truth. A write is one write to the current file, a read one read. What is no
// longer needed is given back by moving the rest of a file elsewhere, in small
// steps, and removing the file. README.md of the engine describes the format and
// why it survives what it does.
package segments

import (
	"errors"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/siphash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Options say how a store works.
type Options struct {
	// Shard is the number of this store among Shards in one directory.
	Shard, Shards int

	// SegmentBytes is the size at which a segment is full, MinSegment to
	// MaxSegment; 0 is DefaultSegment.
	SegmentBytes int64

	// MaxBytes is how much room the files may take; 0 is no bound. At least
	// MinBytes, and 16 segments. Sessions fill at most three quarters of
	// what is left of it without a reserve of two segments; the rest is what
	// giving space back needs to go on. What Open keeps for deletions on a
	// full disk, 256 KiB, is not part of it.
	MaxBytes int64

	// MaxSessions is how many sessions there may be; 0 is no bound. With one,
	// the index takes at most SessionBytes for each, also while the store is
	// opened.
	MaxSessions int64

	// MaxOpen is how many segments may be open at a time; 0 is 64.
	MaxOpen int

	// Random returns random bits: secrets that keep what is no record from
	// being taken for one.
	Random func() uint64

	// hash replaces the hash of keys, in tests of those that collide.
	hash func(key []byte) uint64
}

// SessionBytes is the memory to be reckoned for a session: 40 bytes in the index,
// and some for what opening a store needs beside it.
const SessionBytes = 52

// Bounds of options.
const (
	MinSegment     = 64 << 10
	DefaultSegment = 16 << 20
	MaxSegment     = 128 << 20
	MinBytes       = 8 << 20
)

// Store keeps sessions. It is not safe for concurrent use. Its errors are those
// of package guest, and its operations do what guest.Engine and the interfaces
// beside it say.
//
// An operation that has returned survives the end of the process; it survives a
// power loss if Save succeeded after it.
type Store struct {
	options Options
	fs      vfs.FS
	dir     string
	hash    siphash.Key

	index  index
	recent recent
	now    int64 // the time by which space is given back; see tick
	told   int64 // the time as whoever called last has it

	looked   int64 // the time at which it was last looked where writes go
	unlooked int   // writes since then

	table      []*segment // by slot; nil where none is
	hot        *segment   // that operations write to, nil until there is one
	cold       *segment   // that compaction writes to, as well
	nextNumber uint32
	nextSeq    uint64
	floor      uint64
	total      int64 // size of all files
	live       int64 // of which are sessions in the index
	buffer     []byte

	uses      uint64
	openFiles int

	// dirChanged: segments were made or removed since the directory was last
	// synced.
	dirChanged bool

	compaction compaction
	hinting    *hinting
	hintScan   []byte // buffers of the last hint, kept
	hintOut    []byte
	credit     int64 // bytes that the background work may go through
	troubled   bool  // the background work failed last time
	gone       bool  // what is written goes to files that nobody will find
	reserve    reserve
	full       bool // it was said that the disk is, and no session was stored since
	saved      saved
	crowded    bool // it was said that sessions are close to MaxSessions

	sweepAt      uint32
	swept        int64 // the time that Sweep was told last, 0 for none
	sweptExpires int64 // the latest expiry of all sessions that were swept
	stats        Stats
}

// Stats count what a store has seen since it was opened.
type Stats struct {
	Sessions  int64 // in the index, with expired ones not found yet
	Segments  int
	FileBytes int64 // of all segments and hints
	LiveBytes int64 // of which are records of those sessions

	Expired uint64 // sessions that were found to have expired
	Crowded bool   // a session was refused since there were as many as there may be

	Damaged   uint64 // records or stretches that could not be read
	Torn      uint64 // ends of writes that a power loss or a crash cut short
	Compacted uint64 // segments that were given back
	Copied    uint64 // bytes written by compaction
	Hints     uint64 // segments opened by their hint
	Scanned   uint64 // segments read through at open
	Ranges    uint64 // parts in which the index was built at open, for want of memory
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	st := s.stats
	st.Sessions, st.FileBytes, st.LiveBytes = int64(s.index.count), s.total, s.live
	for _, g := range s.table {
		if g != nil {
			st.Segments++
		}
	}
	return st
}

// Errors that are made once.
var (
	errKey       = guest.Fail(guest.ErrInvalid, "a key has 1 to 1024 bytes")
	errValue     = guest.Fail(guest.ErrTooLarge, "a value takes at most 1 MiB")
	errFull      = guest.Fail(guest.ErrNoSpace, "sessions fill the room that max_bytes leaves them")
	errWaiting   = guest.Fail(guest.ErrNoSpace, "max_bytes is reached, and space could not be given back yet")
	errSessions  = guest.Fail(guest.ErrNoSpace, "no memory for the index of more sessions: raise memory_limit")
	errSegments  = guest.Fail(guest.ErrNoSpace, "there are 65536 segments, and there cannot be more")
	errCollision = guest.Fail(guest.ErrUnavailable, "another key has the same hash: try again with another key")
	errDamaged   = guest.Fail(guest.ErrCorrupt, "the record fails its checksum")
	errGone      = guest.Fail(guest.ErrUnavailable, "somebody has removed, moved or replaced files of the store while it was in use, and what is written would not be found again: put them back if you can, and open the store again")
)

// tick notes what time it is. It is not the latest time ever seen: a clock that was
// ahead for a while would go on ending sessions after it was right again.
func (s *Store) tick(now int64) { s.now, s.told = s.believed(now), now }

func (s *Store) hashOf(key []byte) uint64 {
	if s.options.hash != nil {
		return s.options.hash(key)
	}
	return s.hash.Sum(key)
}

// Get returns the value under a key, valid until the next call.
func (s *Store) Get(key []byte, now int64) ([]byte, error) {
	s.tick(now)
	hash := s.hashOf(key)
	_, sl := s.index.find(hash)
	if sl == nil || sl.expired(now) {
		return nil, guest.ErrNotFound
	}
	stored, value, err := s.read(sl)
	if err != nil {
		return nil, err
	}
	if string(stored) != string(key) {
		return nil, guest.ErrNotFound
	}
	s.recent.note(hash, s.where(sl), key, abi.Revision(value))
	return value, nil
}

// Set stores a value if the write's condition allows it.
func (s *Store) Set(w guest.Write) error {
	s.tick(w.Now)
	if len(w.Key) == 0 || len(w.Key) > abi.MaxKey {
		return errKey
	}
	if len(w.Value) > MaxValue {
		return errValue
	}
	// Giving space back can move slots: it comes first.
	size := recordSize(len(w.Key), len(w.Value))
	noSpace := s.makeSpace(size)
	hash := s.hashOf(w.Key)
	id, sl := s.index.find(hash)
	if err := s.check(sl, &w); err != nil {
		return err
	}
	if w.Expired() {
		if sl == nil {
			return s.buryAbsent(hash)
		}
		return s.bury(id, sl)
	}
	if noSpace != nil {
		return noSpace
	}
	if err := s.admit(sl, size); err != nil {
		return err
	}
	b := s.room(size)
	copy(b[headerSize:], w.Key)
	copy(b[headerSize+len(w.Key):], w.Value)
	r := record{hash: hash, expires: w.Expires, kind: kindPut, keyLen: len(w.Key), valueLen: len(w.Value)}
	if err := s.put(b, &r, sl); err != nil {
		return err
	}
	s.sweep(sweepPerSet, s.now)
	s.earn(size)
	return nil
}

// check decides whether a write is allowed over what is stored.
func (s *Store) check(sl *slot, w *guest.Write) error {
	if sl == nil || sl.expired(w.Now) {
		return w.Check(nil, false)
	}
	revision, err := s.identify(sl, w.Key)
	if err != nil {
		if w.Expect == abi.ExpectAny && errors.Is(err, guest.ErrCorrupt) {
			return nil // what cannot be read can still be replaced
		}
		return err
	}
	var buffer [8]byte
	return w.Check(revisionBytes(&buffer, revision), true)
}

// identify makes sure that a slot is the key's, and returns the revision of
// what is stored.
func (s *Store) identify(sl *slot, key []byte) (revision uint64, err error) {
	stored, revision, ok := s.recent.look(sl.hash, s.where(sl))
	if !ok {
		var value []byte
		if stored, value, err = s.read(sl); err != nil {
			return 0, err
		}
		revision = abi.Revision(value)
	}
	if string(stored) != string(key) {
		return 0, errCollision
	}
	return revision, nil
}

// put appends a session whose key and value are in place in b, and turns the
// index to it. sl is the slot that its hash has, or nil.
func (s *Store) put(b []byte, r *record, sl *slot) error {
	if sl != nil && (sl.flags&slotOutlived != 0 || outlives(sl.expires, r.expires)) {
		r.kind |= flagOutlived
	}
	at, err := s.append(b, r)
	if err != nil {
		return err
	}
	if sl != nil {
		s.disown(sl)
	} else {
		_, sl = s.index.insert(r.hash, 0, 0, 0)
	}
	s.own(sl, at, r)
	key := b[headerSize:][:r.keyLen]
	s.recent.note(r.hash, s.where(sl), key, abi.Revision(b[headerSize+r.keyLen:][:r.valueLen]))
	return nil
}

// own makes a slot that of a record in a place.
func (s *Store) own(sl *slot, at place, r *record) {
	sl.at, sl.expires, sl.flags = at, r.expires, 0
	if r.outlived() {
		sl.flags = slotOutlived
	}
	g := s.table[at.segment()]
	g.live += int64(at.size())
	g.liveCount++
	s.live += int64(at.size())
}

// disown takes a slot's record from the account of its segment.
func (s *Store) disown(sl *slot) {
	g := s.table[sl.at.segment()]
	g.live -= int64(sl.at.size())
	g.liveCount--
	s.live -= int64(sl.at.size())
	if g.liveCount == 0 {
		g.stuck = false
	}
}

// drop removes a session from the index.
func (s *Store) drop(id uint32, sl *slot) {
	s.disown(sl)
	s.index.remove(id)
}

func (s *Store) where(sl *slot) uint64 {
	return whereOf(s.table[sl.at.segment()].number, sl.at)
}

// Touch gives a session a new expiry. It writes the session again: records are
// small, and one record per session is what keeps everything else simple.
func (s *Store) Touch(key []byte, expires, now int64) error {
	s.tick(now)
	noSpace := s.makeSpace(maxTouched)
	hash := s.hashOf(key)
	id, sl := s.index.find(hash)
	if sl == nil || sl.expired(now) {
		return guest.ErrNotFound
	}
	if guest.Expired(expires, now) || sl.expires == expires {
		_, err := s.identify(sl, key)
		switch {
		case errors.Is(err, errCollision):
			return guest.ErrNotFound
		case err != nil || sl.expires == expires:
			return err
		}
		return s.bury(id, sl)
	}
	stored, value, err := s.read(sl)
	if err != nil {
		return err
	}
	if string(stored) != string(key) {
		return guest.ErrNotFound
	}
	if noSpace != nil {
		return noSpace
	}
	size := recordSize(len(stored), len(value))
	if err := s.admit(sl, size); err != nil {
		return err
	}
	// What was read lies where it is written from.
	r := record{hash: hash, expires: expires, kind: kindPut, keyLen: len(stored), valueLen: len(value)}
	if err := s.put(s.buffer[:size], &r, sl); err != nil {
		return err
	}
	s.earn(size)
	return nil
}

// Delete removes a session, if there is one.
func (s *Store) Delete(key []byte, now int64) error {
	s.tick(now)
	_ = s.makeSpace(headerSize) // a tombstone has a reserve of its own
	hash := s.hashOf(key)
	id, sl := s.index.find(hash)
	if sl == nil {
		return s.buryAbsent(hash)
	}
	// What cannot be read is taken for the key's: the hash is.
	if _, err := s.identify(sl, key); err != nil && !errors.Is(err, guest.ErrCorrupt) {
		if errors.Is(err, errCollision) {
			return nil
		}
		return err
	}
	return s.bury(id, sl)
}

// bury writes a tombstone and removes the session.
func (s *Store) bury(id uint32, sl *slot) error {
	r := record{hash: sl.hash, kind: kindTombstone, expires: sl.expires}
	if sl.flags&slotOutlived != 0 {
		r.expires = 0
	}
	if err := s.admitTombstone(); err != nil {
		return err
	}
	if _, err := s.append(s.room(headerSize), &r); err != nil {
		return err
	}
	s.drop(id, sl)
	s.earn(headerSize)
	return nil
}

// buryAbsent removes what is not in the index. That is nothing, but for a session
// that has expired and was swept not long ago: should the clock go back a little
// and the store be opened again, it must not be there.
func (s *Store) buryAbsent(hash uint64) error {
	if s.sweptExpires == 0 || s.longExpired(s.sweptExpires) {
		return nil
	}
	if err := s.admitTombstone(); err != nil {
		return err
	}
	_, err := s.append(s.room(headerSize), &record{hash: hash, kind: kindTombstone, expires: s.sweptExpires})
	return err
}

// expire removes a session that has expired from the index. On disk nothing
// needs to change.
func (s *Store) expire(id uint32, sl *slot) {
	s.stats.Expired++
	s.sweptExpires = max(s.sweptExpires, sl.expires)
	s.drop(id, sl)
}
