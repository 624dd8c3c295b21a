// Package folder keeps every record in a folder of its own. It is the core of the
// engine keyfolder, whose README.md says what lies where on the disk.
//
// A new record is written beside the saved one, in the same file, and is complete
// when Set returns. Save syncs it, and only then frees the place of the older one.
// At any moment one of them is there, whatever happens.
package folder

import (
	"bytes"
	"cmp"
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

// Options describe a Store.
type Options struct {
	// Shard is the number of this instance, out of Shards. A directory must be
	// opened with the number of shards that it was made for.
	Shard, Shards int

	// MaxPending is how many changed keys are remembered between one Save and the
	// next, at least 16. Beyond that, each change first makes a few older ones
	// durable. 0 means 65536.
	MaxPending int

	// Remembered is of how many keys that were lately read the place and the folder's name
	// are remembered: reading one again takes one slot of its file and no SHA-256. Each
	// takes some 120 bytes. 0 means 1024.
	Remembered int

	// Scratch returns memory for a large value, valid as long as the result of Get.
	// The key and value of the current call may lie there too. Without it, such a
	// value is allocated.
	Scratch func(n int) []byte
}

// Store keeps records. It is not safe for concurrent use. Its errors are those of
// package guest. Its operations behave as guest.Engine and its optional interfaces
// specify.
//
// An operation that fails has changed nothing that a later one could see. If the
// disk also refuses to undo it until the process ends, the next instance may find
// the refused write.
type Store struct {
	fs    vfs.FS
	paths paths

	pending    map[id]entry
	maxPending int
	list       list

	dirs   dirs
	bare   bool // there is no live directory, and this is expected
	ids    ids
	recent recent
	sweep  sweeper
	trash  trash
	tally  tally
	round  *round // nil if none is running

	buffer  []byte // a file that was read; Get returns part of it
	out     []byte // the beginning of a file to write
	key     []byte // a copy, in case scratch is overwritten
	scratch func(n int) []byte
}

const (
	// keepSize is the largest buffer that is kept.
	keepSize = 256 << 10

	defaultRemembered = 1024
	defaultMaxPending = 1 << 16
	leastMaxPending   = 16
)

// Open opens the directory as a store, or makes a store of an empty one. It looks
// only at what the previous instance had not saved.
func Open(fs vfs.FS, options Options) (*Store, error) {
	if options.Shards < 1 || options.Shard < 0 || options.Shard >= options.Shards {
		return nil, guest.Fail(guest.ErrInvalid, "the shard is "+strconv.Itoa(options.Shard)+" of "+
			strconv.Itoa(options.Shards)+": must be at least 0 and less than their number")
	}
	if options.MaxPending == 0 {
		options.MaxPending = defaultMaxPending
	}
	if options.MaxPending < leastMaxPending {
		return nil, guest.Fail(guest.ErrInvalid, "MaxPending is too small: must be at least 16")
	}
	remembered := cmp.Or(options.Remembered, defaultRemembered)
	shard := strconv.Itoa(options.Shard)
	s := &Store{
		fs:         fs,
		paths:      paths{live: "sessions-" + shard},
		maxPending: options.MaxPending,
		dirs:       newDirs(),
		ids:        ids{make([]idSlot, remembered)},
		recent:     recent{make([]recentSlot, remembered)},
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

// recover takes over what the previous instance left.
func (s *Store) recover() (err error) {
	if s.pending, err = s.list.read(); err != nil {
		return err
	}
	for i := range s.pending {
		s.dirs.doubt(i.leaf())
	}
	// Without room there is no new list and perhaps, after Clear, no directory.
	// Both are made later; records can be read and deleted meanwhile.
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
	// From here on, what Clear moved aside stays aside.
	return s.fs.SyncDir("")
}

// Get returns the value under a key, in memory that the next call overwrites.
func (s *Store) Get(key []byte, now int64) ([]byte, error) {
	r, err := s.load(s.ids.of(key), key, s.scratch)
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
	i := s.ids.of(w.Key)
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
		t.close() // some systems cannot remove an open file
		return vfs.Answer(s.remove(i, true), "removing a record")
	}
	return vfs.Answer(s.write(i, &t, w.Key, w.Value, w.Expires), "writing a record")
}

// Touch gives a record a new expiry. The record is written anew, because a header
// changed in place may be torn.
func (s *Store) Touch(key []byte, expires, now int64) error {
	if err := s.makeRoom(); err != nil {
		return notFull(vfs.Answer(err, "making earlier changes durable"))
	}
	i := s.ids.of(key)
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
	// After load everything's place is known: nothing is read again.
	t, err := s.target(i, key)
	if err != nil {
		return notFull(vfs.Answer(err, "reading a record"))
	}
	defer t.close()
	return notFull(vfs.Answer(s.write(i, &t, key, r.value, expires), "writing a record"))
}

// notFull turns NO_SPACE into UNAVAILABLE, for operations that may not answer
// NO_SPACE.
func notFull(err error) error {
	if errors.Is(err, guest.ErrNoSpace) {
		return guest.Fail(guest.ErrUnavailable, err.Error())
	}
	return err
}

// load reads the record of a key, expired or not. Without a key it reads whatever
// record the folder has. room returns memory for a large record; the key may lie in
// that memory.
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

// lookup returns what is known of a changed key. It first looks at what an earlier
// instance left.
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

// inspect finds out what is in a file that a killed instance left. Nobody knows
// which of its records was saved, so the next write goes to a new file.
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
