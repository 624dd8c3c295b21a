package main

import (
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

var info = guest.Info{
	Name:     "keyfolder",
	Version:  "1.0.0",
	CAS:      true,
	MaxValue: maxValue,
}

// maxValue is what an instance with the default memory can hold a few times over:
// what comes in, what is read, and what the collector has not freed yet.
const maxValue = 4 << 20

const (
	defaultMemoryLimit = 64 << 20

	// leastMemoryLimit has room for the largest values one after the other, as
	// the module's tests write them, and for as many changed keys as are
	// remembered. 12 MiB were just enough.
	leastMemoryLimit = 16 << 20

	// One part in pendingShare of the memory is for changed keys, which take
	// about pendingSize bytes each.
	pendingShare = 8
	pendingSize  = 160
	leastPending = 1024

	// Memory beyond the least has room to remember a key for each rememberedShare bytes.
	rememberedShare = 12 << 10
	leastRemembered = 512
	mostRemembered  = 4096
)

// engine opens a store according to the settings.
type engine struct {
	*folder.Store
	dir string
}

var (
	_ guest.Engine      = (*engine)(nil)
	_ guest.Toucher     = (*engine)(nil)
	_ guest.Sweeper     = (*engine)(nil)
	_ guest.Flusher     = (*engine)(nil)
	_ guest.Lister      = (*engine)(nil)
	_ guest.Snapshotter = (*engine)(nil)
	_ guest.Counter     = (*engine)(nil)
)

// Open implements guest.Engine. There are no settings but the host's own.
func (e *engine) Open(config *guest.Config) error {
	limit := config.MemoryLimit(defaultMemoryLimit)
	options := folder.Options{
		Shard:      config.Shard(),
		Shards:     config.Shards(),
		MaxPending: int(max(leastPending, limit/pendingShare/pendingSize)),
		Remembered: int(min(max(leastRemembered, (limit-leastMemoryLimit)/rememberedShare), mostRemembered)),
		Scratch:    guest.Scratch,
	}
	if err := config.Err(); err != nil {
		return err
	}
	if limit < leastMemoryLimit {
		return guest.Fail(guest.ErrInvalid, "memory_limit is "+strconv.FormatInt(limit, 10)+" bytes: must be at least "+
			strconv.Itoa(leastMemoryLimit)+" for each shard")
	}
	store, err := folder.Open(vfs.OS(e.dir), options)
	e.Store = store
	return err
}

// Count implements guest.Counter. Nothing is ever evicted, and nothing bounds the
// engine but the disk.
func (e *engine) Count() guest.Counts {
	stats := e.Stats()
	return guest.Counts{Records: stats.Records, Bytes: stats.Bytes, Expired: stats.Expired}
}
