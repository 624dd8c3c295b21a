package folder

import (
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Somebody may remove or move what lies in the directory while the store is open.
// A record goes to a file that is opened by name, so it is found again wherever it
// could be written. Two things must be noticed: that the directories on the way
// there are made anew, and that nothing is left with which a store would be
// opened. Both show only on paths that a write seldom takes.
var (
	errEmptied = guest.Fail(guest.ErrUnavailable, "somebody has removed what was in the directory, including the file "+format.Name+
		": no store would be opened with what is written there now")
	errAway = guest.Fail(guest.ErrUnavailable, "somebody has removed or moved the directory of this shard's records while it was in use: "+
		"put it back, or open the store again to begin without them")
)

// present returns an error if the live records have lost their directory.
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

// makeLive makes the directory that holds everything alive, if none is expected.
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

// enlist puts a key into the list of changed keys. If somebody has removed the
// list, it is made anew: the instance after a kill relies on it.
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
