// Package crash has a disk in memory for tests of what survives a killed process, a
// power loss, or an error in the middle.
//
// A Disk keeps two states, as an operating system does: what programs see, and how
// much of it is on the medium. Syncing a file or a directory makes them equal. When
// the power comes back, any part of what was not synced may be there: a [Survival]
// decides for every name and for every write, sector by sector.
//
//	disk := crash.New()
//	disk.CutAt(n)                 // the n-th change from here is the last, and not quite done
//	... run until an operation returns ErrPower ...
//	disk.Restart(crash.Nothing)   // or Everything, or Some(rng)
//	... open again and look ...
package crash

import (
	"errors"
	"syscall"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// ErrPower is what every operation returns while the power is off.
var ErrPower = errors.New("crash: the power is off")

// Disk is a file system on a simulated disk. It implements [vfs.FS].
type Disk struct {
	root    *node
	numbers uint64 // how many numbers were given out
	life    int    // counts restarts: handles from before a restart are dead
	off     bool
	changes int
	cutAt   int // the value of changes at which the power goes, 0 for never
	calls   int
	linger  int       // how often a sync in the background is asked for
	behind  []*behind // those that run
	waited  int
	hook    func(Op) (keep int, err error)
}

var _ vfs.FS = (*Disk)(nil)

// Kind is what an operation does.
type Kind string

// Kinds of operations.
const (
	Open     Kind = "open"
	Create   Kind = "create" // an open that makes a file, or truncates one to nothing
	Mkdir    Kind = "mkdir"
	Remove   Kind = "remove"
	Rename   Kind = "rename"
	ReadDir  Kind = "readdir"
	Stat     Kind = "stat"
	SyncDir  Kind = "syncdir"
	Read     Kind = "read"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Close    Kind = "close" // if it fails, the handle is still closed
)

// Op is an operation that is about to be done.
type Op struct {
	Kind Kind
	Name string // for Rename, the new one
	Size int    // bytes to read or write
}

// Change reports whether the power can be cut at the operation.
func (o Op) Change() bool {
	switch o.Kind {
	case Open, ReadDir, Stat, Read, Close:
		return false
	}
	return true
}

// New returns an empty disk.
func New() *Disk {
	d := &Disk{linger: 1}
	d.root = d.numbered(newDir())
	return d
}

func (d *Disk) numbered(n *node) *node {
	d.numbers++
	n.number = d.numbers
	return n
}

// Changes returns the number of changes so far: operations that alter or sync
// something.
func (d *Disk) Changes() int { return d.changes }

// Calls returns the number of operations so far, including closing files: the calls
// that a guest would have made to its host.
func (d *Disk) Calls() int { return d.calls }

// CutAt cuts the power at the n-th change from now, n at least 1. That change counts
// as begun: any part of it may survive.
func (d *Disk) CutAt(n int) { d.cutAt = d.changes + n }

// Number returns what distinguishes a file or directory from all others, whatever its
// name: what other file systems call its inode. The disk's root directory has number
// 1. Asking is not an operation, and fails only if there is no such file.
func (d *Disk) Number(name string) (uint64, error) {
	n, err := d.lookup(name)
	if err != nil {
		return 0, err
	}
	return n.number, nil
}

// Off reports whether the power is off.
func (d *Disk) Off() bool { return d.off }

// Hook makes f see every operation before it is done. If f returns an error, the
// operation fails with it; if it is a write, its first keep bytes are still written.
// A sync that fails like this leaves what Linux may leave: pages that are considered
// clean but are not on the disk. A later sync of the same contents then succeeds and
// means nothing.
func (d *Disk) Hook(f func(Op) (keep int, err error)) { d.hook = f }

// Restart ends whatever the machine was doing and starts it again with what survived.
// All earlier handles are dead. The hook is removed, too.
func (d *Disk) Restart(s Survival) {
	d.reset()
	d.root.settle(s)
}

// Kill ends the process, but not the machine: everything that was written is there.
// All earlier handles are dead. If the power was cut at a change, the process counts
// as killed in the middle of it: of a write, the part that s decides on is there, and
// everything else is there completely.
func (d *Disk) Kill(s Survival) {
	d.reset()
	d.root.killed(s)
}

func (d *Disk) reset() {
	d.off, d.cutAt, d.hook, d.behind = false, 0, nil, nil
	d.life++
}

// do is called before every operation.
func (d *Disk) do(op Op) (keep int, err error) {
	d.calls++
	if d.off {
		return 0, ErrPower
	}
	if d.hook != nil {
		if keep, err := d.hook(op); err != nil {
			return keep, err
		}
	}
	if op.Change() {
		d.changes++
		d.off = d.changes == d.cutAt
	}
	return 0, nil
}

// done is the result of an operation that was begun.
func (d *Disk) done() error {
	if d.off {
		return ErrPower
	}
	return nil
}

// OpenFile implements vfs.FS.
func (d *Disk) OpenFile(name string, flag vfs.Flag) (vfs.File, error) {
	dir, base, err := d.parent(name)
	var found *node
	if err == nil {
		found = dir.entries[base]
	}
	creates := err == nil && found == nil && flag&vfs.Create != 0
	truncates := found != nil && !found.dir && flag&vfs.Truncate != 0 && len(found.data) > 0
	kind := Open
	if creates || truncates {
		kind = Create
	}
	if _, err := d.do(Op{Kind: kind, Name: name}); err != nil {
		return nil, err
	}
	switch {
	case err != nil:
		return nil, err
	case creates:
		found = d.numbered(new(node))
		dir.link(base, found, d.off)
	case found == nil:
		return nil, syscall.ENOENT
	case found.dir:
		return nil, syscall.EISDIR
	case flag&vfs.Create != 0 && flag&vfs.Exclusive != 0:
		return nil, syscall.EEXIST
	case truncates:
		found.change(write{truncate: true, cut: d.off})
	}
	if err := d.done(); err != nil {
		return nil, err
	}
	return &file{disk: d, node: found, name: name, life: d.life, writable: flag&vfs.ReadWrite != 0}, nil
}

// Mkdir implements vfs.FS.
func (d *Disk) Mkdir(name string) error {
	if _, err := d.do(Op{Kind: Mkdir, Name: name}); err != nil {
		return err
	}
	dir, base, err := d.parent(name)
	if err != nil {
		return err
	}
	if dir.entries[base] != nil {
		return syscall.EEXIST
	}
	dir.link(base, d.numbered(newDir()), d.off)
	return d.done()
}

// Remove implements vfs.FS.
func (d *Disk) Remove(name string) error {
	return d.remove(name, func(n *node) error {
		if n.dir {
			return syscall.EISDIR
		}
		return nil
	})
}

// RemoveDir implements vfs.FS.
func (d *Disk) RemoveDir(name string) error {
	return d.remove(name, func(n *node) error {
		switch {
		case !n.dir:
			return syscall.ENOTDIR
		case len(n.entries) > 0:
			return syscall.ENOTEMPTY
		}
		return nil
	})
}

func (d *Disk) remove(name string, allowed func(*node) error) error {
	if _, err := d.do(Op{Kind: Remove, Name: name}); err != nil {
		return err
	}
	dir, base, err := d.parent(name)
	if err != nil {
		return err
	}
	found := dir.entries[base]
	if found == nil {
		return syscall.ENOENT
	}
	if err := allowed(found); err != nil {
		return err
	}
	dir.unlink(base, d.off)
	return d.done()
}

// Rename implements vfs.FS. Within a directory it is one change, which survives or
// does not. Between two directories it is two changes, and either may survive without
// the other.
func (d *Disk) Rename(oldName, newName string) error {
	if _, err := d.do(Op{Kind: Rename, Name: newName}); err != nil {
		return err
	}
	from, oldBase, err := d.parent(oldName)
	if err != nil {
		return err
	}
	to, newBase, err := d.parent(newName)
	if err != nil {
		return err
	}
	moved, replaced := from.entries[oldBase], to.entries[newBase]
	switch {
	case moved == nil:
		return syscall.ENOENT
	case moved == replaced:
		return d.done()
	case replaced != nil && replaced.dir && !moved.dir:
		return syscall.EISDIR
	case replaced != nil && moved.dir && !replaced.dir:
		return syscall.ENOTDIR
	case replaced != nil && replaced.dir && len(replaced.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if from == to {
		from.rename(oldBase, newBase, d.off)
	} else {
		to.link(newBase, moved, d.off)
		from.unlink(oldBase, d.off)
	}
	return d.done()
}

// ReadDir implements vfs.FS.
func (d *Disk) ReadDir(name string) ([]vfs.Entry, error) {
	if _, err := d.do(Op{Kind: ReadDir, Name: name}); err != nil {
		return nil, err
	}
	n, err := d.lookup(name)
	if err != nil {
		return nil, err
	}
	d.calls += 2 // a directory is opened, read and closed
	if !n.dir {
		return nil, syscall.ENOTDIR
	}
	entries := make([]vfs.Entry, 0, len(n.entries))
	for base, child := range n.entries {
		entries = append(entries, vfs.Entry{Name: base, Kind: child.kind()})
	}
	return entries, nil
}

// Stat implements vfs.FS.
func (d *Disk) Stat(name string) (vfs.Info, error) {
	if _, err := d.do(Op{Kind: Stat, Name: name}); err != nil {
		return vfs.Info{}, err
	}
	n, err := d.lookup(name)
	if err != nil {
		return vfs.Info{}, err
	}
	return vfs.Info{Kind: n.kind(), Size: int64(len(n.data))}, nil
}

// SyncDir implements vfs.FS.
func (d *Disk) SyncDir(name string) error {
	n, err := d.lookup(name)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err == nil {
		d.calls += 2
	}
	d.waited++
	if _, failed := d.do(Op{Kind: SyncDir, Name: name}); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	if !d.off {
		n.syncDir(n.changes)
	}
	return d.done()
}
