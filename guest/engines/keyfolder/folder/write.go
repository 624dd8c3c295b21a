package folder

import (
	"bytes"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// target is what a new record will be written over.
type target struct {
	file    vfs.File // open for writing, or nil
	changed bool     // it is in pending
	entry   entry
}

func (t *target) close() error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}

// target finds out where the record of a key is, and what is needed to replace it,
// with as few calls as possible: often it is known. A record that is damaged
// beyond reading counts as absent, and the write repairs it.
func (s *Store) target(i id, key []byte) (t target, err error) {
	if t.entry, t.changed, err = s.lookup(i); t.changed || err != nil {
		return t, err
	}
	if k, ok := s.recent.get(i); ok {
		t.entry = entry{
			place: k.place, sequence: k.sequence, expires: k.expires, revision: k.revision,
			state: there, durable: k.slot,
		}
		return t, nil
	}
	t.file, err = s.fs.OpenFile(s.paths.file(i, sessionName), vfs.ReadWrite)
	if vfs.NotExist(err) {
		t.file, t.entry.state = nil, gone
		return t, nil
	}
	if err != nil {
		return t, err
	}
	c, err := s.readFile(t.file, nil)
	switch {
	case err == errNoRecord || isDamage(err) || err == nil && !bytes.Equal(c.record.key, key):
		t.entry.state = damaged
		return t, nil
	case err != nil:
		_ = t.close()
		return t, err
	}
	// No list names it, so it was saved, or has survived a power loss and is on
	// the disk.
	t.entry = entry{
		place: c.place, sequence: c.record.sequence, expires: c.record.expires, revision: c.record.revision(),
		state: there, durable: c.slot,
	}
	return t, nil
}

// write stores a record, in a slot of the existing file or in a new one. The key
// and the value may lie in s.buffer: nothing is read here.
func (s *Store) write(i id, t *target, key, value []byte, expires int64) error {
	e := &t.entry
	if !e.listed {
		if err := s.enlist(i); err != nil {
			return err
		}
		e.listed = true
		s.pending[i] = *e // as it was, in case this fails
		t.changed = true
	}
	sequence, was := e.sequence+1, *e
	s.compose(key, value, expires, sequence)
	var err error
	switch slotSize := slotSizeFor(headerSize + len(key) + len(value)); {
	case e.state != there:
		err = s.create(i, t, slotSize, value)
	case slotSize > e.slotSize || slotSize <= e.slotSize/shrinkFactor || e.rewrite:
		err = s.replace(i, t, slotSize, value)
	default:
		err = s.writeOver(i, t, value)
	}
	if err != nil {
		return err
	}
	switch length := fileLength(e.slotSize, true); {
	case was.state == gone:
		s.tally.made(length)
	case was.state == there && was.slotSize != e.slotSize:
		s.tally.resized(length - fileLength(was.slotSize, true))
	}
	e.state, e.sequence, e.expires, e.revision = there, sequence, expires, abi.Revision(value)
	e.rewrite, e.spare, e.refused = false, noSpare, false
	s.pending[i] = *e
	s.recent.forget(i)
	return nil
}

// compose assembles the first part of a record: all of it if it is not large, and
// zeros up to the end of a block, so that the system need not read the block to
// change it.
func (s *Store) compose(key, value []byte, expires int64, sequence uint64) {
	s.out = append(appendHeader(s.out[:0], key, value, expires, sequence), key...)
	if len(value) > keepSize {
		return
	}
	s.out = append(s.out, value...)
	for end := (len(s.out) + leastSlot - 1) / leastSlot * leastSlot; len(s.out) < end; {
		s.out = append(s.out, zeros[:min(len(zeros), end-len(s.out))]...)
	}
}

var zeros [leastSlot]byte

// put writes what was composed.
func (s *Store) put(f vfs.File, offset int64, value []byte) error {
	_, err := f.WriteAt(s.out, offset)
	if err == nil && len(value) > keepSize {
		_, err = f.WriteAt(value, offset+int64(len(s.out)))
	}
	return err
}

// unput undoes what a failed write may have left: all of it may be there, and
// would be the newest record. It syncs at once. Otherwise a power loss could leave
// the refused record without its undoing.
func unput(f vfs.File, offset int64) bool {
	_, err := f.WriteAt(zeros[:headerSize], offset)
	return err == nil && f.Sync() == nil
}

// takeBack is unput for a file that is no longer open.
func (s *Store) takeBack(name string, offset int64) bool {
	f, err := s.fs.OpenFile(name, vfs.ReadWrite)
	if err != nil {
		return vfs.NotExist(err)
	}
	done := unput(f, offset)
	_ = f.Close() // it has been synced
	return done
}

// writeOver writes to the free slot.
func (s *Store) writeOver(i id, t *target, value []byte) (err error) {
	e, name := &t.entry, s.paths.file(i, sessionName)
	if t.file == nil {
		t.file, err = s.fs.OpenFile(name, vfs.ReadWrite)
		if vfs.NotExist(err) { // somebody has removed it
			return s.create(i, t, e.slotSize, value)
		}
		if err != nil {
			return err
		}
	}
	slot := e.victim()
	if f := s.flying(i); f != nil && f.slot == slot {
		f.void = true
	}
	offset := int64(slot) * int64(e.slotSize)
	err = s.put(t.file, offset, value)
	clean := err == nil || unput(t.file, offset)
	if closed := t.close(); err == nil && closed != nil {
		err, clean = closed, s.takeBack(name, offset)
	}
	if !clean {
		e.rewrite, e.spare = true, noSpare // the current record goes to another file
		s.pending[i] = *e
	}
	if err == nil {
		e.slot, e.used = slot, e.used|1<<slot
	}
	return err
}

// create makes a file for a key without a record, or without a readable one. It
// makes the folder if necessary.
func (s *Store) create(i id, t *target, slotSize int32, value []byte) error {
	name := s.paths.file(i, sessionName)
	_ = t.close()
	s.drop(i)
	if t.entry.state == gone {
		if err := s.makeFolder(i); err != nil {
			return err
		}
	}
	err := s.fill(name, slotSize, false, value)
	if vfs.NotExist(err) {
		if err = s.makeFolder(i); err == nil {
			err = s.fill(name, slotSize, false, value)
		}
	}
	if err != nil {
		if failed := s.fs.Remove(name); failed != nil && !vfs.NotExist(failed) && !s.takeBack(name, 0) {
			e := t.entry
			e.state, e.durable, e.refused = gone, none, true
			e.names++
			s.pending[i] = e
		}
		return err
	}
	s.dirs.doubt(i.leaf())
	t.entry.place = place{slot: 0, slotSize: slotSize, used: 1}
	t.entry.durable, t.entry.unsynced = none, true
	t.entry.names++
	return nil
}

// replace makes a file with slots of another size in place of the existing one:
// temporary file, sync, rename; Save syncs the folder. It is needed when a record
// outgrows its file or a sync of the file has failed, and costs a sync at once:
// without it, the name might become durable before the contents.
func (s *Store) replace(i id, t *target, slotSize int32, value []byte) error {
	_ = t.close()
	temporary := s.paths.file(i, newName)
	err := s.fill(temporary, slotSize, true, value)
	if err == nil {
		s.drop(i)
		err = s.fs.Rename(temporary, s.paths.file(i, sessionName))
	}
	if err != nil {
		_ = s.fs.Remove(temporary)
		return err
	}
	t.entry.place = place{slot: 0, slotSize: slotSize, used: 1, saved: true}
	t.entry.durable, t.entry.unsynced = 0, true
	t.entry.names++
	return nil
}

// fill makes a file with a record in its first slot, and marks and syncs it as
// saved if the caller wants that at once.
func (s *Store) fill(name string, slotSize int32, saved bool, value []byte) error {
	f, err := s.fs.OpenFile(name, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	err = f.Truncate(fileLength(slotSize, saved))
	if err == nil {
		if err = s.put(f, 0, value); err != nil {
			_ = unput(f, 0)
		}
	}
	if err == nil && saved {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// makeFolder makes the folder of a key. Usually the directories above it exist.
func (s *Store) makeFolder(i id) error {
	leaf := i.leaf()
	err := s.fs.Mkdir(s.paths.folder(i))
	if vfs.NotExist(err) {
		if err = s.makeLeaf(leaf); err == nil {
			err = s.fs.Mkdir(s.paths.folder(i))
		}
	}
	if err != nil && !vfs.Exist(err) {
		return err
	}
	s.dirs.leaf(leaf)
	return nil
}

func (s *Store) makeLeaf(leaf int) error {
	top := leaf >> 4
	err := s.fs.Mkdir(s.paths.leaf(leaf))
	if vfs.NotExist(err) {
		if err = s.makeTop(top); err == nil {
			err = s.fs.Mkdir(s.paths.leaf(leaf))
		}
	}
	if err != nil && !vfs.Exist(err) {
		return err
	}
	s.dirs.top(top)
	return nil
}

func (s *Store) makeTop(top int) error {
	err := s.fs.Mkdir(s.paths.top(top))
	if vfs.NotExist(err) { // Clear leaves nothing at all
		if err = s.makeLive(); err == nil {
			err = s.fs.Mkdir(s.paths.top(top))
		}
	}
	if err != nil && !vfs.Exist(err) {
		return err
	}
	s.dirs.live()
	return nil
}
