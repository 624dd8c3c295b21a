// Package cache keeps records in memory, bounded in number and bytes. It is the
// core of the in-memory engine.
//
// The records and the bookkeeping lie in blocks of bytes that the garbage
// collector does not scan. Memory that one record frees is available at once to
// any other, whatever its size. Nothing is compacted, resized or rehashed later,
// so no operation takes long because of earlier ones. Beyond key and value a
// record costs about 42 bytes, 4 more once records are evicted, and up to 15 for rounding up its size.
//
// When there is no room, records are evicted: expired ones, and those that were
// not used first (S3-FIFO).
package cache

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// Options limit a cache.
type Options struct {
	// MaxBytes is how much memory the records and everything kept for them may
	// take, at least MinBytes. It is rounded down to blocks of 32 KiB.
	MaxBytes int64

	// MaxEntries is the most records; 0 means no limit on their number.
	MaxEntries int64

	// Scratch returns memory for a value that does not lie in one piece, valid
	// as long as the result of Get. Without it, such a value is allocated.
	Scratch func(n int) []byte
}

// MinBytes is the least memory that a cache works in.
const MinBytes = 16 * blockSize

// Cache keeps records. It is not safe for concurrent use. Its errors are those
// of package guest. Its operations behave as guest.Engine and its optional
// interfaces specify.
type Cache struct {
	options  Options
	hash     hasher
	maxValue int
	entries  uint32 // the most there may be

	pool  pool
	cells cells

	count      uint32
	slotPages  []*slotPage
	slotBlocks []uint32

	table        linearhash.Table
	bucketPages  []*bucketPage
	bucketBlocks []uint32

	ghostPages  []*bucketPage
	ghostBlocks []uint32

	small, main queue
	pinned      uint32 // being rewritten: it has no bytes and must not be evicted

	spared  int // records passed over for eviction during this write
	sweepAt uint32
	swept   int64 // the time that Sweep was last given, 0 for none
	stats   Stats

	revision [abi.RevisionSize]byte
}

// Stats count what a cache has done since it was made.
type Stats struct {
	// Evicted counts records that were removed for lack of room, Expired those
	// that were found expired.
	Evicted, Expired uint64

	// Crowded says that the last eviction was caused by MaxEntries, not by a
	// lack of bytes.
	Crowded bool
}

// New returns an empty cache. It returns guest.ErrInvalid for options out of
// their bounds.
func New(options Options) (*Cache, error) {
	if options.MaxBytes < MinBytes {
		return nil, guest.Fail(guest.ErrInvalid, "a cache needs at least 512KiB for its records")
	}
	if options.MaxEntries < 0 {
		return nil, guest.Fail(guest.ErrInvalid, "MaxEntries is negative: must be at least 0")
	}
	c := &Cache{
		options: options,
		entries: 1<<31 - 1,
	}
	c.hash.init()
	c.pool.limit = uint32(min(options.MaxBytes/blockSize, 1<<(32-refBits)-1))
	if options.MaxEntries > 0 {
		c.entries = uint32(min(options.MaxEntries, 1<<31-1))
	}
	// A value takes at most half of the room. Whatever it is, there is then also
	// room for its record's slot and bucket.
	c.maxValue = min(MaxValue, int(c.pool.limit/2)*blockSize)
	c.reset()
	return c, nil
}

// MaxValue returns the largest value that this cache takes.
func (c *Cache) MaxValue() int { return c.maxValue }

// Len returns how many records there are, including expired ones that were not
// found yet.
func (c *Cache) Len() int { return int(c.count) }

// Bytes returns how much memory the records and everything kept for them take.
func (c *Cache) Bytes() int64 { return int64(c.pool.inUse()) * blockSize }

// Stats returns the counts.
func (c *Cache) Stats() Stats { return c.stats }

// hashOf returns as many bits of a key's hash as a slot has room for.
func (c *Cache) hashOf(key []byte) uint32 { return c.hash.sum(key) >> 1 }

func (c *Cache) reset() {
	c.pool.giveAll()
	c.cells.reset()
	c.count, c.sweepAt = 0, 0
	c.small = queue{newest: noSlot, oldest: noSlot}
	c.main, c.pinned = c.small, noSlot
	c.slotPages, c.slotBlocks = c.slotPages[:0], c.slotBlocks[:0]
	c.bucketPages, c.bucketBlocks = c.bucketPages[:0], c.bucketBlocks[:0]
	c.ghostPages, c.ghostBlocks = c.ghostPages[:0], c.ghostBlocks[:0]

	// There is always at least one bucket.
	id, _ := c.pool.take()
	c.bucketPages = append(c.bucketPages, c.pool.bucketPage(id))
	c.bucketBlocks = append(c.bucketBlocks, id)
	c.table = linearhash.Table{}
	*c.bucketAt(0) = noSlot
}

// Get returns the value under a key.
func (c *Cache) Get(key []byte, now int64) ([]byte, error) {
	_, id, s := c.find(key)
	if s == nil {
		return nil, guest.ErrNotFound
	}
	if s.expired(now) {
		c.expireFor(id, s, now)
		return nil, guest.ErrNotFound
	}
	s.sizes |= usedBit
	if s.inCell() {
		return c.valueInCell(s), nil
	}
	return c.value(s), nil
}

// Set stores a value if the write's condition allows it. It evicts to make
// room, and changes nothing if it fails.
func (c *Cache) Set(w guest.Write) error {
	c.spared = 0
	c.sweep(sweepPerSet, c.believed(w.Now))
	if len(w.Key) == 0 || len(w.Key) > keyLenMask+1 {
		return errKey
	}
	hash, id, s := c.find(w.Key)
	if s != nil && s.expired(w.Now) {
		c.expire(id)
		s = nil
	}
	if w.Expect != abi.ExpectAny {
		var revision []byte
		if s != nil {
			revision = c.revisionOf(s)
		}
		if err := w.Check(revision, s != nil); err != nil {
			return err
		}
	}
	if len(w.Value) > c.maxValue {
		return errValue
	}
	switch {
	case w.Expired() && s == nil:
		return nil
	case w.Expired():
		c.remove(id)
		return nil
	case s != nil:
		if sizes := packSizes(len(w.Key), len(w.Value)); s.sizes&^usedBit == sizes && s.inCell() {
			copy(c.valueInCell(s), w.Value) // the most frequent case, without the general one's calls
			s.sizes, s.expires = sizes|usedBit, w.Expires
			return nil
		}
		return c.rewrite(id, s, &w)
	}
	return c.create(hash, &w)
}

// Touch gives a record a new expiry.
func (c *Cache) Touch(key []byte, expires, now int64) error {
	_, id, s := c.find(key)
	if s == nil {
		return guest.ErrNotFound
	}
	if s.expired(now) {
		c.expireFor(id, s, now)
		return guest.ErrNotFound
	}
	if guest.Expired(expires, now) {
		c.remove(id)
		return nil
	}
	s.expires = expires
	s.sizes |= usedBit
	return nil
}

// Delete removes a record, if there is one.
func (c *Cache) Delete(key []byte, _ int64) error {
	if _, id, s := c.find(key); s != nil {
		c.remove(id)
	}
	return nil
}

// Clear removes all records.
func (c *Cache) Clear(int64) error {
	c.reset()
	return nil
}

func (c *Cache) create(hash uint32, w *guest.Write) error {
	for c.count >= c.entries {
		evicted := c.stats.Evicted
		if !c.evict(w.Now) {
			return errNoRoom
		}
		c.stats.Crowded = c.stats.Crowded || c.stats.Evicted > evicted
	}
	ref, ok := c.store(w)
	if !ok {
		return errNoRoom
	}
	id := c.insert(hash, ref, packSizes(len(w.Key), len(w.Value)), w.Expires)
	putUint32(c.pool.cell(ref), id)
	return nil
}

func (c *Cache) rewrite(id uint32, s *slot, w *guest.Write) error {
	chain, inCell, need := shape(len(w.Key), len(w.Value))
	oldChain, _, oldNeed := shape(s.keyLen(), s.valueLen())
	if chain == 0 && oldChain == 0 && classOf(need) == classOf(oldNeed) {
		copy(c.pool.cell(s.ref)[ownerSize+len(w.Key):][:inCell], w.Value)
	} else {
		// The old bytes are freed first, so that there need not be room for
		// both. The slot keeps its place in every order, though not its number.
		c.freeBytes(s)
		s.ref = noRef
		c.pinned = id
		ref, ok := c.store(w)
		id = c.pinned
		if !ok {
			c.remove(id)
			return errNoRoom
		}
		c.pinned = noSlot
		s = c.slot(id)
		s.ref = ref
		putUint32(c.pool.cell(ref), id)
	}
	s.sizes = packSizes(len(w.Key), len(w.Value)) | usedBit
	s.expires = w.Expires
	return nil
}

// store writes a record's bytes and returns its cell; the caller enters the
// cell's owner. It makes room for a slot and a bucket too, so that nothing needs
// to be evicted while a cell has no owner.
func (c *Cache) store(w *guest.Write) (ref uint32, ok bool) {
	chain, inCell, need := shape(len(w.Key), len(w.Value))
	first := noBlock
	for ; chain > 0; chain-- { // the last one first: each holds the number of the next
		id, ok := c.takeBlock(w.Now)
		if !ok {
			c.freeChain(first)
			return noRef, false
		}
		b := c.pool.block(id)
		putUint32(b[linkAt:], first)
		copy(b[:chainBytes], w.Value[inCell+(chain-1)*chainBytes:])
		first = id
	}
	c.reserveGhosts(w.Now)
	ok = c.reserveSlot(w.Now) && c.reserveBucket(w.Now)
	for ok {
		var taken bool
		if ref, taken = c.cells.take(&c.pool, classOf(need)); taken {
			break
		}
		ok = c.evict(w.Now)
	}
	if !ok {
		c.freeChain(first)
		return noRef, false
	}
	cell := c.pool.cell(ref)[ownerSize:]
	if first != noBlock {
		putUint32(cell, first)
		cell = cell[chainSize:]
	}
	copy(cell, w.Key)
	copy(cell[len(w.Key):], w.Value[:inCell])
	return ref, true
}

// freeBytes frees all bytes of a record. Its slot still holds the old ref.
func (c *Cache) freeBytes(s *slot) {
	chain, _, need := shape(s.keyLen(), s.valueLen())
	if chain > 0 {
		c.freeChain(uint32At(c.pool.cell(s.ref)[ownerSize:]))
	}
	if moved := c.cells.give(&c.pool, classOf(need), s.ref); moved != noRef {
		c.slot(uint32At(c.pool.cell(moved))).ref = moved
	}
}

func (c *Cache) freeChain(id uint32) {
	for id != noBlock {
		next := uint32At(c.pool.block(id)[linkAt:])
		c.pool.give(id)
		id = next
	}
}
