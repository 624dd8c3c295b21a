package crash

import (
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// node is a file or a directory: what programs see of it, how much of that is
// on the medium, and the changes between the two, in order.
type node struct {
	dir    bool
	number uint64

	data   []byte
	stable []byte
	writes []write

	entries       map[string]*node
	stableEntries map[string]*node
	names         []naming

	changes int // all writes or changes of names so far
}

// write is a change of a file: bytes at an offset, or a new length.
type write struct {
	truncate bool
	offset   int64 // or the new length
	data     []byte
	synced   bool // on the medium, and kept here only because of an earlier write that is not
	dropped  bool // a sync failed: no later sync will bring it to the medium
	cut      bool // the power went meanwhile
	serial   int  // the value of the node's changes with it
}

// naming is a change of a directory: the name to now has node, and the name
// from is gone. Either may be missing.
type naming struct {
	from, to string
	node     *node
	cut      bool
	serial   int // the value of the directory's changes with it
}

func newDir() *node {
	return &node{dir: true, entries: make(map[string]*node), stableEntries: make(map[string]*node)}
}

func (n *node) kind() vfs.Kind {
	if n.dir {
		return vfs.Dir
	}
	return vfs.Regular
}

func (d *Disk) lookup(name string) (*node, error) {
	n := d.root
	if name == "" {
		return n, nil
	}
	for base := range strings.SplitSeq(name, "/") {
		switch {
		case base == "" || base == "." || base == "..":
			return nil, syscall.EINVAL
		case !n.dir:
			return nil, syscall.ENOTDIR
		case n.entries[base] == nil:
			return nil, syscall.ENOENT
		}
		n = n.entries[base]
	}
	return n, nil
}

func (d *Disk) parent(name string) (dir *node, base string, err error) {
	at := strings.LastIndexByte(name, '/')
	base = name[at+1:]
	dir, err = d.lookup(name[:max(at, 0)])
	switch {
	case err != nil:
		return nil, "", err
	case base == "" || base == "." || base == "..":
		return nil, "", syscall.EINVAL
	case !dir.dir:
		return nil, "", syscall.ENOTDIR
	}
	return dir, base, nil
}

func (n *node) link(name string, child *node, cut bool) {
	n.entries[name] = child
	n.named(naming{to: name, node: child, cut: cut})
}

func (n *node) unlink(name string, cut bool) {
	delete(n.entries, name)
	n.named(naming{from: name, cut: cut})
}

func (n *node) rename(from, to string, cut bool) {
	child := n.entries[from]
	delete(n.entries, from)
	n.entries[to] = child
	n.named(naming{from: from, to: to, node: child, cut: cut})
}

func (n *node) named(change naming) {
	n.changes++
	change.serial = n.changes
	n.names = append(n.names, change)
}

func (change naming) apply(entries map[string]*node) {
	delete(entries, change.from)
	if change.to != "" {
		entries[change.to] = change.node
	}
}

// syncDir brings changes of names to the medium, up to one.
func (n *node) syncDir(upTo int) {
	for len(n.names) > 0 && n.names[0].serial <= upTo {
		n.names[0].apply(n.stableEntries)
		n.names = n.names[1:]
	}
}

func (n *node) change(w write) {
	w.data = slices.Clone(w.data)
	n.changes++
	w.serial = n.changes
	n.data = w.apply(n.data)
	n.writes = append(n.writes, w)
}

// sync brings writes to the medium, up to one.
func (n *node) sync(upTo int) {
	clean := true
	for i := range n.writes {
		n.writes[i].synced = n.writes[i].synced || !n.writes[i].dropped && n.writes[i].serial <= upTo
		clean = clean && n.writes[i].synced
	}
	if clean {
		n.stable, n.writes = slices.Clone(n.data), nil
	}
}

// drop is the effect of a failed sync.
func (n *node) drop(upTo int) {
	for i := range n.writes {
		n.writes[i].dropped = n.writes[i].dropped || !n.writes[i].synced && n.writes[i].serial <= upTo
	}
}

func (w write) apply(data []byte) []byte {
	if w.truncate {
		return resize(data, int(w.offset))
	}
	if end := int(w.offset) + len(w.data); end > len(data) {
		data = resize(data, end)
	}
	copy(data[w.offset:], w.data)
	return data
}

func resize(data []byte, size int) []byte {
	if size <= len(data) {
		return data[:size:size]
	}
	return append(data, make([]byte, size-len(data))...)
}

// settle makes what survived a power loss the new state.
func (n *node) settle(s Survival) {
	if !n.dir {
		data := slices.Clone(n.stable)
		for _, w := range n.writes {
			if w.synced {
				data = w.apply(data)
			} else {
				data = s.write(data, w)
			}
		}
		n.data, n.stable, n.writes = data, slices.Clone(data), nil
		return
	}
	entries := maps.Clone(n.stableEntries)
	for _, change := range n.names {
		if !s.naming() {
			continue
		}
		change.apply(entries)
	}
	n.entries, n.stableEntries, n.names = entries, maps.Clone(entries), nil
	for _, name := range slices.Sorted(maps.Keys(entries)) { // in a fixed order, since s may be random
		entries[name].settle(s)
	}
}

// killed lets any part of an unfinished write remain.
func (n *node) killed(s Survival) {
	if n.dir {
		for i := range n.names {
			n.names[i].cut = false
		}
		for _, name := range slices.Sorted(maps.Keys(n.entries)) {
			n.entries[name].killed(s)
		}
		return
	}
	last := len(n.writes) - 1
	if last < 0 || !n.writes[last].cut {
		return
	}
	w := n.writes[last]
	n.writes = n.writes[:last]
	n.data = slices.Clone(n.stable)
	for _, earlier := range n.writes {
		n.data = earlier.apply(n.data)
	}
	if w.truncate {
		w.cut = false
		n.change(w)
		return
	}
	if w.data = w.data[:s.prefix(len(w.data))]; len(w.data) > 0 {
		w.cut = false
		n.change(w)
	}
}
