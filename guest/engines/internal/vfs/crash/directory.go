package crash

import (
	"maps"
	"slices"
	"syscall"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// directory is an open handle of a directory.
type directory struct {
	file
	listed bool
	left   []string
}

// nextEntries is how many entries of a directory are read at once.
const nextEntries = 16

// OpenDir implements vfs.FS.
func (d *Disk) OpenDir(name string) (vfs.Directory, error) {
	if _, err := d.do(Op{Kind: Open, Name: name}); err != nil {
		return nil, err
	}
	n, err := d.lookup(name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, syscall.ENOTDIR
	}
	return &directory{file: file{disk: d, node: n, name: name, life: d.life}}, nil
}

// Next implements vfs.Directory. Names that are removed meanwhile do not come.
func (d *directory) Next() (entries []vfs.Entry, err error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if _, err := d.disk.do(Op{Kind: ReadDir, Name: d.name}); err != nil {
		return nil, err
	}
	if !d.listed {
		d.left, d.listed = slices.Sorted(maps.Keys(d.node.entries)), true
	}
	for len(d.left) > 0 && len(entries) < nextEntries {
		if child := d.node.entries[d.left[0]]; child != nil {
			entries = append(entries, vfs.Entry{Name: d.left[0], Kind: child.kind()})
		}
		d.left = d.left[1:]
	}
	return entries, nil
}
