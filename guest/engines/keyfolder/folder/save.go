package folder

import (
	"cmp"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Save makes durable what has changed since it last succeeded, and costs in
// proportion to that: a sync for a record that replaced another, two more for one
// that is new, one for one that was removed, nothing if nothing has changed.
// Records that have expired meanwhile are dropped instead.
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
		if e := s.pending[i]; e.state == there {
			s.recent.put(i, known{place: e.place, sequence: e.sequence, expires: e.expires, revision: e.revision})
		}
		delete(s.pending, i)
	}
	return nil
}

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.prefix(), b.prefix()), slices.Compare(a[:], b[:]))
}

// syncRecord brings a record to the disk and then makes the other slots of its
// file empty: should the record be damaged one day, no older one takes its place.
func (s *Store) syncRecord(i id, now int64) error {
	e, _, err := s.lookup(i)
	if err != nil || e.state != there {
		return err
	}
	if guest.Expired(e.expires, now) {
		return s.remove(i, true)
	}
	if e.rewrite {
		if e, err = s.writeAgain(i); err != nil {
			return err
		}
	}
	f, err := s.fs.OpenFile(s.paths.file(i, sessionName), vfs.ReadWrite)
	if err != nil {
		return err
	}
	if e.slot != e.durable {
		err = f.Sync()
	}
	if err == nil {
		e.durable = e.slot
		if !e.saved {
			e.saved = f.Truncate(fileLength(e.slotSize, true)) == nil
		}
		for slot := range int8(slotCount) {
			if slot == e.slot || e.used&(1<<slot) == 0 {
				continue
			}
			if _, failed := f.WriteAt(zeros[:headerSize], int64(slot)*int64(e.slotSize)); failed == nil {
				e.used &^= 1 << slot
			}
		}
	} else {
		e.rewrite = true
	}
	s.pending[i] = e
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// writeAgain writes a record to a new file, because what a system says of the one
// that it is in cannot be believed.
func (s *Store) writeAgain(i id) (entry, error) {
	r, err := s.load(i, nil, nil)
	if err != nil {
		return entry{}, err
	}
	t := target{changed: true, entry: s.pending[i]}
	e := &t.entry
	s.compose(r.key, r.value, r.expires, e.sequence+1)
	if err := s.replace(i, &t, e.slotSize, r.value); err != nil {
		return *e, err
	}
	e.sequence++
	e.rewrite = false
	s.pending[i] = *e
	return *e, nil
}
