// Package folder keeps every record in a folder of its own: the inside of the
// engine keyfolder. README.md of the engine says what lies where on the disk.
//
// A record that is written goes to a new file in its folder, complete when Set
// returns. Save syncs it, gives it the name of the durable record, and syncs the
// folder: one or the other is there at any moment, whatever happens.
package folder

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/stamp"
)

// Version is the version of the layout on disk.
const Version = 1

// Engine is the name in the stamp of a directory.
const Engine = "keyfolder"

// Options say what a Store is.
type Options struct {
	// Shard is the number of this instance, of Shards that there are. A
	// directory is opened by as many as it was made for.
	Shard, Shards int

	// MaxPending is how many changed keys are kept in mind between one Save
	// and the next, at least 16. Beyond that, each change makes a few older
	// ones durable first. 0 means 65536.
	MaxPending int

	// Scratch returns memory for a value that is large, valid as long as what
	// Get returns; keys and values of the current call may lie there too.
	// Without it, such a value is allocated.
	Scratch func(n int) []byte
}

// Store keeps records. It is not safe for concurrent use. Its errors are those of
// package guest, and its operations do what guest.Engine and the interfaces
// beside it say.
//
// An operation that fails has changed nothing that a later one could see.
type Store struct {
	fs    vfs.FS
	paths paths

	pending    map[id]entry
	maxPending int
	list       list
	ticket     uint64

	dirs   dirs
	recent recent
	sweep  sweeper
	trash  trash

	buffer  []byte // a file that was read; Get returns part of it
	out     []byte // the beginning of one that is written
	key     []byte // a copy, where scratch may be overwritten
	scratch func(n int) []byte
}

const (
	// readSize is what is read of a file at first: nearly always, all.
	readSize = 4 << 10

	// headSize is what has the header, the key and the revision for sure.
	headSize = headerSize + abi.MaxKey + abi.RevisionSize

	// keepSize is how large a buffer may become and be kept.
	keepSize = 256 << 10

	defaultMaxPending = 1 << 16
	leastMaxPending   = 16
)

// Open opens the directory as a store, or makes an empty one a store. It looks
// at no more than what the instance before it had not saved.
func Open(fs vfs.FS, options Options) (*Store, error) {
	if options.Shards < 1 || options.Shard < 0 || options.Shard >= options.Shards {
		return nil, guest.Fail(guest.ErrInvalid, "the shard is "+strconv.Itoa(options.Shard)+" of "+
			strconv.Itoa(options.Shards)+", and must be from 0 and below their number")
	}
	if options.MaxPending == 0 {
		options.MaxPending = defaultMaxPending
	}
	if options.MaxPending < leastMaxPending {
		return nil, guest.Fail(guest.ErrInvalid, "the store must keep at least 16 changed keys in mind")
	}
	shard := strconv.Itoa(options.Shard)
	s := &Store{
		fs:         fs,
		paths:      paths{live: "sessions-" + shard},
		maxPending: options.MaxPending,
		dirs:       newDirs(),
		list:       list{fs: fs, name: "pending-" + shard},
		ticket:     firstTicket(),
		trash:      trash{fs: fs, prefix: "trash-" + shard + "-"},
		buffer:     make([]byte, readSize),
		out:        make([]byte, 0, readSize),
		key:        make([]byte, 0, abi.MaxKey),
		scratch:    options.Scratch,
	}
	if err := stamp.Claim(fs, stamp.Stamp{Engine: Engine, Version: Version, Shards: options.Shards}, options.Shard); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, vfs.Answer(err, "opening the store")
	}
	return s, nil
}

// recover takes over what the instance before left.
func (s *Store) recover() (err error) {
	if s.pending, err = s.list.read(); err != nil {
		return err
	}
	for i := range s.pending {
		s.dirs.doubt(i.leaf())
	}
	if err := s.list.replace(s.pending); err != nil {
		return err
	}
	if err := s.fs.Mkdir(s.paths.live); err != nil && !vfs.Exist(err) {
		return err
	}
	if err := s.trash.find(); err != nil {
		return err
	}
	// From here on no earlier list can come back, and what Clear moved aside
	// stays there.
	return s.fs.SyncDir("")
}

// Get returns the value under a key, in memory that the next call overwrites.
func (s *Store) Get(key []byte, now int64) ([]byte, error) {
	i := idOf(key)
	r, err := s.loadInto(s.scratch, i, key)
	if err != nil {
		return nil, vfs.Answer(err, "reading a record")
	}
	if guest.Expired(r.expires, now) {
		return nil, guest.ErrNotFound
	}
	s.recent.put(i, r.revision(), r.expires)
	return r.value, nil
}

// Set stores a value if the write's condition allows it.
func (s *Store) Set(w guest.Write) error {
	if err := s.makeRoom(); err != nil {
		return vfs.Answer(err, "making earlier changes durable")
	}
	i := idOf(w.Key)
	there := folderUnknown
	if w.Expect != abi.ExpectAny {
		c, err := s.current(i, w.Key)
		if err != nil {
			return vfs.Answer(err, "reading the record to be replaced")
		}
		var stored [abi.RevisionSize]byte
		for n := range stored {
			stored[n] = byte(c.revision >> (8 * n))
		}
		if err := w.Check(stored[:], c.found && !guest.Expired(c.expires, w.Now)); err != nil {
			return err
		}
		there = c.there
	}
	if w.Expired() {
		return vfs.Answer(s.remove(i, true), "removing a record")
	}
	return vfs.Answer(s.write(i, w.Key, w.Value, w.Expires, there), "writing a record")
}

// Touch gives a record a new expiry. The record is written anew: a header that
// is changed in place may be torn.
func (s *Store) Touch(key []byte, expires, now int64) error {
	if err := s.makeRoom(); err != nil {
		return notFull(vfs.Answer(err, "making earlier changes durable"))
	}
	i := idOf(key)
	s.key = append(s.key[:0], key...)
	key = s.key
	r, err := s.loadInto(s.scratch, i, key)
	switch {
	case err != nil:
		return notFull(vfs.Answer(err, "reading a record"))
	case guest.Expired(r.expires, now):
		return guest.ErrNotFound
	case guest.Expired(expires, now):
		return notFull(vfs.Answer(s.remove(i, true), "removing a record"))
	case r.expires == expires:
		return nil
	}
	return notFull(vfs.Answer(s.write(i, key, r.value, expires, folderDurable), "writing a record"))
}

// notFull says UNAVAILABLE where NO_SPACE is not among the answers that an
// operation has.
func notFull(err error) error {
	if errors.Is(err, guest.ErrNoSpace) {
		return guest.Fail(guest.ErrUnavailable, err.Error())
	}
	return err
}

// Delete removes a record, if there is one.
func (s *Store) Delete(key []byte, _ int64) error {
	_ = s.makeRoom() // which may want room on the disk, and this makes some
	return notFull(vfs.Answer(s.remove(idOf(key), true), "removing a record"))
}

// current is what is known of the record of a key before it is replaced.
type current struct {
	found    bool
	there    folderState
	expires  int64
	revision uint64
}

// current looks at as little as it can. A record that cannot be read for damage
// counts as none: what is written heals it.
func (s *Store) current(i id, key []byte) (c current, err error) {
	e, changed, err := s.lookup(i)
	if err != nil {
		return c, err
	}
	if changed && e.hasFile() {
		return current{found: true, expires: e.expires, revision: e.revision}, nil
	}
	if revision, expires, ok := s.recent.get(i); ok {
		return current{true, folderDurable, expires, revision}, nil
	}
	h, revision, err := s.head(s.paths.session(i), key)
	switch {
	case vfs.NotExist(err):
		return current{there: folderAbsent}, nil
	case isDamage(err):
		return current{there: folderDurable}, nil
	case err != nil:
		return c, err
	}
	return current{true, folderDurable, h.expires, revision}, nil
}

// load reads the record of a key, whether it has expired or not. Without a key it
// takes whatever the folder has.
func (s *Store) load(i id, key []byte) (record, error) { return s.loadInto(nil, i, key) }

// loadInto is load with memory for a large record, in which the key may lie.
func (s *Store) loadInto(room func(int) []byte, i id, key []byte) (record, error) {
	e, changed, err := s.lookup(i)
	if err != nil {
		return record{}, err
	}
	if room != nil {
		s.key = append(s.key[:0], key...)
		key = s.key
	}
	name := ""
	if changed && e.hasFile() {
		name = s.paths.next(i, e.ticket, e.slot)
	} else {
		name = s.paths.session(i)
	}
	r, err := s.read(name, room)
	switch {
	case vfs.NotExist(err):
		return r, guest.ErrNotFound
	case err == nil && key != nil && !bytes.Equal(r.key, key):
		return r, errOtherKey
	}
	return r, err
}

// read reads a record file: three calls to the host, if it is not long.
func (s *Store) read(name string, room func(int) []byte) (record, error) {
	f, err := s.fs.OpenFile(name, 0)
	if err != nil {
		return record{}, err
	}
	b, err := s.readAll(f, room)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return record{}, err
	}
	return parseRecord(b)
}

func (s *Store) readAll(f vfs.File, room func(int) []byte) ([]byte, error) {
	if len(s.buffer) > keepSize {
		s.buffer = make([]byte, readSize)
	}
	b := s.buffer
	n, err := f.ReadAt(b, 0)
	for err == nil { // there may be more
		h, damaged := parseHeader(b[:n])
		if damaged != nil || n > h.size() {
			return b[:n], nil // for parseRecord to say
		}
		if size := h.size() + 1; size > len(b) { // one more byte shows that there is none
			b = s.longer(b[:n], size, room)
		}
		var more int
		more, err = f.ReadAt(b[n:], int64(n))
		n += more
	}
	if err != io.EOF {
		return nil, err
	}
	return b[:n], nil
}

// longer returns a buffer of at least a size that begins with b.
func (s *Store) longer(b []byte, size int, room func(int) []byte) []byte {
	switch {
	case size <= keepSize:
		s.buffer = make([]byte, size+size/4) // the next may be a little longer
	case room != nil:
		longer := room(size)
		copy(longer, b)
		return longer
	default:
		// The memory is small: let go first what was read before.
		s.buffer = nil
		runtime.GC()
		s.buffer = make([]byte, size)
	}
	copy(s.buffer, b)
	return s.buffer
}

// head reads what comes first in a file: the header and, if a key is given, the
// revision. Of a long record it sees no damage further back.
func (s *Store) head(name string, key []byte) (h header, revision uint64, err error) {
	f, err := s.fs.OpenFile(name, 0)
	if err != nil {
		return h, 0, err
	}
	b := s.buffer[:headSize]
	if key == nil {
		b = b[:headerSize]
	}
	n, err := f.ReadAt(b, 0)
	if closed := f.Close(); closed != nil && (err == nil || err == io.EOF) {
		err = closed
	}
	if err != nil && err != io.EOF {
		return h, 0, err
	}
	b = b[:n]
	if h, err = parseHeader(b); err != nil || key == nil {
		return h, 0, err
	}
	if h.size() <= headSize {
		r, err := parseRecord(b) // which sees bytes that are too many

		if err != nil {
			return h, 0, err
		}
		revision = r.revision()
	} else if n < headSize {
		return h, 0, errDamagedBody
	} else {
		revision = abi.Revision(b[headerSize+h.keyLen : headerSize+h.keyLen+abi.RevisionSize])
	}
	if !bytes.Equal(b[headerSize:headerSize+h.keyLen], key) {
		return h, 0, errOtherKey
	}
	return h, revision, nil
}

// lookup returns what is known of a changed key, after it has looked at what an
// earlier instance left.
func (s *Store) lookup(i id) (e entry, changed bool, err error) {
	if len(s.pending) == 0 {
		return e, false, nil
	}
	e, changed = s.pending[i]
	if changed && e.slot == slotUnknown {
		if err := s.resolve(i, &e); err != nil {
			return e, true, err
		}
		s.pending[i] = e
	}
	return e, changed, nil
}

// resolve finds out which of the two files has the record: the newer one that is
// complete. One that is not was being written when the process ended.
func (s *Store) resolve(i id, e *entry) error {
	found := *e
	found.slot = slotNone
	for slot := uint8(1); slot <= 2; slot++ {
		r, err := s.read(s.paths.next(i, e.ticket, slot), nil)
		switch {
		case vfs.NotExist(err):
		case isDamage(err):
			found.other = true
		case err != nil:
			return err
		case found.slot == slotNone || r.sequence > found.sequence:
			found.other = found.other || found.slot != slotNone
			found.slot, found.sequence, found.expires, found.revision = slot, r.sequence, r.expires, r.revision()
		default:
			found.other = true
		}
	}
	*e = found
	return nil
}
