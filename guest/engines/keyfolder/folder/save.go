package folder

import (
	"cmp"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Save makes durable what has changed since it last succeeded, and costs in
// proportion to that: for a record that replaced another, two syncs; one for one
// that was removed; nothing if nothing has changed. Records that have expired
// meanwhile are dropped instead.
func (s *Store) Save(now int64) error {
	if err := s.settle(slices.Collect(maps.Keys(s.pending)), now); err != nil {
		return vfs.Answer(err, "saving")
	}
	s.list.reset()
	return nil
}

// roomPerChange is how many older changes are made durable to make room for a
// new one.
const roomPerChange = 4

// makeRoom keeps the number of changes within its bound. It reads records, and
// so comes first in an operation.
func (s *Store) makeRoom() error {
	if len(s.pending) < s.maxPending {
		return nil
	}
	ids := make([]id, 0, roomPerChange)
	for i := range s.pending {
		if ids = append(ids, i); len(ids) == roomPerChange {
			break
		}
	}
	if err := s.settle(ids, 0); err != nil {
		return err
	}
	if s.list.count >= 4*s.maxPending {
		return s.list.replace(s.pending)
	}
	return nil
}

// settle makes the changes of some keys durable and forgets them. Each step is
// done for all before the next: syncs of one kind in a row are cheaper. It may
// end after any of them and is done again then.
func (s *Store) settle(ids []id, now int64) error {
	if len(ids) == 0 && !s.dirs.dirty() {
		return nil
	}
	// Neighbours together, and the same order every time.
	slices.SortFunc(ids, compareIDs)
	for _, i := range ids {
		if err := s.syncRecord(i, now); err != nil {
			return err
		}
	}
	for _, i := range ids {
		if err := s.install(i); err != nil {
			return err
		}
	}
	for _, i := range ids {
		if !s.pending[i].unsynced {
			continue
		}
		// A folder that is gone is so by its leaf.
		if err := s.fs.SyncDir(s.paths.folder(i)); err != nil && !vfs.NotExist(err) {
			return err
		}
	}
	if err := s.dirs.sync(s.fs, s.paths); err != nil {
		return err
	}
	for _, i := range ids {
		delete(s.pending, i)
	}
	return nil
}

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.prefix(), b.prefix()), slices.Compare(a[:], b[:]))
}

// syncRecord brings the contents of a new record to the disk, still under the
// name that nobody trusts after a power loss.
func (s *Store) syncRecord(i id, now int64) error {
	e, _, err := s.lookup(i)
	if err != nil || !e.hasFile() {
		return err
	}
	if guest.Expired(e.expires, now) {
		return s.remove(i, true)
	}
	if e.rewrite {
		r, err := s.load(i, nil)
		if err != nil {
			return err
		}
		if err := s.write(i, r.key, r.value, r.expires, folderUnknown); err != nil {
			return err
		}
		e = s.pending[i]
	}
	f, err := s.fs.OpenFile(s.paths.next(i, e.ticket, e.slot), vfs.ReadWrite)
	if err != nil {
		return err
	}
	err = f.Sync()
	if err != nil {
		e.rewrite = true
		s.pending[i] = e
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// install gives the new record, which has been synced, the name of the durable
// one.
func (s *Store) install(i id) error {
	e := s.pending[i]
	if err := s.removeOther(i, &e); err != nil {
		return err
	}
	if e.hasFile() {
		if err := s.fs.Rename(s.paths.next(i, e.ticket, e.slot), s.paths.session(i)); err != nil {
			return err
		}
		e.slot, e.unsynced = slotNone, true
		s.recent.put(i, e.revision, e.expires)
	}
	s.pending[i] = e
	return nil
}
