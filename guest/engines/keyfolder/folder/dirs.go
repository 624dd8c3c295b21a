package folder

import "github.com/waddle-sessions/waddle/guest/engines/internal/vfs"

// dirs knows which of the directories above the folders have to be synced: those
// in which names have changed, and those that an instance before this one may
// have changed, which it did not live to tell. A directory that this instance has
// synced once is free of such doubt.
type dirs struct {
	dirtyLeaves map[int]struct{}
	dirtyTops   map[int]struct{}
	dirtyLive   bool
	dirtyRoot   bool // Open syncs it

	syncedLeaves [leaves]bool
	syncedTops   [tops]bool
	syncedLive   bool
}

func newDirs() dirs {
	return dirs{dirtyLeaves: make(map[int]struct{}), dirtyTops: make(map[int]struct{})}
}

// leaf, top, live: names in it have changed.
func (d *dirs) leaf(leaf int) { d.dirtyLeaves[leaf] = struct{}{} }
func (d *dirs) top(top int)   { d.dirtyTops[top] = struct{}{} }
func (d *dirs) live()         { d.dirtyLive = true }
func (d *dirs) root()         { d.dirtyRoot = true }

// doubt is for a folder that may be there and not be durable, with all that is
// above it.
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

// removedLeaf and removedTop: a directory is gone. If names in it were still to
// be synced, now this is.
func (d *dirs) removedLeaf(leaf int) {
	if _, dirty := d.dirtyLeaves[leaf]; dirty {
		d.top(leaf >> 4)
	}
}

func (d *dirs) removedTop(top int) {
	if _, dirty := d.dirtyTops[top]; dirty {
		d.live()
	}
}

// dirty reports whether there is anything to sync.
func (d *dirs) dirty() bool {
	return d.dirtyRoot || d.dirtyLive || len(d.dirtyTops) > 0 || len(d.dirtyLeaves) > 0
}

// sync syncs all that needs it.
func (d *dirs) sync(fs vfs.FS, paths paths) error {
	for leaf := range d.dirtyLeaves {
		if err := d.syncLeaf(fs, paths, leaf); err != nil {
			return err
		}
	}
	for top := range d.dirtyTops {
		if err := d.syncTop(fs, paths, top); err != nil {
			return err
		}
	}
	return d.syncAbove(fs, paths)
}

// syncPath syncs what needs it of the directories that a leaf is reached by.
func (d *dirs) syncPath(fs vfs.FS, paths paths, leaf int) error {
	if err := d.syncLeaf(fs, paths, leaf); err != nil {
		return err
	}
	if err := d.syncTop(fs, paths, leaf>>4); err != nil {
		return err
	}
	return d.syncAbove(fs, paths)
}

// A directory that is gone is so by the one above it, which needs it too then.

func (d *dirs) syncLeaf(fs vfs.FS, paths paths, leaf int) error {
	if _, dirty := d.dirtyLeaves[leaf]; !dirty {
		return nil
	}
	if err := fs.SyncDir(paths.leaf(leaf)); err != nil && !vfs.NotExist(err) {
		return err
	}
	d.syncedLeaves[leaf] = true
	delete(d.dirtyLeaves, leaf)
	return nil
}

func (d *dirs) syncTop(fs vfs.FS, paths paths, top int) error {
	if _, dirty := d.dirtyTops[top]; !dirty {
		return nil
	}
	if err := fs.SyncDir(paths.top(top)); err != nil && !vfs.NotExist(err) {
		return err
	}
	d.syncedTops[top] = true
	delete(d.dirtyTops, top)
	return nil
}

func (d *dirs) syncAbove(fs vfs.FS, paths paths) error {
	if d.dirtyLive {
		if err := fs.SyncDir(paths.live); err != nil && !vfs.NotExist(err) {
			return err
		}
		d.syncedLive, d.dirtyLive = true, false
	}
	if d.dirtyRoot {
		if err := fs.SyncDir(""); err != nil {
			return err
		}
		d.dirtyRoot = false
	}
	return nil
}
