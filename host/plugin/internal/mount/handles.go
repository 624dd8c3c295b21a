package mount

import (
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// fileID distinguishes files, whatever their names.
type fileID struct{ dev, ino uint64 }

// node is a file that is open at least once, or that is being removed.
type node struct {
	id       fileID
	refs     int  // guarded by handles.mu
	unlinked bool // guarded by handles.mu; its bytes are freed with the last reference

	// mu is held while a file is written or truncated, as the system itself
	// does, so that size is the file's size.
	mu    sync.Mutex
	size  int64
	known bool // size is valid

	changes atomic.Uint64 // writes and truncations that were begun
}

// handles are all open files and directories of a mount.
type handles struct {
	mu    sync.Mutex
	ended bool
	nodes map[fileID]*node
	open  map[sys.File]struct{}
}

// node returns the node of an open file, with a reference.
func (h *handles) node(id fileID) *node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[id]
	if n == nil {
		if h.nodes == nil {
			h.nodes = make(map[fileID]*node)
		}
		n = &node{id: id}
		h.nodes[id] = n
	}
	n.refs++
	return n
}

// detach returns the node of a file that is about to lose its name, with a
// reference, or nil if the file is not open. From here on nobody finds the node:
// the system may give the number of the file to another one as soon as the last
// handle is closed.
func (h *handles) detach(id fileID) *node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[id]
	if n != nil {
		n.refs++
		delete(h.nodes, id)
	}
	return n
}

// attach undoes detach, except for the reference: the file has kept its name.
func (h *handles) attach(n *node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes[n.id] = n
}

// unlink records that the file of a detached node has lost its name, and its
// size if that was not known.
func (h *handles) unlink(n *node, size int64) {
	n.mu.Lock()
	if !n.known {
		n.size, n.known = size, true
	}
	n.mu.Unlock()
	h.mu.Lock()
	n.unlinked = true
	h.mu.Unlock()
}

// release drops a reference and returns how many bytes were freed with it. The
// file itself must still be open, unless its node is detached.
func (h *handles) release(n *node) (bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n.refs--
	if n.refs > 0 {
		return 0
	}
	if h.nodes[n.id] == n {
		delete(h.nodes, n.id)
	}
	if n.unlinked {
		return n.size
	}
	return 0
}

// add registers an open file, unless the mount has been closed.
func (h *handles) add(f sys.File) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	if h.open == nil {
		h.open = make(map[sys.File]struct{})
	}
	h.open[f] = struct{}{}
	return true
}

func (h *handles) remove(f sys.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, f)
}

// end refuses further files and returns the open ones.
func (h *handles) end() []sys.File {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	files := make([]sys.File, 0, len(h.open))
	for f := range h.open {
		files = append(files, f)
	}
	return files
}
