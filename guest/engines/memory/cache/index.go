package cache

import "math/bits"

// The index is a hash table with chains, grown one bucket at a time (linear
// hashing): there is about one bucket per record, and no moment at which a
// table is copied. Chains run through the slots.

// bucket is an entry of the table.
type bucket struct {
	head uint32 // the first slot of the chain

	// ghost is the hash of the record that was evicted from here last, with
	// mainBit, or 0. There is one per bucket, so as many as there are records.
	ghost uint32
}

// bucketOf returns the bucket of a hash among those that there are.
func (c *Cache) bucketOf(hash uint32) uint32 { // mainBit is above every mask
	b := hash & c.bucketMask
	if b >= c.buckets {
		b &= c.bucketMask >> 1
	}
	return b
}

func (c *Cache) bucketAt(n uint32) *bucket {
	return &c.bucketPages[n/bucketsPerPage][n%bucketsPerPage]
}

func (c *Cache) bucket(hash uint32) *bucket { return c.bucketAt(c.bucketOf(hash)) }

// find returns the slot of a key, expired or not.
func (c *Cache) find(hash uint32, key []byte) (uint32, *slot) {
	for id := c.bucket(hash).head; id != noSlot; {
		s := c.slot(id)
		if s.hash&^mainBit == hash && s.keyLen() == len(key) && equal(key, c.keyOf(s)) {
			return id, s
		}
		id = s.chain
	}
	return noSlot, nil
}

func (c *Cache) indexInsert(id uint32, s *slot) {
	b := c.bucket(s.hash)
	s.chain = b.head
	b.head = id
	// One bucket more per record, two while there are fewer than records
	// after a time without room for buckets.
	for range 2 {
		if c.buckets < c.count && int(c.buckets/bucketsPerPage) < len(c.bucketPages) {
			c.split()
		}
	}
}

func (c *Cache) indexRemove(id uint32, s *slot) {
	*c.linkTo(s.hash, id) = s.chain
}

func (c *Cache) indexReplace(hash, from, to uint32) { *c.linkTo(hash, from) = to }

// linkTo returns what points at a slot: its bucket or the slot before it.
func (c *Cache) linkTo(hash, id uint32) *uint32 {
	link := &c.bucket(hash).head
	for *link != id {
		link = &c.slot(*link).chain
	}
	return link
}

// reserveBucket makes room for one more bucket, evicting for it if need be.
func (c *Cache) reserveBucket(now int64) bool {
	for c.buckets <= c.count && int(c.buckets/bucketsPerPage) >= len(c.bucketPages) {
		id, ok := c.takeBlock(now)
		if !ok {
			return false
		}
		if int(c.buckets/bucketsPerPage) < len(c.bucketPages) {
			c.pool.give(id)
			break
		}
		c.bucketPages = append(c.bucketPages, c.pool.bucketPage(id))
		c.bucketBlocks = append(c.bucketBlocks, id)
	}
	return true
}

// split adds a bucket and moves into it what belongs there out of the one that
// stood for both.
func (c *Cache) split() {
	added := c.buckets
	c.buckets++
	c.bucketMask = 1<<bits.Len32(added) - 1
	from := c.bucketAt(added & (c.bucketMask >> 1))
	to := c.bucketAt(added)
	to.ghost = 0
	if c.bucketOf(from.ghost) == added {
		from.ghost, to.ghost = 0, from.ghost
	}
	stay, move := &from.head, &to.head
	for id := from.head; id != noSlot; {
		s := c.slot(id)
		next := s.chain
		if c.bucketOf(s.hash) == added {
			*move = id
			move = &s.chain
		} else {
			*stay = id
			stay = &s.chain
		}
		id = next
	}
	*stay, *move = noSlot, noSlot
}

// indexShrink takes buckets away when there are many more than records. It
// stays behind, so that records that come and go at the bound cost no splits.
func (c *Cache) indexShrink() {
	for range 2 {
		if c.buckets > 1 && c.buckets > c.count+c.count/2+slotsPerPage {
			c.merge()
		}
	}
	for last := len(c.bucketPages) - 1; last > int(c.buckets/bucketsPerPage); last-- {
		c.pool.give(c.bucketBlocks[last])
		c.bucketPages, c.bucketBlocks = c.bucketPages[:last], c.bucketBlocks[:last]
	}
}

// merge takes the last bucket away.
func (c *Cache) merge() {
	removed := c.buckets - 1
	chain := c.bucketAt(removed).head
	c.buckets = removed
	c.bucketMask = 1<<bits.Len32(removed-1) - 1
	if chain == noSlot {
		return
	}
	link := &c.bucketAt(removed &^ (1 << (bits.Len32(removed) - 1))).head // the bucket it was split from
	for *link != noSlot {
		link = &c.slot(*link).chain
	}
	*link = chain
}
