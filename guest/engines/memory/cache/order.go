package cache

// Eviction is SIEVE (Zhang et al., NSDI 2024): records stand in the order in
// which they came, a use only sets a bit, and a hand goes from the oldest to the
// newest, clears the bit of what was used and evicts what was not. What is seen
// once thus goes soon, what is used stays, and a read moves nothing.

// maxSpared bounds how many records the hand passes for one eviction, so that
// no single call is long. The one it then stands at goes, used or not.
const maxSpared = 256

func (c *Cache) orderInsert(id uint32, s *slot) {
	s.newer, s.older = noSlot, c.newest
	if c.newest != noSlot {
		c.slot(c.newest).newer = id
	} else {
		c.oldest = id
	}
	c.newest = id
}

func (c *Cache) orderRemove(id uint32, s *slot) {
	if c.hand == id {
		c.hand = s.newer
	}
	if c.pinned == id {
		c.pinned = noSlot
	}
	if s.newer != noSlot {
		c.slot(s.newer).older = s.older
	} else {
		c.newest = s.older
	}
	if s.older != noSlot {
		c.slot(s.older).newer = s.newer
	} else {
		c.oldest = s.newer
	}
}

// evict removes one record. It reports false if there is none but the pinned
// one.
func (c *Cache) evict(now int64) bool {
	if c.count == 0 || c.count == 1 && c.pinned != noSlot {
		return false
	}
	for spared := 0; ; spared++ {
		if c.hand == noSlot {
			c.hand = c.oldest
		}
		id := c.hand
		s := c.slot(id)
		switch {
		case id == c.pinned:
		case s.expired(now):
			c.stats.Expired++
			c.remove(id)
			return true
		case !s.used() || spared >= maxSpared:
			c.stats.Evicted++
			c.remove(id)
			return true
		}
		s.sizes &^= usedBit
		c.hand = s.newer
	}
}

// takeBlock returns a block, evicting until there is one.
func (c *Cache) takeBlock(now int64) (uint32, bool) {
	for {
		if id, ok := c.pool.take(); ok {
			return id, true
		}
		if !c.evict(now) {
			return noBlock, false
		}
	}
}
