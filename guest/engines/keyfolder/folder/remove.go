package folder

import (
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Delete removes a record, if there is one.
func (s *Store) Delete(key []byte, _ int64) error {
	// Making earlier changes durable may take room on the disk, and a removal frees
	// some. But the changes are remembered in memory, so there is a limit.
	if err := s.makeRoom(); err != nil && len(s.pending) >= 2*s.maxPending {
		return notFull(vfs.Answer(err, "making earlier changes durable"))
	}
	return notFull(vfs.Answer(s.remove(s.ids.of(key), true), "removing a record"))
}

// remove removes whatever is stored under a key.
//
// remembered says that Save must make the removal durable. An expired record need
// not be remembered: if it came back, it would still be expired.
func (s *Store) remove(i id, remembered bool) error {
	e, changed, err := s.lookup(i)
	if err != nil || changed && e.state == gone {
		return err
	}
	name := s.paths.file(i, sessionName)
	if !changed && remembered {
		if _, ok := s.recent.get(i); !ok {
			_, err := s.fs.Stat(name)
			if vfs.NotExist(err) {
				return s.present()
			}
			if err != nil {
				return err
			}
		}
		e = entry{state: unknown, rewrite: true, spare: spareSync}
		err := s.enlist(i)
		if err == errEmptied {
			return err
		}
		if e.listed = err == nil; !e.listed {
			// It must not fail for lack of room, and is made durable at once
			// instead.
			defer s.syncRemoval(i)
		}
		s.pending[i] = e // as it was, in case this fails
		changed = true
	}
	s.drop(i)
	switch err := s.fs.Remove(name); {
	case err == nil:
		s.tally.lost()
	case !vfs.NotExist(err):
		return err
	default:
		if err := s.present(); err != nil {
			return err
		}
	}
	s.recent.forget(i)
	if changed {
		e.state, e.durable, e.unsynced, e.rewrite, e.spare = gone, none, true, false, noSpare
		e.names++
		s.pending[i] = e
		s.dirs.leaf(i.leaf())
	}
	s.removeFolder(i)
	return nil
}

// syncRemoval makes the disk record that a record is gone, by syncing its folder
// or, if that is gone too, the leaf. A failure is left to Save.
func (s *Store) syncRemoval(i id) {
	if err := s.fs.SyncDir(s.paths.folder(i)); err == nil || vfs.NotExist(err) {
		_ = s.fs.SyncDir(s.paths.leaf(i.leaf()))
	}
}

// removeFolder removes the folder of a key that no longer has a record, with
// anything that a killed instance may have left in it. What cannot be removed is
// left to a later sweep.
func (s *Store) removeFolder(i id) {
	if vfs.NotEmpty(s.fs.RemoveDir(s.paths.folder(i))) {
		_ = s.fs.Remove(s.paths.file(i, newName))
		_ = s.fs.RemoveDir(s.paths.folder(i))
	}
}

// Clear removes all records: it moves them aside, and sweeps then free their space.
func (s *Store) Clear(int64) error {
	name := s.trash.newName()
	switch err := s.fs.Rename(s.paths.live, name); {
	case err == nil:
		s.trash.add(name)
	case !vfs.NotExist(err):
		return notFull(vfs.Answer(err, "moving the records aside"))
	default:
		if err := s.present(); err != nil {
			return notFull(vfs.Answer(err, "moving the records aside"))
		}
	}
	s.bare = true
	clear(s.pending)
	s.abandon()
	s.list.reset()
	s.recent.clear()
	s.tally.empty()
	s.sweep.close()
	s.sweep = sweeper{}
	s.dirs = newDirs()
	s.dirs.root()
	return nil
}
