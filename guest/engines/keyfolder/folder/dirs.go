package folder

import (
	"cmp"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// level is how high a directory above the folders is.
type level uint8

const (
	leafLevel level = iota
	topLevel
	liveLevel // the directory that holds everything alive
	rootLevel // the directory of the store; Open syncs it
)

// dir is one of these directories.
type dir struct {
	level  level
	number int // of a leaf or top
}

// above returns the directories above a folder, the nearest first.
func above(leaf int) [4]dir {
	return [...]dir{{leafLevel, leaf}, {topLevel, leaf >> 4}, {liveLevel, 0}, {rootLevel, 0}}
}

func (p paths) dir(d dir) string {
	switch d.level {
	case leafLevel:
		return p.leaf(d.number)
	case topLevel:
		return p.top(d.number)
	case liveLevel:
		return p.live
	}
	return ""
}

// dirs knows which of these directories must be synced: those in which names have
// changed, and those that a previous instance may have changed without recording it.
// Once this instance has synced a directory, it is certain to be durable.
type dirs struct {
	changes uint64
	dirty   map[dir]uint64 // the changes with the last one in the directory

	syncedLeaves [leaves]bool
	syncedTops   [tops]bool
	syncedLive   bool
}

func newDirs() dirs { return dirs{dirty: make(map[dir]uint64)} }

// changed notes that names in a directory have changed.
func (d *dirs) changed(in dir) {
	d.changes++
	d.dirty[in] = d.changes
}

func (d *dirs) leaf(leaf int) { d.changed(dir{leafLevel, leaf}) }
func (d *dirs) top(top int)   { d.changed(dir{topLevel, top}) }
func (d *dirs) live()         { d.changed(dir{level: liveLevel}) }
func (d *dirs) root()         { d.changed(dir{level: rootLevel}) }

// doubt notes that a folder, and the directories above it, may exist without
// being durable.
func (d *dirs) doubt(leaf int) {
	if !d.syncedLeaves[leaf] {
		d.leaf(leaf)
	}
	if !d.syncedTops[leaf>>4] {
		d.top(leaf >> 4)
	}
	if !d.syncedLive {
		d.live()
	}
}

// removedLeaf and removedTop note that a directory is gone. If names in it were
// still to be synced, the directory above must now be synced instead.
func (d *dirs) removedLeaf(leaf int) {
	if _, dirty := d.dirty[dir{leafLevel, leaf}]; dirty {
		d.top(leaf >> 4)
	}
}

func (d *dirs) removedTop(top int) {
	if _, dirty := d.dirty[dir{topLevel, top}]; dirty {
		d.live()
	}
}

// synced notes that a directory was synced as it was after a change. Later changes
// need another sync.
func (d *dirs) synced(of dir, change uint64) {
	if d.dirty[of] == change {
		delete(d.dirty, of)
	}
	switch of.level {
	case leafLevel:
		d.syncedLeaves[of.number] = true
	case topLevel:
		d.syncedTops[of.number] = true
	case liveLevel:
		d.syncedLive = true
	}
}

// sync syncs everything that needs it. If a directory is gone, only a sync of the
// one above it makes that durable.
func (d *dirs) sync(fs vfs.FS, paths paths) error {
	all := slices.SortedFunc(maps.Keys(d.dirty), func(a, b dir) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.number, b.number))
	})
	for _, of := range all {
		if err := fs.SyncDir(paths.dir(of)); err != nil && !(vfs.NotExist(err) && of.level != rootLevel) {
			return err
		}
		d.synced(of, d.dirty[of])
	}
	return nil
}
