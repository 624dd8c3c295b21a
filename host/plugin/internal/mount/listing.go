package mount

import (
	"sync"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// MaxListing is how large a buffer for entries of a directory a guest may give at
// once. What wazero keeps of a directory grows with it.
const MaxListing = 128 << 10

const (
	// maxListed is how many bytes the listings of all directories of a mount may
	// take in the host.
	maxListed = 32 << 20
	// maxWindow is how many entries of a directory wazero keeps at most: as many as
	// could be reported at once, and two.
	maxWindow = MaxListing/24 + 2
	// entrySize is what an entry takes besides its name.
	entrySize = 64
)

// listing counts what wazero keeps of a directory that is being listed: the last
// entries that it was given, until the listing starts over. The zero value counts
// none.
type listing struct {
	mu               sync.Mutex // closing a mount closes what a guest is using
	entries, longest int64      // since the beginning: their number, and the longest name
	held             int64
}

// keep adds entries, and returns false if there is no more room for them.
func (l *listing) keep(q *quota, entries []sys.Dirent) bool {
	if len(entries) == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries += int64(len(entries))
	for _, e := range entries {
		l.longest = max(l.longest, int64(len(e.Name)))
	}
	held := (l.longest + entrySize) * min(l.entries, maxWindow)
	if !take(&q.listed, held-l.held, maxListed) {
		return false
	}
	l.held = held
	return true
}

// forget frees what was kept.
func (l *listing) forget(q *quota) {
	l.mu.Lock()
	defer l.mu.Unlock()
	give(&q.listed, l.held)
	l.entries, l.longest, l.held = 0, 0, 0
}
