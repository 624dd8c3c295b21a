package folder

import "github.com/waddle-sessions/waddle/guest/engines/internal/vfs"

// dirs knows which of the directories above the folders must be synced: those in
// which names have changed, and those that a previous instance may have changed
// without recording it. Once this instance has synced a directory, it is certain
// to be durable.
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

// leaf, top and live note that names in the directory have changed.
func (d *dirs) leaf(leaf int) { d.dirtyLeaves[leaf] = struct{}{} }
func (d *dirs) top(top int)   { d.dirtyTops[top] = struct{}{} }
func (d *dirs) live()         { d.dirtyLive = true }
func (d *dirs) root()         { d.dirtyRoot = true }

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

// sync syncs everything that needs it.
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

// syncPath syncs those directories on the way to a leaf that need it.
func (d *dirs) syncPath(fs vfs.FS, paths paths, leaf int) error {
	if err := d.syncLeaf(fs, paths, leaf); err != nil {
		return err
	}
	if err := d.syncTop(fs, paths, leaf>>4); err != nil {
		return err
	}
	return d.syncAbove(fs, paths)
}

// If a directory is gone, only a sync of the one above it makes that durable.

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
