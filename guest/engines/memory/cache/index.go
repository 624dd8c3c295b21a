package cache

import "math/bits"

// The index is a hash table with chains, grown one bucket at a time (linear
// hashing): there is about one bucket per record, and no moment at which a
// table is copied. Chains run through the slots.

// bucketOf returns the bucket of a hash among those that there are.
func (c *Cache) bucketOf(hash uint32) uint32 {
	b := hash & c.bucketMask
	if b >= c.buckets {
		b &= c.bucketMask >> 1
	}
	return b
}

func (c *Cache) head(bucket uint32) *uint32 {
	return &c.headPages[bucket/headsPerPage][bucket%headsPerPage]
}

// find returns the slot of a key, expired or not.
func (c *Cache) find(hash uint32, key []byte) (uint32, *slot) {
	for id := *c.head(c.bucketOf(hash)); id != noSlot; {
		s := c.slot(id)
		if s.hash == hash && s.keyLen() == len(key) && string(c.keyOf(s)) == string(key) {
			return id, s
		}
		id = s.chain
	}
	return noSlot, nil
}

func (c *Cache) indexInsert(id uint32, s *slot) {
	head := c.head(c.bucketOf(s.hash))
	s.chain = *head
	*head = id
	// One bucket more per record, two while there are fewer than records
	// after a time without room for buckets.
	for range 2 {
		if c.buckets < c.count && int(c.buckets/headsPerPage) < len(c.headPages) {
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
	link := c.head(c.bucketOf(hash))
	for *link != id {
		link = &c.slot(*link).chain
	}
	return link
}

// reserveBucket makes room for one more bucket, evicting for it if need be.
func (c *Cache) reserveBucket(now int64) bool {
	for c.buckets <= c.count && int(c.buckets/headsPerPage) >= len(c.headPages) {
		id, ok := c.takeBlock(now)
		if !ok {
			return false
		}
		if int(c.buckets/headsPerPage) < len(c.headPages) {
			c.pool.give(id)
			break
		}
		c.headPages = append(c.headPages, c.pool.headPage(id))
		c.headBlocks = append(c.headBlocks, id)
	}
	return true
}

// split adds a bucket and moves into it what belongs there out of the one that
// stood for both.
func (c *Cache) split() {
	added := c.buckets
	c.buckets++
	c.bucketMask = 1<<bits.Len32(added) - 1
	parent := c.head(added & (c.bucketMask >> 1))
	child := c.head(added)
	for id := *parent; id != noSlot; {
		s := c.slot(id)
		next := s.chain
		if c.bucketOf(s.hash) == added {
			*child = id
			child = &s.chain
		} else {
			*parent = id
			parent = &s.chain
		}
		id = next
	}
	*parent, *child = noSlot, noSlot
}

// indexShrink takes buckets away when there are many more than records. It
// stays behind, so that records that come and go at the bound cost no splits.
func (c *Cache) indexShrink() {
	for range 2 {
		if c.buckets > 1 && c.buckets > c.count+c.count/2+slotsPerPage {
			c.merge()
		}
	}
	for last := len(c.headPages) - 1; last > int(c.buckets/headsPerPage); last-- {
		c.pool.give(c.headBlocks[last])
		c.headPages, c.headBlocks = c.headPages[:last], c.headBlocks[:last]
	}
}

// merge takes the last bucket away.
func (c *Cache) merge() {
	removed := c.buckets - 1
	chain := *c.head(removed)
	c.buckets = removed
	c.bucketMask = 1<<bits.Len32(removed-1) - 1
	if chain == noSlot {
		return
	}
	link := c.head(removed &^ (1 << (bits.Len32(removed) - 1))) // the bucket it was split from
	for *link != noSlot {
		link = &c.slot(*link).chain
	}
	*link = chain
}
