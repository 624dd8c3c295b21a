package folder

import (
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// What lies in the directory may be removed or moved while the store is open. A
// record goes to a file that is opened by its name, so that it is found again
// wherever it could be written; what has to be noticed is that the directories on
// the way there are made anew, or that there is nothing left that a store would be
// opened with. Both show on ways that a write seldom takes.
var (
	errEmptied = guest.Fail(guest.ErrUnavailable, "somebody has removed what was in the directory, the file "+format.Name+
		" as well: what is written there now, no store would be opened with")
	errAway = guest.Fail(guest.ErrUnavailable, "somebody has removed or moved the directory of this shard's records while it was in use: "+
		"put it back, or open the store again to begin without them")
)

// present returns an error if what is alive has lost its directory.
func (s *Store) present() error {
	if s.bare {
		return nil
	}
	if _, err := s.fs.Stat(s.paths.live); err == nil || !vfs.NotExist(err) {
		return err
	}
	if err := s.stamped(); err != nil {
		return err
	}
	return errAway
}

// stamped returns an error if no store could be opened with the directory.
func (s *Store) stamped() error {
	if _, err := s.fs.Stat(format.Name); vfs.NotExist(err) {
		return errEmptied
	}
	return nil
}

// makeLive makes the directory that everything alive is in, where there should be
// none.
func (s *Store) makeLive() error {
	if err := s.present(); err != nil {
		return err
	}
	if err := s.stamped(); err != nil {
		return err
	}
	if err := s.fs.Mkdir(s.paths.live); err != nil && !vfs.Exist(err) {
		return err
	}
	s.bare = false
	s.dirs.root()
	return nil
}

// enlist puts a key into the list of those that have changed. Should somebody have
// removed that, it is made anew: the instance after a kill goes by it.
func (s *Store) enlist(i id) error {
	if s.list.file != nil {
		if _, err := s.fs.Stat(s.list.name); vfs.NotExist(err) {
			if err := s.stamped(); err != nil {
				return err
			}
			if err := s.list.replace(s.pending); err != nil {
				return err
			}
		}
	}
	return s.list.add(i, false)
}
