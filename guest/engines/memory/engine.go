package main

import (
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

var info = guest.Info{
	Name:     "memory",
	Version:  "1.0.0",
	CAS:      true,
	MaxValue: cache.MaxValue,
}

// The parts of an instance's memory that are not for records. The test that runs
// the module at its limits fails if a new Go version needs more.
const (
	// runtimeSize is the module's own data, the Go runtime, and its heap when
	// Open is called.
	runtimeSize = 4 << 20

	// exchangeSize is for all exchange buffers of an instance's life: three, the
	// largest with room for the largest value.
	exchangeSize = 3 << 19

	// 1/overheadShare of the rest is what the runtime keeps for every piece of
	// memory.
	overheadShare = 50

	defaultMemoryLimit = 64 << 20
	leastMemoryLimit   = 13 << 19 // 6.5 MiB: the above, and twice cache.MinBytes
)

// engine opens a cache according to the settings.
type engine struct {
	*cache.Cache
	limit string // the setting that bounds it first, as far as can be told in advance
}

var (
	_ guest.Engine      = (*engine)(nil)
	_ guest.Toucher     = (*engine)(nil)
	_ guest.Sweeper     = (*engine)(nil)
	_ guest.Lister      = (*engine)(nil)
	_ guest.Snapshotter = (*engine)(nil)
	_ guest.Restorer    = (*engine)(nil)
	_ guest.Counter     = (*engine)(nil)
)

// Open implements guest.Engine.
func (e *engine) Open(config *guest.Config) error {
	shards := int64(config.Shards())
	limit := config.MemoryLimit(defaultMemoryLimit)
	room := (limit - runtimeSize - exchangeSize) / overheadShare * (overheadShare - 1)
	maxBytes := config.Bytes("max_bytes", 0)
	maxEntries := config.Int("max_entries", 0, 0)
	if err := config.Err(); err != nil {
		return err
	}

	if limit < leastMemoryLimit {
		return guest.Fail(guest.ErrInvalid, "memory_limit is "+decimal(limit)+" bytes: must be at least "+
			decimal(leastMemoryLimit)+" (6.5 MiB)")
	}
	if maxBytes != 0 {
		switch share := maxBytes / shards; {
		case share < cache.MinBytes:
			config.Refuse("max_bytes", "must be at least "+decimal(cache.MinBytes*shards)+", for all shards together")
		case share > room:
			config.Refuse("max_bytes", "must be at most "+decimal(room*shards)+
				", for all shards together, with a memory_limit of "+decimal(limit))
		default:
			room = share
		}
	}
	if maxEntries != 0 && maxEntries < shards {
		config.Refuse("max_entries", "must be at least "+decimal(shards)+", one for each shard")
	}
	if err := config.Err(); err != nil {
		return err
	}

	c, err := cache.New(cache.Options{MaxBytes: room, MaxEntries: maxEntries / shards, Scratch: guest.Scratch})
	e.Cache, e.limit = c, abi.ConfigMemoryLimit
	if maxBytes != 0 {
		e.limit = "max_bytes"
	}
	return err
}

// Count implements guest.Counter.
func (e *engine) Count() guest.Counts {
	stats := e.Stats()
	c := guest.Counts{
		Records: int64(e.Len()), Bytes: e.Bytes(),
		Evicted: stats.Evicted, Expired: stats.Expired,
		Limit: e.limit,
	}
	if stats.Crowded {
		c.Limit = "max_entries"
	}
	return c
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
