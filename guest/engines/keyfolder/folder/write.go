package folder

import (
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// folderState is what is known of a folder before something is written to it.
type folderState uint8

const (
	folderUnknown folderState = iota
	folderAbsent              // as a rule: it has no record
	folderDurable             // it has a record that was saved, or had
)

// write stores a record in a new file beside the one that is there: four calls
// to the host, if the folder is there as well. The file counts once it is
// complete and its key is in the list.
//
// The key and the value may lie in s.buffer: nothing is read here.
//
// there is what is known of the folder.
func (s *Store) write(i id, key, value []byte, expires int64, there folderState) error {
	e, changed, err := s.lookup(i)
	if err != nil {
		return err
	}
	if !changed {
		e = entry{ticket: s.ticket}
		s.ticket++
	}
	slot := uint8(1)
	if e.slot == 1 {
		slot = 2
	}
	name := s.paths.next(i, e.ticket, slot)
	if err := s.create(i, name, there, key, value, expires, e.sequence+1); err != nil {
		if removed := s.fs.Remove(name); changed && removed != nil && !vfs.NotExist(removed) {
			e.other = true // though not older: it must be gone before anybody looks
			s.pending[i] = e
		}
		return err
	}
	if !e.listed {
		if err := s.list.add(i, e.ticket); err != nil {
			_ = s.fs.Remove(name)
			return err
		}
		e.listed = true
	}
	if !changed && there != folderDurable {
		s.dirs.doubt(i.leaf())
	}
	before := e.slot
	e.slot, e.sequence, e.expires, e.revision = slot, e.sequence+1, expires, abi.Revision(value)
	e.rewrite, e.unsynced = false, true
	if before != slotNone && s.fs.Remove(s.paths.next(i, e.ticket, before)) != nil {
		e.other = true
	}
	s.pending[i] = e
	return nil
}

// create makes a file with a record, in a folder that it makes if need be. If it
// fails, there may be any part of the file.
func (s *Store) create(i id, name string, there folderState, key, value []byte, expires int64, sequence uint64) error {
	const flag = vfs.ReadWrite | vfs.Create | vfs.Truncate
	var f vfs.File
	var err error = syscall.ENOENT
	if there != folderAbsent {
		f, err = s.fs.OpenFile(name, flag)
	}
	if vfs.NotExist(err) {
		if err = s.makeFolder(i); err == nil {
			f, err = s.fs.OpenFile(name, flag)
		}
	}
	if err != nil {
		return err
	}
	s.out = append(appendHeader(s.out[:0], key, value, expires, sequence), key...)
	if len(value) <= keepSize {
		s.out = append(s.out, value...)
		value = nil
	}
	_, err = f.WriteAt(s.out, 0)
	if err == nil && len(value) > 0 {
		_, err = f.WriteAt(value, int64(len(s.out)))
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// makeFolder makes the folder of a key. As a rule the directories above it are
// there.
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
		if err = s.fs.Mkdir(s.paths.live); err == nil || vfs.Exist(err) {
			s.dirs.root()
			err = s.fs.Mkdir(s.paths.top(top))
		}
	}
	if err != nil && !vfs.Exist(err) {
		return err
	}
	s.dirs.live()
	return nil
}

// remove removes whatever is stored under a key. The durable record goes first
// and the newer one last: in between, the newer one still counts.
//
// remembered says that Save has to make it durable. A record that has expired is
// gone by itself, should it come back.
func (s *Store) remove(i id, remembered bool) error {
	e, changed, err := s.lookup(i)
	if err != nil {
		return err
	}
	if !changed && remembered {
		if _, _, ok := s.recent.get(i); !ok {
			_, err := s.fs.Stat(s.paths.session(i))
			if vfs.NotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		// Into the list before it is gone: should the process end here, the
		// next instance makes durable what it sees.
		e = entry{ticket: s.ticket, unsynced: true}
		s.ticket++
		if e.listed = s.list.add(i, e.ticket) == nil; !e.listed {
			// It must not fail for want of room, and is durable at once
			// instead.
			defer func() { _ = s.fs.SyncDir(s.paths.leaf(i.leaf())) }()
		}
		s.pending[i] = e
		changed = true
	}
	if err := s.fs.Remove(s.paths.session(i)); err != nil && !vfs.NotExist(err) {
		return err
	}
	s.recent.forget(i)
	if changed {
		if err := s.removeOther(i, &e); err != nil {
			return err
		}
		if e.hasFile() {
			if err := s.fs.Remove(s.paths.next(i, e.ticket, e.slot)); err != nil && !vfs.NotExist(err) {
				return err
			}
		}
		e.slot, e.unsynced = slotNone, true
		s.pending[i] = e
		s.dirs.leaf(i.leaf())
	}
	s.removeFolder(i)
	return nil
}

// removeOther removes the older of two files, if it is there.
func (s *Store) removeOther(i id, e *entry) error {
	if !e.other {
		return nil
	}
	for slot := uint8(1); slot <= 2; slot++ {
		if slot == e.slot {
			continue
		}
		if err := s.fs.Remove(s.paths.next(i, e.ticket, slot)); err != nil && !vfs.NotExist(err) {
			return err
		}
	}
	e.other = false
	return nil
}

// removeFolder removes the folder of a key that has no record any more, with
// what an instance that was killed may have left in it. What cannot be removed
// is for a later sweep.
func (s *Store) removeFolder(i id) {
	folder := s.paths.folder(i)
	err := s.fs.RemoveDir(folder)
	if vfs.NotEmpty(err) {
		entries, listed := s.fs.ReadDir(folder)
		if listed != nil {
			return
		}
		for _, entry := range entries {
			if entry.Kind == vfs.Regular && ours(entry.Name) {
				_ = s.fs.Remove(folder + "/" + entry.Name)
			}
		}
		_ = s.fs.RemoveDir(folder)
	}
}

// ours reports whether a file in a folder is one of this engine's.
func ours(name string) bool {
	return name == sessionName || len(name) > len(nextPrefix) && name[:len(nextPrefix)] == nextPrefix
}

// Clear removes all records: it moves them aside, and sweeps then give back
// their space.
func (s *Store) Clear(int64) error {
	name := s.trash.newName()
	if err := s.fs.Rename(s.paths.live, name); err != nil && !vfs.NotExist(err) {
		return notFull(vfs.Answer(err, "moving the records aside"))
	} else if err == nil {
		s.trash.add(name)
	}
	clear(s.pending)
	s.list.reset()
	s.recent.clear()
	s.sweep = sweeper{}
	s.dirs = newDirs()
	s.dirs.root()
	return nil
}
