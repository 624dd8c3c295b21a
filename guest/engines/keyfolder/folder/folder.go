// Package folder keeps every record in a folder of its own: the inside of the
// engine keyfolder. README.md of the engine says what lies where on the disk.
//
// A record that is written goes beside the one that was saved, in the same file,
// complete when Set returns. Save syncs it, and only then makes the place of the
// older one free: one or the other is there at any moment, whatever happens.
package folder

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
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
// An operation that fails has changed nothing that a later one could see. Only if
// the disk also refuses to have it taken back, until the process ends, the next
// instance may find what was refused.
type Store struct {
	fs    vfs.FS
	paths paths

	pending    map[id]entry
	maxPending int
	list       list

	dirs   dirs
	bare   bool // there is no directory of what is alive, and that is as it should be
	recent recent
	sweep  sweeper
	trash  trash
	tally  tally
	flush  *flush // nil for none under way

	buffer  []byte // a file that was read; Get returns part of it
	out     []byte // the beginning of one that is written
	key     []byte // a copy, where scratch may be overwritten
	scratch func(n int) []byte
}

const (
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
		trash:      trash{fs: fs, prefix: "trash-" + shard + "-"},
		buffer:     make([]byte, readSize),
		out:        make([]byte, 0, leastSlot),
		key:        make([]byte, 0, abi.MaxKey),
		scratch:    options.Scratch,
	}
	if err := stamp.Claim(fs, format.Format{Engine: Engine, Version: Version, Shards: options.Shards}, options.Shard); err != nil {
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
	// Without room there is no new list, and perhaps, after Clear, no directory.
	// Both are made later, and records are read and deleted meanwhile.
	if err := s.list.begin(s.pending); err != nil {
		return err
	}
	switch err := s.fs.Mkdir(s.paths.live); {
	case err == nil:
		s.tally.empty()
	case vfs.NoSpace(err):
		_, err := s.fs.Stat(s.paths.live)
		s.bare = vfs.NotExist(err)
	case !vfs.Exist(err):
		return err
	}
	if err := s.trash.find(); err != nil {
		return err
	}
	// From here on what Clear moved aside stays there.
	return s.fs.SyncDir("")
}

// Get returns the value under a key, in memory that the next call overwrites.
func (s *Store) Get(key []byte, now int64) ([]byte, error) {
	r, err := s.load(idOf(key), key, s.scratch)
	if err != nil {
		return nil, vfs.Answer(err, "reading a record")
	}
	if guest.Expired(r.expires, now) {
		return nil, guest.ErrNotFound
	}
	return r.value, nil
}

// Set stores a value if the write's condition allows it.
func (s *Store) Set(w guest.Write) error {
	if err := s.makeRoom(); err != nil {
		return vfs.Answer(err, "making earlier changes durable")
	}
	i := idOf(w.Key)
	t, err := s.target(i, w.Key)
	if err != nil {
		return vfs.Answer(err, "reading the record to be replaced")
	}
	defer t.close()
	found := t.entry.state == there && !guest.Expired(t.entry.expires, w.Now)
	var stored [abi.RevisionSize]byte
	for n := range stored {
		stored[n] = byte(t.entry.revision >> (8 * n))
	}
	if err := w.Check(stored[:], found); err != nil {
		return err
	}
	if w.Expired() {
		t.close() // some systems remove no file that is open
		return vfs.Answer(s.remove(i, true), "removing a record")
	}
	return vfs.Answer(s.write(i, &t, w.Key, w.Value, w.Expires), "writing a record")
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
	r, err := s.load(i, key, s.scratch)
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
	// After load it is known where everything is: nothing is read again.
	t, err := s.target(i, key)
	if err != nil {
		return notFull(vfs.Answer(err, "reading a record"))
	}
	defer t.close()
	return notFull(vfs.Answer(s.write(i, &t, key, r.value, expires), "writing a record"))
}

// notFull says UNAVAILABLE where NO_SPACE is not among the answers that an
// operation has.
func notFull(err error) error {
	if errors.Is(err, guest.ErrNoSpace) {
		return guest.Fail(guest.ErrUnavailable, err.Error())
	}
	return err
}

// load reads the record of a key, whether it has expired or not; without a key,
// whatever record the folder has. room is memory for a large one, in which the key
// may lie.
func (s *Store) load(i id, key []byte, room func(int) []byte) (record, error) {
	e, changed, err := s.lookup(i)
	if err != nil {
		return record{}, err
	}
	k, isKnown := known{}, false
	switch {
	case changed && e.state == there:
		k, isKnown = known{place: e.place, sequence: e.sequence}, true
	case changed && e.state == gone:
		return record{}, guest.ErrNotFound
	case !changed:
		k, isKnown = s.recent.get(i)
	}
	if room != nil && key != nil {
		s.key = append(s.key[:0], key...)
		key = s.key
	}
	f, err := s.fs.OpenFile(s.paths.file(i, sessionName), 0)
	if err != nil {
		if vfs.NotExist(err) {
			err = guest.ErrNotFound
		}
		return record{}, err
	}
	var r record
	if isKnown {
		if r, err = s.readSlot(f, k.place, 0, room); err == nil && r.sequence != k.sequence {
			err = errDamagedBody
		}
	} else {
		var c content
		c, err = s.readFile(f, room)
		k.place, r = c.place, c.record
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil && key != nil && !bytes.Equal(r.key, key) {
		err = errOtherKey
	}
	if err != nil {
		return record{}, err
	}
	if !changed && key != nil {
		s.recent.put(i, known{place: k.place, sequence: r.sequence, expires: r.expires, revision: r.revision()})
	}
	return r, nil
}

// lookup returns what is known of a changed key, after it has looked at what an
// earlier instance left.
func (s *Store) lookup(i id) (e entry, changed bool, err error) {
	if len(s.pending) == 0 {
		return e, false, nil
	}
	e, changed = s.pending[i]
	if !changed || e.state != unknown {
		return e, changed, nil
	}
	f, err := s.fs.OpenFile(s.paths.file(i, sessionName), 0)
	if vfs.NotExist(err) {
		e.state = gone
	} else if err != nil {
		return e, true, err
	} else {
		err = s.inspect(f, &e)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return e, true, err
		}
	}
	s.pending[i] = e
	return e, true, nil
}

// inspect finds out what is in a file that an instance left which was killed. Which
// of the records was saved nobody knows: what comes next is a new file.
func (s *Store) inspect(f vfs.File, e *entry) error {
	c, err := s.readFile(f, nil)
	switch {
	case err == nil:
		e.state, e.place, e.durable = there, c.place, none
		e.sequence, e.expires, e.revision = c.record.sequence, c.record.expires, c.record.revision()
		return nil
	case err == errNoRecord || isDamage(err):
		e.state = damaged
		return nil
	}
	return err
}
