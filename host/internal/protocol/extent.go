package protocol

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// extentFactor is how many times its room a guest may return in an enumeration:
	// it may keep records compressed, and records that change meanwhile may come
	// more than once.
	extentFactor = 4
	// chunkCost is what a chunk counts in addition to its content.
	chunkCost = 8
	// MaxChunks bounds an enumeration of one shard.
	MaxChunks = 1 << 24
)

// extents bound one enumeration of all shards by the guest's room: each shard by
// its memory, and all of them by the files that they share. Without a bound the
// guest would decide how large a snapshot becomes and how long Save and Close take.
type extents struct {
	config *Config
	files  atomic.Int64 // bytes left
}

func (st *Store) extents() *extents {
	e := &extents{config: &st.config}
	e.files.Store(st.config.fileExtent())
	return e
}

// fileExtent is how many bytes a guest can return from files.
func (c *Config) fileExtent() (bytes int64) {
	if c.FileBytes < 0 || c.FileBytes > math.MaxInt64/extentFactor {
		return math.MaxInt64
	}
	return extentFactor * c.FileBytes
}

// extent bounds the enumeration of one shard.
type extent struct {
	all     *extents
	memory  int64         // bytes left
	time    time.Duration // left to the guest, if limited
	given   int64
	cursors cycle
}

func (e *extents) shard() *extent {
	return &extent{all: e, memory: extentFactor * e.config.MemoryLimit, time: e.config.Sequence}
}

// take counts a chunk that took the guest that long and is followed by the one at
// next. Its error is a *Fault and ends the enumeration.
func (x *extent) take(next int64, list []byte, took time.Duration) error {
	if !x.cursors.add(next) {
		return x.endless("the cursor %d comes again", next)
	}
	if x.cursors.n > MaxChunks {
		return x.endless("it returned %d chunks: must be at most %d", x.cursors.n, MaxChunks)
	}
	if !x.bytes(int64(len(list)) + chunkCost) {
		return x.endless("it returned %d bytes: must be at most %d times the guest's %d bytes of memory and %d bytes of file quotas",
			x.given, extentFactor, x.all.config.MemoryLimit, x.all.config.FileBytes)
	}
	if x.time -= took; x.all.config.Sequence > 0 && x.time < 0 && next != 0 {
		return x.endless("it took more than %v of the guest's time: a longer Deadline allows more", x.all.config.Sequence)
	}
	return nil
}

// bytes takes n bytes, first from the memory's allowance, and reports false if
// fewer are left.
func (x *extent) bytes(n int64) bool {
	x.given += n
	if x.memory >= n {
		x.memory -= n
		return true
	}
	return x.all.files.Load() == math.MaxInt64 || x.all.files.Add(-n) >= 0
}

func (x *extent) endless(format string, args ...any) error {
	x.all.config.Exceeded(LimitEnumeration)
	return &Fault{Kind: ErrEndless, Limit: LimitEnumeration, Message: fmt.Sprintf(format, args...)}
}

// cycle detects a sequence of cursors that runs in a circle. It compares each with
// one that it remembers for longer and longer (Brent's algorithm).
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

// step makes the next step of an enumeration of the shard, whose lock is held. The
// list lies in the guest's memory. A guest whose enumeration does not end lives on:
// its other operations may work.
func (s *shard) step(x *extent, inst *runner, op opKind, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	began := time.Now()
	next, list, err = inst.chunk(op, cursor, now)
	if err = s.done(op, inst, err); err != nil {
		return 0, nil, err
	}
	if err := x.take(next, list, time.Since(began)); err != nil {
		return 0, nil, s.newError(op.String(), err)
	}
	return next, list, nil
}
