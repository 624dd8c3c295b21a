package cache

// A ghost is the hash of the record last evicted from a bucket, with mainBit set, or 0.
// There is one per bucket, so there are as many as records. A cache that has never
// evicted anything has none.

// ghostAt returns the ghost of a bucket, or nil if there is no room for it yet.
func (c *Cache) ghostAt(bucket uint32) *uint32 {
	if page := bucket / bucketsPerPage; int(page) < len(c.ghostPages) {
		return &c.ghostPages[page][bucket%bucketsPerPage]
	}
	return nil
}

// setGhost remembers the hash of a record that is evicted.
func (c *Cache) setGhost(hash uint32) {
	if ghost := c.ghostAt(c.table.Bucket(hash)); ghost != nil {
		*ghost = hash | mainBit
	}
}

// takeGhost forgets a hash, and reports whether it was remembered.
func (c *Cache) takeGhost(hash uint32) bool {
	ghost := c.ghostAt(c.table.Bucket(hash))
	if ghost == nil || *ghost != hash|mainBit {
		return false
	}
	*ghost = 0
	return true
}

// splitGhost gives a bucket that was added its ghost.
func (c *Cache) splitGhost(parent, added uint32) {
	from, to := c.ghostAt(parent), c.ghostAt(added)
	moves := from != nil && c.table.Bucket(*from) == added
	if to != nil {
		*to = 0
		if moves {
			*to = *from
		}
	}
	if moves {
		*from = 0
	}
}

// reserveGhosts makes room for the ghosts of all buckets, once records are evicted. It
// evicts more of them if necessary. Without room it goes on without.
func (c *Cache) reserveGhosts(now int64) {
	for c.stats.Evicted > 0 && len(c.ghostPages) < len(c.bucketPages) {
		id, ok := c.takeBlock(now)
		if !ok {
			return
		}
		page := c.pool.bucketPage(id)
		clear(page[:])
		c.ghostPages = append(c.ghostPages, page)
		c.ghostBlocks = append(c.ghostBlocks, id)
		c.trimGhosts() // evictions may have made the page unnecessary
	}
}

// trimGhosts frees pages of buckets that are no more.
func (c *Cache) trimGhosts() {
	for last := len(c.ghostPages) - 1; last >= len(c.bucketPages); last-- {
		c.pool.give(c.ghostBlocks[last])
		c.ghostPages, c.ghostBlocks = c.ghostPages[:last], c.ghostBlocks[:last]
	}
}
