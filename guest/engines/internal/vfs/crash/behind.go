package crash

import "slices"

// behind is a sync in the background, if begun.
type behind struct {
	running bool
	upTo    int // the node's changes when it began
	asked   int // since then
}

// Linger makes a sync in the background last until it has been asked that many times,
// at least once, whether it is over. It is once unless this was called.
func (d *Disk) Linger(asks int) { d.linger = asks }

// Behind returns how many syncs in the background were begun and are not over.
func (d *Disk) Behind() int { return len(d.behind) }

// Waited returns how many syncs were waited for.
func (d *Disk) Waited() int { return d.waited }

func (d *Disk) begin(b *behind, n *node) {
	*b = behind{running: true, upTo: n.changes}
	d.behind = append(d.behind, b)
}

func (d *Disk) over(b *behind) {
	b.running = false
	if i := slices.Index(d.behind, b); i >= 0 {
		d.behind = slices.Delete(d.behind, i, i+1)
	}
}

func (f *file) forget() { f.disk.over(&f.behind) }

// Sync implements vfs.Syncer.
func (f *file) Sync() error {
	if err := f.check(); err != nil {
		return err
	}
	f.disk.waited++
	if f.running {
		f.forget()
		if err := f.sync(f.upTo); err != nil || f.upTo == f.node.changes {
			return err
		}
	}
	return f.sync(f.node.changes)
}

// SyncBehind implements vfs.Syncer.
func (f *file) SyncBehind() (over bool, err error) {
	if err := f.check(); err != nil {
		return true, err
	}
	if !f.running {
		f.disk.calls++
		if f.disk.off {
			return true, ErrPower
		}
		f.disk.begin(&f.behind, f.node)
		return false, nil
	}
	if f.asked++; f.asked < f.disk.linger {
		f.disk.calls++
		return false, nil
	}
	f.forget()
	return true, f.sync(f.upTo)
}

// sync brings what was changed up to a point to the medium.
func (f *file) sync(upTo int) error {
	kind := Sync
	if f.node.dir {
		kind = SyncDir
	}
	if _, err := f.disk.do(Op{Kind: kind, Name: f.name}); err != nil {
		if !f.disk.off && !f.node.dir {
			f.node.drop(upTo)
		}
		return err
	}
	switch {
	case f.disk.off:
	case f.node.dir:
		f.node.syncDir(upTo)
	default:
		f.node.sync(upTo)
	}
	return f.disk.done()
}
