package cache

// The index is a hash table that grows by one bucket at a time. It has about
// one bucket per record and is never copied as a whole. Chains run through the
// slots.

// bucketAt returns a bucket: the first slot of its chain.
func (c *Cache) bucketAt(n uint32) *uint32 {
	return &c.bucketPages[n/bucketsPerPage][n%bucketsPerPage]
}

func (c *Cache) bucket(hash uint32) *uint32 { return c.bucketAt(c.table.Bucket(hash)) }

// find returns the hash of a key and its slot, expired or not.
func (c *Cache) find(key []byte) (hash, id uint32, s *slot) {
	if len(key) != sessionKey {
		return c.findAny(key)
	}
	// As findAny, without loops over the key and without calls: on WebAssembly a call costs
	// as much as all of the hash.
	w, k := &c.hash.words, words(key)
	sum := product(sessionKey, w[0]) + product(k[0], w[1]) + product(k[1], w[2]) + product(k[2], w[3]) + product(k[3], w[4])
	hash = c.hash.spread(sum) >> 1
	for id = *c.bucket(hash); id != noSlot; id = s.chain {
		s = c.slot(id)
		if s.hash&^mainBit == hash && s.keyLen() == sessionKey && same(k, c.sessionKeyOf(s)) {
			return hash, id, s
		}
	}
	return hash, noSlot, nil
}

// findAny is find for keys of any length.
func (c *Cache) findAny(key []byte) (hash, id uint32, s *slot) {
	hash = c.hashOf(key)
	for id = *c.bucket(hash); id != noSlot; id = s.chain {
		s = c.slot(id)
		if s.hash&^mainBit == hash && s.keyLen() == len(key) && equal(key, c.keyOf(s)) {
			return hash, id, s
		}
	}
	return hash, noSlot, nil
}

func (c *Cache) indexInsert(id uint32, s *slot) {
	b := c.bucket(s.hash)
	s.chain, *b = *b, id
	// Add one bucket per record, or two while there are fewer buckets than
	// records after a time without room for buckets.
	for range 2 {
		if c.table.Buckets() < c.count && c.hasBucketPage() {
			c.split()
		}
	}
}

func (c *Cache) indexRemove(id uint32, s *slot) {
	*c.linkTo(s.hash, id) = s.chain
}

func (c *Cache) indexReplace(hash, from, to uint32) { *c.linkTo(hash, from) = to }

// linkTo returns what points to a slot: its bucket or the slot before it.
func (c *Cache) linkTo(hash, id uint32) *uint32 {
	link := c.bucket(hash)
	for *link != id {
		link = &c.slot(*link).chain
	}
	return link
}

// hasBucketPage reports whether there is a page for one more bucket.
func (c *Cache) hasBucketPage() bool {
	return int(c.table.Buckets()/bucketsPerPage) < len(c.bucketPages)
}

// reserveBucket makes room for one more bucket, evicting records if necessary.
func (c *Cache) reserveBucket(now int64) bool {
	for c.table.Buckets() <= c.count && !c.hasBucketPage() {
		id, ok := c.takeBlock(now)
		if !ok {
			return false
		}
		if c.hasBucketPage() {
			c.pool.give(id)
			break
		}
		c.bucketPages = append(c.bucketPages, c.pool.bucketPage(id))
		c.bucketBlocks = append(c.bucketBlocks, id)
	}
	return true
}

// split adds a bucket and moves into it what belongs there from the bucket that
// it was split from.
func (c *Cache) split() {
	parent, added := c.table.Grow()
	from, to := c.bucketAt(parent), c.bucketAt(added)
	c.splitGhost(parent, added)
	stay, move := from, to
	for id := *from; id != noSlot; {
		s := c.slot(id)
		next := s.chain
		if c.table.Bucket(s.hash) == added {
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

// indexShrink removes buckets when there are many more than records, and the
// pages that hold neither a bucket nor the next one.
func (c *Cache) indexShrink() {
	for range 2 {
		if c.table.Roomy(c.count) {
			c.merge()
		}
	}
	for last := len(c.bucketPages) - 1; last > int(c.table.Buckets()/bucketsPerPage); last-- {
		c.pool.give(c.bucketBlocks[last])
		c.bucketPages, c.bucketBlocks = c.bucketPages[:last], c.bucketBlocks[:last]
	}
	c.trimGhosts()
}

// merge removes the last bucket.
func (c *Cache) merge() {
	parent, removed := c.table.Shrink()
	chain := *c.bucketAt(removed)
	if chain == noSlot {
		return
	}
	link := c.bucketAt(parent)
	for *link != noSlot {
		link = &c.slot(*link).chain
	}
	*link = chain
}
