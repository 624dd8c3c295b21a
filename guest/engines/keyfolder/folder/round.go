package folder

import (
	"slices"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// A round makes changes durable, a group of them at a time: first their files, then
// the names that have changed in their folders and in the directories above. Syncs of
// a group run side by side in the background, because a file system writes in one go
// what arrives together: of new files, sixteen at once take a tenth of the time.
//
// Other operations may come between two steps. What they change meanwhile is left to
// the next round.
type round struct {
	left    []*change // not begun
	group   []*change // under way
	names   bool      // their files are done
	tasks   []*task   // not begun
	running []*task
	total   int // tasks of the group's stage, also those that are over
	least   int // remaining so far, and the calls of Flush since then
	idle    int
	changes int  // at the beginning
	polls   int  // calls of Flush that found nothing to do
	waits   bool // for every sync

	failed   error // the first failure, reported at the end
	failures int
}

const (
	// groupSize is how many syncs run at once. More gain nothing where several shards
	// save.
	groupSize = 16

	// mostFailures is how many failed records make a round give up. Records for which
	// there is no room do not count: they fail fast, and removed records must get
	// their turn.
	mostFailures = 8

	// unitsPerChange is how many syncs are begun or ended for a new record: of its file,
	// its folder, and one directory.
	unitsPerChange = 6

	// mostTries is how often a record is synced in vain because its place was needed
	// meanwhile. The next time, the others wait.
	mostTries = 2
)

// change is a change of a round.
type change struct {
	id    id
	tries int
	again bool // its record was synced in vain
	fails bool
	names uint32 // the entry's names that this round makes durable
}

// task is a sync: of a change's file or folder, or of a directory above.
type task struct {
	change *change // nil for a directory above
	folder bool    // of the change, and not its file
	dir    dir
	serial uint64 // the last change in dir that is covered
	open   vfs.Syncer
	over   bool

	// Of a file:
	file    vfs.File // is open
	slot    int8     // of the record that is synced
	enough  bool     // the record was synced already
	void    bool     // the record's slot was used again
	rewrite bool     // the file was not to be believed, and there was no room for another
	spare   spare
}

func newRound(ids []id) *round {
	slices.SortFunc(ids, compareIDs) // neighbours together, and always in the same order
	r := &round{left: make([]*change, len(ids)), changes: len(ids)}
	changes := make([]change, len(ids))
	for n, i := range ids {
		changes[n].id = i
		r.left[n] = &changes[n]
	}
	return r
}

// over reports whether all is done.
func (r *round) over() bool {
	return len(r.left) == 0 && len(r.group) == 0
}

// remaining is about how many changes are left, 0 only at the end. It becomes less
// with every few syncs, so that the host sees that the round goes on.
func (r *round) remaining() int {
	if r.over() {
		return 0
	}
	half := len(r.group) // of the group's work, with files as one half and names as the other
	if !r.names {
		half *= 2
	}
	done := 0
	if r.total > 0 {
		done = len(r.group) * (r.total - len(r.tasks) - len(r.running)) / r.total
	}
	return max(1, len(r.left)+(half-done+1)/2)
}

// settle makes the changes of some keys durable, and waits for that. No round may be
// running.
func (s *Store) settle(ids []id, now int64) error {
	s.round = newRound(ids)
	s.finish(now)
	failed := s.round.failed
	s.round = nil
	return failed
}

// finish waits until a round is over.
func (s *Store) finish(now int64) {
	s.round.waits = true
	for !s.round.over() {
		s.advance(groupSize, now)
		if len(s.round.running) > 0 {
			s.await(s.round.running[0])
		}
	}
}

// await waits for a sync that runs.
func (s *Store) await(t *task) { s.end(t, t.open.Sync()) }

// advance ends the syncs that are over and begins others, for about that many changes.
// It waits for none, unless the round does, and reports whether there was anything to
// do.
func (s *Store) advance(changes int, now int64) (moved bool) {
	r, most := s.round, unitsPerChange*min(changes, groupSize*groupSize)
	for _, t := range slices.Clone(r.running) {
		if most <= 0 {
			return true
		}
		if over, err := t.open.SyncBehind(); over {
			s.end(t, err)
			moved = true
			most--
		}
	}
	for most > 0 {
		switch {
		case r.failures >= mostFailures && len(r.left)+len(r.tasks) > 0:
			r.left, r.tasks = nil, nil
		case len(r.tasks) > 0 && len(r.running) < groupSize:
			t := r.tasks[0]
			err := s.begin(t, now)
			if vfs.TooManyOpen(err) && len(r.running) > 0 {
				return moved
			}
			r.tasks = r.tasks[1:]
			if moved = true; err != nil || t.open == nil {
				s.end(t, err)
			}
			most--
		case len(r.running) > 0:
			return moved
		case !s.nextStage():
			return true
		}
	}
	return moved
}

// nextStage goes on to the names of the group, or to the next group.
func (s *Store) nextStage() bool {
	r := s.round
	switch {
	case len(r.group) > 0 && !r.names:
		r.names = true
		for _, c := range r.group {
			s.planNames(c)
		}
	default:
		s.concludeGroup()
		if len(r.left) == 0 {
			return false
		}
		n := min(groupSize, len(r.left))
		r.group, r.left, r.names = slices.Clone(r.left[:n]), r.left[n:], false
		for _, c := range r.group {
			c.fails = false
			if _, changed := s.pending[c.id]; changed {
				r.tasks = append(r.tasks, &task{change: c})
			}
		}
	}
	r.total = len(r.tasks)
	return true
}

// planNames adds the syncs of the names that a change needs.
func (s *Store) planNames(c *change) {
	e, changed := s.pending[c.id]
	if c.fails || !changed {
		return
	}
	c.names = e.names
	if e.unsynced {
		s.round.tasks = append(s.round.tasks, &task{change: c, folder: true})
	}
	for _, d := range above(c.id.leaf()) {
		s.planDir(d)
	}
}

// planDir adds a directory above the folders, if it needs a sync and is not among the
// tasks.
func (s *Store) planDir(d dir) {
	r := s.round
	if _, dirty := s.dirs.dirty[d]; !dirty {
		return
	}
	if !slices.ContainsFunc(r.tasks, func(t *task) bool { return !t.folder && t.dir == d }) {
		r.tasks = append(r.tasks, &task{dir: d})
	}
}

// concludeGroup forgets the changes that are durable.
func (s *Store) concludeGroup() {
	r := s.round
	for _, c := range r.group {
		if c.again {
			c.again = false
			r.left = append(r.left, c)
		}
		e, changed := s.pending[c.id]
		if c.fails || !changed || e.unsynced || e.refused || e.state == there && (e.slot != e.durable || e.rewrite) {
			continue
		}
		if e.state == there {
			s.recent.put(c.id, known{place: e.place, sequence: e.sequence, expires: e.expires, revision: e.revision})
		}
		delete(s.pending, c.id)
	}
	r.group, r.total = nil, 0
}

// begin begins a sync. Without an open handle there was nothing to sync.
func (s *Store) begin(t *task, now int64) (err error) {
	switch {
	case t.change == nil:
		t.serial = s.dirs.dirty[t.dir]
		t.open, err = s.openDir(s.paths.dir(t.dir))
		if t.open == nil && err == nil && t.dir.level < liveLevel {
			for _, d := range above(t.dir.leaf()) { // what must now be synced instead
				if d.level > t.dir.level {
					s.planDir(d)
				}
			}
		}
	case t.folder:
		t.open, err = s.openDir(s.paths.folder(t.change.id))
	default:
		err = s.beginFile(t, now)
	}
	if err != nil || t.open == nil {
		return err
	}
	if t.enough {
		s.end(t, nil)
		return nil
	}
	var over bool
	if r := s.round; r.waits && (len(r.tasks) == 1 || len(r.running) == groupSize-1) || t.change != nil && t.change.tries >= mostTries {
		over, err = true, t.open.Sync()
	} else {
		over, err = t.open.SyncBehind()
	}
	if over {
		s.end(t, err)
		return nil
	}
	s.round.running = append(s.round.running, t)
	return nil
}

// leaf is one of the leaves in a directory.
func (d dir) leaf() int {
	if d.level == topLevel {
		return d.number << 4
	}
	return d.number
}

// openDir opens a directory, if it is there.
func (s *Store) openDir(name string) (vfs.Syncer, error) {
	d, err := s.fs.OpenDir(name)
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	return d, nil
}

// end notes the outcome of a sync.
func (s *Store) end(t *task, err error) {
	if t.over {
		return
	}
	t.over = true
	s.round.running = slices.DeleteFunc(s.round.running, func(other *task) bool { return other == t })
	if t.file != nil {
		err = s.endFile(t, err)
	}
	if t.open != nil {
		if closed := t.open.Close(); err == nil {
			err = closed
		}
	}
	switch {
	case err != nil:
		s.fail(t, err)
	case t.change == nil:
		s.dirs.synced(t.dir, t.serial)
	case t.folder:
		if e, changed := s.pending[t.change.id]; changed && e.names == t.change.names {
			e.unsynced = false
			s.pending[t.change.id] = e
		}
	}
}

// fail notes that a sync has failed, for all changes that need it.
func (s *Store) fail(t *task, err error) {
	r := s.round
	r.failed = first(r.failed, err)
	if !vfs.NoSpace(err) {
		r.failures++
	}
	if t.change != nil {
		t.change.fails = true
		return
	}
	for _, c := range r.group {
		if way := above(c.id.leaf()); slices.Contains(way[:], t.dir) {
			c.fails = true
		}
	}
}

// abandon forgets the syncs that run, with their outcome.
func (s *Store) abandon() {
	if s.round == nil {
		return
	}
	for _, t := range s.round.running {
		_ = t.open.Close()
	}
	s.round = nil
}

// flying returns the running sync of a key's file, if there is one.
func (s *Store) flying(i id) *task {
	if s.round == nil {
		return nil
	}
	for _, t := range s.round.running {
		if t.change != nil && !t.folder && t.change.id == i {
			return t
		}
	}
	return nil
}

// drop gives up the sync of a file that gets another in its place, or none. Some
// systems can neither remove an open file nor rename over one.
func (s *Store) drop(i id) {
	if t := s.flying(i); t != nil {
		t.void = true
		s.end(t, nil)
	}
}
