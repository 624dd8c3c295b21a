package folder

import (
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// sweeper is the position of a round over all folders: the directories at each level that are
// still to be visited, and the one that is being listed. A round covers what was there when it
// reached a directory; later additions are left to the next.
type sweeper struct {
	running bool
	tops    []int
	leaves  []int
	leaf    int
	list    vfs.Directory // the leaf, or nil
	found   bool          // something in it
	folders []id
	work    int // of this call
	damaged int // damaged records that this call removed
	unsaved int // files that were never saved and have no record
}

// mostSweepWork bounds the work of one call of Sweep, in calls to the host: others wait for it. A
// call takes some microseconds, and a record that stays three of them.
const mostSweepWork = 256

// What a step costs, in calls to the host.
const (
	lookWork   = 3
	removeWork = 4
	listWork   = 3
)

// close ends the listing of a leaf.
func (w *sweeper) close() {
	if w.list != nil {
		_ = w.list.Close()
		w.list = nil
	}
}

// Sweep removes expired records, records so damaged that nobody can ever read them, what a crash
// has left behind (it logs both of these), empty directories, and what Clear moved aside. Each of
// these counts towards max, as does a record that stays. However large max is, a call ends after a
// few milliseconds of work, and the next goes on where it was, also in the middle of a directory.
func (s *Store) Sweep(max int, now int64) (removed int, err error) {
	s.sweep.damaged, s.sweep.unsaved, s.sweep.work = 0, 0, 0
	for seen := 0; seen < max && s.sweep.work < mostSweepWork; seen++ {
		if !s.trash.empty() {
			s.sweep.work += removeWork
			s.trash.step()
			continue
		}
		gone, more, stepErr := s.sweepStep(now)
		if gone {
			removed++
		}
		if err = stepErr; err != nil || !more {
			break
		}
	}
	if s.sweep.damaged > 0 {
		guest.Log(guest.LevelWarn, "damaged records that could not be read and were removed: "+strconv.Itoa(s.sweep.damaged))
	}
	if s.sweep.unsaved > 0 {
		guest.Log(guest.LevelInfo, "files of records that a crash interrupted, and that were removed: "+strconv.Itoa(s.sweep.unsaved))
	}
	return removed, notFull(vfs.Answer(err, "sweeping"))
}

// sweepStep looks at one folder, or goes on to the next directory. more is false at the end of a
// round.
func (s *Store) sweepStep(now int64) (removed, more bool, err error) {
	w := &s.sweep
	switch {
	case len(w.folders) > 0:
		i := w.folders[0]
		w.folders = w.folders[1:]
		removed, err = s.sweepFolder(i, now)
		if w.work += lookWork; removed {
			w.work += removeWork
		}
		return removed, true, err
	case w.list != nil:
		w.work += listWork
		return false, true, s.sweepList()
	case len(w.leaves) > 0:
		w.leaf, w.found = w.leaves[0], false
		w.leaves = w.leaves[1:]
		w.work++
		w.list, err = s.fs.OpenDir(s.paths.leaf(w.leaf))
		return false, true, ignoreNotExist(err)
	case len(w.tops) > 0:
		top := w.tops[0]
		w.tops = w.tops[1:]
		w.work += listWork
		lows, err := s.listNumbers(s.paths.top(top), 1)
		for _, low := range lows {
			w.leaves = append(w.leaves, top<<4|low)
		}
		if err == nil && len(lows) == 0 {
			s.removeTop(top)
		}
		return false, true, err
	case w.running:
		w.running = false
		s.tally.round()
		return false, false, nil
	}
	w.running = true
	s.tally.seenRecords, s.tally.seenBytes = 0, 0
	w.work += listWork
	w.tops, err = s.listNumbers(s.paths.live, 2)
	return false, true, err
}

// sweepList lists some more of a leaf.
func (s *Store) sweepList() error {
	w := &s.sweep
	entries, err := w.list.Next()
	if err != nil || len(entries) == 0 {
		w.close()
		if err == nil && !w.found {
			s.removeLeaf(w.leaf)
		}
		return ignoreNotExist(err)
	}
	w.folders = foldersOf(w.leaf, entries)
	w.found = w.found || len(w.folders) > 0
	return nil
}

// removeLeaf removes a directory that is empty, and then the one above it if that is empty, too. A
// directory with anything foreign in it is not empty.
func (s *Store) removeLeaf(leaf int) {
	if s.fs.RemoveDir(s.paths.leaf(leaf)) == nil {
		s.dirs.removedLeaf(leaf)
		s.removeTop(leaf >> 4)
	}
}

func (s *Store) removeTop(top int) {
	if s.fs.RemoveDir(s.paths.top(top)) == nil {
		s.dirs.removedTop(top)
	}
}

// sweepFolder looks at one record.
func (s *Store) sweepFolder(i id, now int64) (removed bool, err error) {
	e, changed, err := s.lookup(i)
	if err != nil {
		return false, err
	}
	if changed && e.state == there {
		if !guest.Expired(e.expires, now) {
			s.tally.seen(fileLength(e.slotSize, true))
			return false, nil
		}
		s.tally.expired++
		return true, s.remove(i, true)
	}
	r, err := s.load(i, nil, nil)
	switch {
	case err == guest.ErrNotFound: // left behind
		if s.fs.Remove(s.paths.file(i, sessionName)) == nil {
			s.sweep.unsaved++
		}
		s.removeFolder(i)
		return false, nil
	case isDamage(err):
		s.sweep.damaged++
		return true, s.remove(i, false)
	case err != nil:
		return false, err
	case !guest.Expired(r.expires, now):
		s.tally.seen(lengthFor(r.size()))
		return false, nil
	}
	s.tally.expired++
	return true, s.remove(i, false)
}
