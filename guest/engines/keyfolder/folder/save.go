package folder

import (
	"cmp"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Save makes durable what has changed since it last succeeded, and costs in
// proportion to that: one sync for a record that replaced another, two more for a new
// one, one for a removed one, nothing if nothing has changed. Records that have
// expired meanwhile are dropped instead. If part of it fails, the rest is still made
// durable.
func (s *Store) Save(now int64) error {
	s.flush = nil
	failed := s.settle(slices.Collect(maps.Keys(s.pending)), now)
	if len(s.pending) == 0 && s.dirs.dirty() {
		failed = first(failed, s.dirs.sync(s.fs, s.paths))
	}
	if failed != nil {
		return vfs.Answer(failed, "saving")
	}
	s.list.reset()
	return nil
}

// flush is a running round of Flush.
type flush struct {
	left   []id
	failed error // the first failure, reported at the end of the round
}

// Flush does the work of Save in steps, of about that many changes each. The first
// call begins a round, over the changes made by then. It returns how many of these
// are left. 0 ends the round and promises what Save does, for everything that came
// before the round began. Later changes are left to the next round.
func (s *Store) Flush(most int, now int64) (left int, err error) {
	most = max(most, 1)
	if s.flush == nil {
		if len(s.pending) == 0 {
			return 0, s.Save(now)
		}
		s.flush = &flush{left: slices.SortedFunc(maps.Keys(s.pending), compareIDs)}
	}
	f := s.flush
	n := min(most, len(f.left))
	step := make([]id, 0, n)
	for _, i := range f.left[:n] {
		if _, changed := s.pending[i]; changed {
			step = append(step, i)
		}
	}
	f.left = f.left[n:]
	f.failed = first(f.failed, s.settle(step, now))
	if len(f.left) > 0 {
		return len(f.left), nil
	}
	s.flush = nil
	if f.failed == nil && len(s.pending) == 0 {
		return 0, s.Save(now)
	}
	if s.list.count >= 2*len(s.pending)+listSlack {
		_ = s.list.replace(s.pending) // otherwise it only gets longer
	}
	return 0, vfs.Answer(f.failed, "saving")
}

// listSlack is how many more entries than necessary the list has when it is made
// anew, while sessions are constantly written.
const listSlack = 1024

// roomPerChange is how many older changes are made durable to make room for a
// new one.
const roomPerChange = 4

// makeRoom limits the number of remembered changes. It reads records, and so comes
// first in an operation.
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
	if err := s.settle(ids, 0); err != nil && len(s.pending) >= s.maxPending {
		return err
	}
	if s.list.count >= 4*s.maxPending {
		return s.list.replace(s.pending)
	}
	return nil
}

// mostFailures is how many failed records make settle give up. Records for which
// there is no room do not count: they fail fast, and removed records must get their
// turn.
const mostFailures = 8

// settle makes the changes of some keys durable and forgets them. Each step is done
// for all keys before the next: syncs of one kind in a row are cheaper. A key that
// fails is remembered and tried again next time.
func (s *Store) settle(ids []id, now int64) (failed error) {
	// Neighbours together, and always in the same order.
	slices.SortFunc(ids, compareIDs)
	failures := 0
	done := func(do func(id) error) {
		kept := ids[:0]
		for _, i := range ids {
			if failures >= mostFailures {
				break
			}
			err := do(i)
			if err == nil {
				kept = append(kept, i)
			} else if !vfs.NoSpace(err) {
				failures++
			}
			failed = first(failed, err)
		}
		ids = kept
	}
	done(func(i id) error { return s.syncRecord(i, now) })
	done(func(i id) error {
		if !s.pending[i].unsynced {
			return nil
		}
		// If a folder is gone, syncing its leaf makes that durable.
		if err := s.fs.SyncDir(s.paths.folder(i)); !vfs.NotExist(err) {
			return err
		}
		return nil
	})
	done(func(i id) error { return s.dirs.syncPath(s.fs, s.paths, i.leaf()) })
	for _, i := range ids {
		if e := s.pending[i]; e.state == there {
			s.recent.put(i, known{place: e.place, sequence: e.sequence, expires: e.expires, revision: e.revision})
		}
		delete(s.pending, i)
	}
	return failed
}

func first(errs ...error) error { return cmp.Or(errs...) }

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.prefix(), b.prefix()), slices.Compare(a[:], b[:]))
}

// syncRecord syncs a record and then empties the other slots of its file, so that no
// older record takes its place if it is damaged one day.
func (s *Store) syncRecord(i id, now int64) error {
	e, _, err := s.lookup(i)
	if err == nil && e.refused {
		return s.removeRefused(i)
	}
	if err != nil || e.state != there {
		return err
	}
	if guest.Expired(e.expires, now) {
		return s.remove(i, true)
	}
	if e.rewrite {
		if err = s.writeAgain(i); err != nil && (!vfs.NoSpace(err) || e.spare == noSpare) {
			return err
		}
		if e = s.pending[i]; err != nil && e.spare == spareAgain {
			if err := s.writeInPlace(i); err != nil {
				return err
			}
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
		e.durable, e.rewrite, e.spare = e.slot, false, noSpare
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
		// The next instance must not believe a sync either.
		_ = s.list.add(i, true)
		e.rewrite, e.spare = true, spareAgain
	}
	s.pending[i] = e
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// removeRefused removes the file that a refused write could not remove.
func (s *Store) removeRefused(i id) error {
	if err := s.fs.Remove(s.paths.file(i, sessionName)); err != nil && !vfs.NotExist(err) {
		return err
	}
	e := s.pending[i]
	e.refused, e.unsynced = false, true
	s.pending[i] = e
	s.dirs.leaf(i.leaf())
	s.removeFolder(i)
	return nil
}

// writeAgain writes a record to a new file, because what the system says about its
// current file cannot be believed.
func (s *Store) writeAgain(i id) error {
	r, err := s.load(i, nil, nil)
	if err != nil {
		return err
	}
	t := target{changed: true, entry: s.pending[i]}
	e := &t.entry
	s.compose(r.key, r.value, r.expires, e.sequence+1)
	if err := s.replace(i, &t, e.slotSize, r.value); err != nil {
		return err
	}
	e.sequence++
	e.rewrite, e.spare = false, noSpare
	s.pending[i] = *e
	return nil
}

// writeInPlace writes a record once more to its own slot, which takes no room. If the
// power goes meanwhile, the saved record is in another slot.
func (s *Store) writeInPlace(i id) error {
	r, err := s.load(i, nil, nil)
	if err != nil {
		return err
	}
	e := s.pending[i]
	f, err := s.fs.OpenFile(s.paths.file(i, sessionName), vfs.ReadWrite)
	if err != nil {
		return err
	}
	s.compose(r.key, r.value, r.expires, e.sequence)
	err = f.Truncate(fileLength(e.slotSize, e.saved)) // the length may not be on the disk either
	if err == nil {
		err = s.put(f, int64(e.slot)*int64(e.slotSize), r.value)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
