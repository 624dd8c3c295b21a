// Package segments keeps sessions in files to which records are only ever appended.
// It is the core of the engine dynfile.
//
// An index in memory says where the record of each session lies; the files are the
// truth. A write is one write to the current file, a read one read. Space is freed
// by moving the needed rest of a file elsewhere, in small steps, and removing the
// file. README.md of the engine describes the format and why it survives what it
// does.
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
	// Shard is the number of this store, out of Shards in one directory.
	Shard, Shards int

	// SegmentBytes is the size at which a segment is full, MinSegment to
	// MaxSegment. 0 means DefaultSegment.
	SegmentBytes int64

	// MaxBytes is how much room the files may take: at least MinBytes, and 16
	// segments. 0 means no limit. Two segments are in reserve. Sessions fill at
	// most three quarters of the rest; the remaining quarter is what compaction
	// needs to keep going. The 256 KiB that Open keeps for deletions on a full disk
	// are not counted.
	MaxBytes int64

	// MaxSessions is how many sessions there may be; 0 means no limit. With a
	// limit, the index takes at most SessionBytes for each, also while the store is
	// opened.
	MaxSessions int64

	// MaxOpen is how many segments may be open at a time; 0 means 64.
	MaxOpen int

	// CacheBytes is how much memory the sessions may take that were read or written
	// lately, at least MinCache. 0 means that none are kept.
	CacheBytes int64

	// Random returns random bits, for secrets that keep other data from being taken
	// for records.
	Random func() uint64

	// hash replaces the hash of keys, in tests of collisions.
	hash func(key []byte) uint64
}

// SessionBytes is the memory to plan per session: 40 bytes in the index, and some
// that opening a store needs beside it.
const SessionBytes = 52

// Bounds of options.
const (
	MinSegment     = 64 << 10
	DefaultSegment = 16 << 20
	MaxSegment     = 128 << 20
	MinBytes       = 8 << 20
)

// Store keeps sessions. It is not safe for concurrent use. Its errors are those of
// package guest. Its operations behave as guest.Engine and its optional interfaces
// specify.
//
// An operation that has returned survives the end of the process. It survives a
// power loss if Save succeeded after it.
type Store struct {
	options Options
	fs      vfs.FS
	dir     string
	hash    siphash.Key

	index  index
	kept   kept
	recent recent // of what kept does not have
	now    int64  // the time by which space is freed; see tick
	told   int64  // the time that the last caller gave

	looked   int64 // when it was last checked where writes go
	unlooked int   // writes since then

	table      []*segment // by slot; nil where there is none
	hot        *segment   // the segment that operations write to, nil until there is one
	cold       *segment   // the segment that compaction writes to, likewise
	nextNumber uint32
	nextSeq    uint64
	floor      uint64
	total      int64 // size of all files
	live       int64 // the part that is sessions in the index
	buffer     []byte

	uses      uint64
	openFiles int

	// dirChanged: segments were made or removed since the directory was last
	// synced.
	dirChanged bool

	compaction compaction
	hinting    *hinting
	hintScan   []byte // buffers of the last hint, kept for reuse
	hintOut    []byte
	credit     int64 // bytes that the background work may go through
	troubled   bool  // the background work failed last time
	gone       bool  // what is written goes to files that nobody will find
	reserve    reserve
	full       bool // the full disk was logged, and no session was stored since
	saved      saved
	crowded    bool // it was logged that sessions are close to MaxSessions

	sweepAt      uint32
	swept        int64 // the time that Sweep was last given, 0 for none
	sweptExpires int64 // the latest expiry of all swept sessions
	stats        Stats
}

// Stats count what a store has seen since it was opened.
type Stats struct {
	Sessions  int64 // in the index, including expired ones that were not found yet
	Segments  int
	FileBytes int64 // of all segments and hints
	LiveBytes int64 // the part that is records of those sessions

	Expired uint64 // sessions that were found expired
	Crowded bool   // a session was refused because of MaxSessions

	Damaged   uint64 // records or stretches that could not be read
	Torn      uint64 // ends of writes that a power loss or a crash cut short
	Compacted uint64 // segments that were freed
	Copied    uint64 // bytes written by compaction
	Hints     uint64 // segments opened by their hints
	Scanned   uint64 // segments read completely at open
	Ranges    uint64 // parts in which the index was built at open, for lack of memory
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
	errKey       = guest.Fail(guest.ErrInvalid, "the key has the wrong length: must have 1 to 1024 bytes")
	errValue     = guest.Fail(guest.ErrTooLarge, "the value is too large: must have at most 1 MiB")
	errFull      = guest.Fail(guest.ErrNoSpace, "sessions fill the room that max_bytes leaves them")
	errWaiting   = guest.Fail(guest.ErrNoSpace, "max_bytes is reached, and no space could be freed yet")
	errSessions  = guest.Fail(guest.ErrNoSpace, "there is no memory for the index of more sessions: raise memory_limit")
	errSegments  = guest.Fail(guest.ErrNoSpace, "there are 65536 segments, which is the maximum")
	errCollision = guest.Fail(guest.ErrUnavailable, "another key has the same hash: try again with another key")
	errDamaged   = guest.Fail(guest.ErrCorrupt, "the record fails its checksum")
	errGone      = guest.Fail(guest.ErrUnavailable, "somebody has removed, moved or replaced files of the store while it was in use, and writes would not be found again: put the files back if you can, and open the store again")
)

// tick notes the time. It is not the latest time ever seen: if the clock was ahead
// for a while, that time would go on ending sessions after the clock is right
// again.
func (s *Store) tick(now int64) {
	s.now, s.told = s.believed(now), now
	s.kept.turned(now)
}

func (s *Store) hashOf(key []byte) uint64 {
	if s.options.hash != nil {
		return s.options.hash(key)
	}
	return s.hash.Sum(key)
}

// Get returns the value under a key, valid until the next call.
func (s *Store) Get(key []byte, now int64) ([]byte, error) {
	if value, ok := s.kept.look(key, now); ok {
		return value, nil
	}
	s.tick(now)
	_, sl := s.index.find(s.hashOf(key))
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
	s.remember(sl, key, value)
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
	// Freeing space can move slots, so it comes first.
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
		return s.bury(id, sl, w.Key)
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
	if sl != nil && sl.expired(w.Now) {
		s.kept.expired(sl.expires) // it may be another key's, with the same hash
	}
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

// identify ensures that a slot belongs to the key, and returns the revision of what
// is stored.
func (s *Store) identify(sl *slot, key []byte) (revision uint64, err error) {
	if value, ok := s.kept.look(key, s.told); ok {
		return abi.Revision(value), nil
	}
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

// put appends a session whose key and value are in place in b, and updates the
// index. sl is the slot with its hash, or nil.
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
	key, value := r.body(b)
	s.remember(sl, key, value)
	return nil
}

// remember keeps a session that was read or written just now, or else its key and
// revision.
func (s *Store) remember(sl *slot, key, value []byte) {
	if !s.kept.note(key, value, sl.expires, s.told) {
		s.recent.note(sl.hash, s.where(sl), key, abi.Revision(value))
	}
}

// own assigns a record in a place to a slot.
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

// disown removes a slot's record from the account of its segment.
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
// small, and having one record per session keeps everything else simple.
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
		return s.bury(id, sl, key)
	}
	b, valueLen, err := s.again(sl, key)
	if err != nil {
		return err
	}
	if noSpace != nil {
		return noSpace
	}
	if err := s.admit(sl, len(b)); err != nil {
		return err
	}
	r := record{hash: hash, expires: expires, kind: kindPut, keyLen: len(key), valueLen: valueLen}
	if err := s.put(b, &r, sl); err != nil {
		return err
	}
	s.earn(len(b))
	return nil
}

// again returns a buffer in which a key and its value are in place to be written again.
func (s *Store) again(sl *slot, key []byte) (b []byte, valueLen int, err error) {
	if value, ok := s.kept.look(key, s.told); ok {
		b := s.room(recordSize(len(key), len(value)))
		copy(b[headerSize:], key)
		copy(b[headerSize+len(key):], value)
		return b, len(value), nil
	}
	stored, value, err := s.read(sl)
	if err != nil {
		return nil, 0, err
	}
	if string(stored) != string(key) {
		return nil, 0, guest.ErrNotFound
	}
	return s.buffer[:recordSize(len(stored), len(value))], len(value), nil // where they were read to
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
	// A record that cannot be read is taken to be the key's, since the hash is.
	if _, err := s.identify(sl, key); err != nil && !errors.Is(err, guest.ErrCorrupt) {
		if errors.Is(err, errCollision) {
			return nil
		}
		return err
	}
	return s.bury(id, sl, key)
}

// bury writes a tombstone and removes the session, which is the key's.
func (s *Store) bury(id uint32, sl *slot, key []byte) error {
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
	s.kept.forget(key)
	s.earn(headerSize)
	return nil
}

// buryAbsent removes a session that is not in the index. There is nothing to do,
// unless the session has expired and was swept recently: if the clock goes back a
// little and the store is opened again, it must not be there.
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

// expire removes an expired session from the index. Nothing needs to change on
// disk.
func (s *Store) expire(id uint32, sl *slot) {
	s.stats.Expired++
	s.sweptExpires = max(s.sweptExpires, sl.expires)
	s.kept.expired(sl.expires)
	s.drop(id, sl)
}
