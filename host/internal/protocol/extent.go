package protocol

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// extentFactor is how much more an enumeration may give than the guest has room
	// for: records can be kept compressed, and some that change while it goes on
	// come more than once.
	extentFactor = 4
	// chunkCost is what a chunk counts for beside what is in it.
	chunkCost = 8
	// MaxChunks bounds an enumeration of one shard.
	MaxChunks = 1 << 24
)

// extents bound one enumeration of all shards by what the guest has room for: each
// shard by its memory, and all of them by the files that they share. Without a
// bound it would be the guest that decides how large a snapshot becomes and how
// long Save and Close take.
type extents struct {
	config *Config
	files  atomic.Int64 // bytes that are left
}

func (st *Store) extents() *extents {
	e := &extents{config: &st.config}
	e.files.Store(st.config.fileExtent())
	return e
}

// fileExtent is what a guest can give from files.
func (c *Config) fileExtent() (bytes int64) {
	if c.FileBytes < 0 || c.FileBytes > math.MaxInt64/extentFactor {
		return math.MaxInt64
	}
	return extentFactor * c.FileBytes
}

// extent is that of one shard.
type extent struct {
	all     *extents
	memory  int64         // bytes that are left
	time    time.Duration // of the guest that is left, if it is limited
	given   int64
	cursors cycle
}

func (e *extents) shard() *extent {
	return &extent{all: e, memory: extentFactor * e.config.MemoryLimit, time: e.config.Sequence}
}

// take counts a chunk, which took the guest so long and is followed by the one at
// next. What it returns is a *Fault, and the enumeration must not go on then.
func (x *extent) take(next int64, list []byte, took time.Duration) error {
	if !x.cursors.add(next) {
		return endless("the cursor %d comes again", next)
	}
	if x.cursors.n > MaxChunks {
		return endless("it has given %d chunks, and that is the most", x.cursors.n)
	}
	if !x.bytes(int64(len(list)) + chunkCost) {
		return endless("it has given %d bytes, and a guest with %d bytes of memory and quotas of %d bytes for files cannot have more than %d times as much",
			x.given, x.all.config.MemoryLimit, x.all.config.FileBytes, extentFactor)
	}
	if x.time -= took; x.all.config.Sequence > 0 && x.time < 0 && next != 0 {
		return endless("it has taken more than %v of the guest's time; a longer Deadline allows more", x.all.config.Sequence)
	}
	return nil
}

// bytes takes n bytes, first of what the memory allows, and reports false if there
// are not so many left.
func (x *extent) bytes(n int64) bool {
	x.given += n
	if x.memory >= n {
		x.memory -= n
		return true
	}
	return x.all.files.Load() == math.MaxInt64 || x.all.files.Add(-n) >= 0
}

func endless(format string, args ...any) error {
	return &Fault{Kind: ErrEndless, Message: fmt.Sprintf(format, args...)}
}

// cycle notices that a sequence of cursors runs in a circle, by comparing each
// with one that it remembers for longer and longer (Brent's way).
type cycle struct {
	kept           int64
	seen, until, n int
}

// add takes the next cursor and reports false if the sequence does not end.
func (c *cycle) add(cursor int64) bool {
	c.n++
	if cursor == 0 {
		return true
	}
	if c.until > 0 && cursor == c.kept {
		return false
	}
	c.seen++
	if c.seen > c.until {
		c.kept, c.seen, c.until = cursor, 0, max(1, 2*c.until)
	}
	return true
}

// step makes the next step of an enumeration of the shard, whose lock is held. What
// it returns lies in the guest's memory. A guest whose enumeration does not end
// lives on: it does what else it is asked for.
func (s *shard) step(x *extent, in *runner, op opKind, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	began := time.Now()
	next, list, err = in.chunk(op, cursor, now)
	if err = s.done(op, in, err); err != nil {
		return 0, nil, err
	}
	if err := x.take(next, list, time.Since(began)); err != nil {
		return 0, nil, s.newError(op.String(), err)
	}
	return next, list, nil
}
