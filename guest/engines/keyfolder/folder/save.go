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
	if s.round != nil { // of Flush
		s.round.left = nil
		s.finish(now)
		s.round = nil
	}
	failed := s.settle(slices.Collect(maps.Keys(s.pending)), now)
	if len(s.pending) == 0 {
		failed = first(failed, s.dirs.sync(s.fs, s.paths))
	}
	if failed != nil {
		return vfs.Answer(failed, "saving")
	}
	s.list.reset()
	return nil
}

// Flush does the work of Save in steps, of about that many syncs each, and waits for
// none. The first call begins a round, over the changes made by then. It returns about
// how many of these are left. 0 ends the round and promises what Save does, for
// everything that came before the round began. Later changes are left to the next
// round.
func (s *Store) Flush(most int, now int64) (left int, err error) {
	if s.round == nil {
		if len(s.pending) == 0 {
			return 0, s.Save(now)
		}
		s.round = newRound(slices.Collect(maps.Keys(s.pending)))
		s.round.least = len(s.pending)
	}
	r := s.round
	r.idle++
	if !s.advance(max(most, 1), now) {
		if r.polls++; r.idle > patience || r.polls > freePolls+pollsPerChange*(r.changes-r.remaining()) {
			s.await(r.running[0]) // the oldest: others usually end with it
		}
	}
	if left := r.remaining(); left > 0 {
		if left < r.least {
			r.least, r.idle = left, 0
		}
		return left, nil
	}
	s.round = nil
	if r.failed == nil && len(s.pending) == 0 {
		return 0, s.Save(now)
	}
	if s.list.count >= 2*len(s.pending)+listSlack {
		_ = s.list.replace(s.pending) // otherwise it only gets longer
	}
	return 0, vfs.Answer(r.failed, "saving")
}

const (
	// patience is how many calls of Flush in a row may leave as much as before. Each of
	// those that follow waits for a sync: a host takes a round for endless that makes no
	// progress in 64 calls, and ends it.
	patience = 48

	// freePolls and pollsPerChange are how many calls of a round may find nothing to do, at
	// first and for each change that is done. Each of those that follow waits for a sync, so
	// that a host that makes no pauses comes to the end in some calls for each change.
	freePolls      = 24
	pollsPerChange = 2

	// listSlack is how many more entries than necessary the list has when it is made
	// anew, while sessions are constantly written.
	listSlack = 1024

	// roomPerChange is how many older changes are made durable to make room for a
	// new one: their syncs run at once.
	roomPerChange = groupSize
)

// makeRoom limits the number of remembered changes. It reads records, and so comes
// first in an operation.
func (s *Store) makeRoom() error {
	if len(s.pending) < s.maxPending {
		return nil
	}
	running := s.round
	for running != nil && !running.over() {
		s.advance(groupSize, 0)
		if len(running.running) > 0 {
			s.await(running.running[0])
		}
		if len(s.pending) < s.maxPending {
			return nil
		}
	}
	ids := make([]id, 0, roomPerChange)
	for i := range s.pending {
		if ids = append(ids, i); len(ids) == roomPerChange {
			break
		}
	}
	err := s.settle(ids, 0)
	s.round = running // Flush tells of its end
	if err != nil && len(s.pending) >= s.maxPending {
		return err
	}
	if s.list.count >= 4*s.maxPending {
		return s.list.replace(s.pending)
	}
	return nil
}

func first(errs ...error) error { return cmp.Or(errs...) }

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(a.prefix(), b.prefix()), slices.Compare(a[:], b[:]))
}

// beginFile opens a changed record's file to be synced. If there is nothing to sync,
// it leaves no file open.
func (s *Store) beginFile(t *task, now int64) error {
	i := t.change.id
	e, changed, err := s.lookup(i)
	if err == nil && e.refused {
		return s.removeRefused(i)
	}
	if err != nil || !changed || e.state != there {
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
	f, err := s.fs.OpenFile(s.paths.file(i, sessionName), vfs.ReadWrite|vfs.Background)
	if err != nil {
		return err
	}
	t.open, t.file, t.slot, t.enough = f, f, e.slot, e.slot == e.durable
	t.rewrite, t.spare = e.rewrite, e.spare
	e.rewrite, e.spare = false, noSpare // unless a write or the sync fails
	s.pending[i] = e
	return nil
}

// endFile notes the outcome of the sync of a record, and then empties the other slots
// of its file, so that no older record takes its place if it is damaged one day.
func (s *Store) endFile(t *task, err error) error {
	i := t.change.id
	e, changed := s.pending[i]
	switch {
	case !changed || e.state != there:
		return nil // the file is gone, which is a matter of names
	case err != nil:
		// The next instance must not believe a sync either.
		_ = s.list.add(i, true)
		e.rewrite, e.spare = true, spareAgain
	case t.void:
		if t.rewrite && !e.rewrite {
			e.rewrite, e.spare = true, t.spare
		}
		t.change.tries++
		t.change.again = true
	default:
		e.durable = t.slot
		if !e.saved {
			e.saved = t.file.Truncate(fileLength(e.slotSize, true)) == nil
		}
		for slot := range int8(slotCount) {
			if slot == e.slot || slot == e.durable || e.used&(1<<slot) == 0 {
				continue
			}
			if _, failed := t.file.WriteAt(zeros[:headerSize], int64(slot)*int64(e.slotSize)); failed == nil {
				e.used &^= 1 << slot
			}
		}
	}
	s.pending[i] = e
	return err
}

// removeRefused removes the file that a refused write could not remove.
func (s *Store) removeRefused(i id) error {
	if err := s.fs.Remove(s.paths.file(i, sessionName)); err != nil && !vfs.NotExist(err) {
		return err
	}
	e := s.pending[i]
	e.refused, e.unsynced = false, true
	e.names++
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
