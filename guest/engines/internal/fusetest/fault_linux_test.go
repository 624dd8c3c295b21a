package fusetest

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// fault is what is wrong with a disk for a while.
type fault struct {
	name  string
	ops   []crash.Kind
	errs  []syscall.Errno
	oneIn int           // one operation in that many fails
	short bool          // a write is not refused, but ends early
	slow  time.Duration // an operation takes up to that long
}

var (
	growing  = []crash.Kind{crash.Create, crash.Mkdir, crash.Write}
	naming   = []crash.Kind{crash.Rename, crash.Mkdir, crash.Remove}
	syncing  = []crash.Kind{crash.Sync, crash.SyncDir}
	opening  = []crash.Kind{crash.Open, crash.Create, crash.ReadDir}
	reading  = []crash.Kind{crash.Open, crash.Read, crash.ReadDir, crash.Stat}
	changing = []crash.Kind{crash.Create, crash.Mkdir, crash.Write, crash.Remove, crash.Rename, crash.Truncate}
	anything = slices.Concat(reading, changing, syncing)
)

var full = &fault{name: "the disk is full", ops: growing, errs: []syscall.Errno{syscall.ENOSPC}, oneIn: 1}

var faults = []*fault{
	full,
	{name: "the quota is used up", ops: growing, errs: []syscall.Errno{syscall.EDQUOT}, oneIn: 1},
	{name: "the disk can only be read", ops: changing, errs: []syscall.Errno{syscall.EROFS}, oneIn: 1},
	{name: "handles are stale", ops: anything, errs: []syscall.Errno{syscall.ESTALE}, oneIn: 8},
	{name: "the disk fails", ops: anything, errs: []syscall.Errno{syscall.EIO}, oneIn: 20},
	{name: "the disk is gone", ops: anything, errs: []syscall.Errno{syscall.EIO}, oneIn: 1},
	{name: "writes end early", ops: []crash.Kind{crash.Write}, oneIn: 2, short: true},
	{name: "calls are slow", ops: anything, oneIn: 4, slow: 8 * time.Millisecond},
	{name: "syncs fail", ops: syncing, errs: []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT}, oneIn: 4},
	{name: "no sync succeeds", ops: syncing, errs: []syscall.Errno{syscall.EIO}, oneIn: 1},
	{name: "names cannot be changed", ops: naming, errs: []syscall.Errno{syscall.EIO, syscall.EACCES}, oneIn: 2},
	{name: "files cannot be opened", ops: opening, errs: []syscall.Errno{syscall.EIO, syscall.EMFILE, syscall.EINTR}, oneIn: 3},
	{name: "closing fails", ops: []crash.Kind{crash.Close}, errs: []syscall.Errno{syscall.EIO, syscall.ENOSPC}, oneIn: 3},
	{
		name: "everything goes wrong now and then", ops: anything, oneIn: 30,
		errs: []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ESTALE},
	},
}

// strike decides whether an operation fails, and how much of it is done in that
// case.
func (f *fault) strike(op crash.Op, rng *rand.Rand) (keep int, err error) {
	switch {
	case f == nil || f.slow > 0 || !slices.Contains(f.ops, op.Kind) || rng.IntN(f.oneIn) != 0:
		return 0, nil
	case f.short && op.Size < 2:
		return 0, nil
	case f.short:
		return 1 + rng.IntN(op.Size-1), syscall.EINTR // which the writer does not see
	}
	err = f.errs[rng.IntN(len(f.errs))]
	if op.Kind == crash.Write && op.Size > 0 && rng.IntN(2) == 0 {
		keep = rng.IntN(op.Size)
	}
	return keep, err
}

// delay decides how long an operation takes.
func (f *fault) delay(rng *rand.Rand) time.Duration {
	if f == nil || f.slow == 0 || rng.IntN(f.oneIn) != 0 {
		return 0
	}
	return time.Duration(rng.Int64N(int64(f.slow)))
}
