package main

import (
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

var info = guest.Info{
	Name:     "dynfile",
	Version:  "1.0.0",
	CAS:      true,
	MaxValue: segments.MaxValue,
}

// The parts of an instance's memory that are not for the index: the module and
// the Go runtime, exchange buffers, and buffers for records, compaction and
// hints.
const (
	fixedMemory        = 20 << 20
	defaultMemoryLimit = 64 << 20
	leastMemoryLimit   = fixedMemory + 1<<20
)

// Without the setting cache_bytes, records that were lately read or written take as much
// of the rest, but no more than that for each shard.
const (
	cacheShare = 4 // one part in cacheShare
	mostCache  = 16 << 20
)

// engine opens a store according to the settings.
type engine struct {
	*segments.Store
	dir     string
	bounded bool // by max_bytes
}

var (
	_ guest.Engine      = (*engine)(nil)
	_ guest.Toucher     = (*engine)(nil)
	_ guest.Sweeper     = (*engine)(nil)
	_ guest.Lister      = (*engine)(nil)
	_ guest.Snapshotter = (*engine)(nil)
	_ guest.Counter     = (*engine)(nil)
)

// Open implements guest.Engine.
func (e *engine) Open(config *guest.Config) error {
	options, err := optionsOf(config)
	if err != nil {
		return err
	}
	e.Store, err = segments.Open(vfs.OS(e.dir), options)
	e.bounded = options.MaxBytes != 0
	return err
}

// Count implements guest.Counter. Nothing is ever evicted: a session that does
// not fit is refused.
func (e *engine) Count() guest.Counts {
	stats := e.Stats()
	c := guest.Counts{Records: stats.Sessions, Bytes: stats.FileBytes, Expired: stats.Expired, Limit: abi.ConfigMemoryLimit}
	if e.bounded && !stats.Crowded {
		c.Limit = "max_bytes"
	}
	return c
}

func optionsOf(config *guest.Config) (segments.Options, error) {
	shards := int64(config.Shards())
	limit := config.MemoryLimit(defaultMemoryLimit)
	maxBytes := config.Bytes("max_bytes", 0)
	segmentBytes := config.Bytes("segment_bytes", 0)
	cacheBytes := config.Bytes("cache_bytes", -1)
	room := limit - fixedMemory
	cache := cacheBytes / shards
	if cacheBytes < 0 {
		if cache = min(room/cacheShare, mostCache); cache < segments.MinCache {
			cache = 0
		}
	}
	options := segments.Options{
		Shard: config.Shard(), Shards: int(shards),
		SegmentBytes: segmentBytes,
		MaxBytes:     maxBytes / shards,
		MaxSessions:  (room - cache) / segments.SessionBytes,
		CacheBytes:   cache,
		Random:       guest.RandomUint64,
	}
	switch {
	case segmentBytes != 0 && (segmentBytes < segments.MinSegment || segmentBytes > segments.MaxSegment):
		config.Refuse("segment_bytes", "must be "+decimal(segments.MinSegment)+" to "+decimal(segments.MaxSegment))
	case maxBytes != 0 && maxBytes/shards < segments.MinBytes:
		config.Refuse("max_bytes", "must be at least "+decimal(segments.MinBytes*shards)+", for all shards together")
	case maxBytes != 0 && segmentBytes > maxBytes/shards/16:
		config.Refuse("segment_bytes", "must be at most "+decimal(maxBytes/shards/16)+", a sixteenth of a shard's part of max_bytes")
	case cacheBytes > 0 && cache < segments.MinCache:
		config.Refuse("cache_bytes", "must be 0 or at least "+decimal(segments.MinCache*shards)+", for all shards together")
	case cacheBytes > 0 && cache > room/2 && limit >= leastMemoryLimit:
		config.Refuse("cache_bytes", "must be at most "+decimal(room/2*shards)+", for all shards together, with a memory_limit of "+decimal(limit))
	}
	if err := config.Err(); err != nil {
		return options, err
	}
	if limit < leastMemoryLimit {
		return options, guest.Fail(guest.ErrInvalid, "memory_limit is "+decimal(limit)+" bytes: must be at least "+
			decimal(leastMemoryLimit))
	}
	return options, nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
