package cache

// Eviction is S3-FIFO (Yang et al., SOSP 2023) with one bit of use per record.
// A new record enters a small queue and, unless it is used before its turn
// comes, is soon evicted: crawlers and visitors who never return do not
// displace users. A record that was used moves to the main queue, and stays
// there for another round whenever it was used in the last one. The hashes of
// evicted records are remembered for a while (see ghosts.go); a record that
// comes back within that time joins the main queue at once. A read sets a bit
// and moves nothing.

const (
	// The small queue keeps one in smallShare of the records.
	smallShare = 10

	// maxSpared bounds how many records are passed over during one write, which
	// may evict a hundred, so that no single call takes long. After that,
	// records are evicted whether they were used or not.
	maxSpared = 512
)

// queue is an order of records, linked through their slots.
type queue struct {
	newest, oldest uint32
	count          uint32
}

func (c *Cache) queueOf(s *slot) *queue {
	if s.main() {
		return &c.main
	}
	return &c.small
}

// enqueue makes a record the newest of the queue that its slot names.
func (c *Cache) enqueue(id uint32, s *slot) {
	q := c.queueOf(s)
	s.newer, s.older = noSlot, q.newest
	if q.newest != noSlot {
		c.slot(q.newest).newer = id
	} else {
		q.oldest = id
	}
	q.newest = id
	q.count++
}

func (c *Cache) dequeue(s *slot) {
	q := c.queueOf(s)
	if s.newer != noSlot {
		c.slot(s.newer).older = s.older
	} else {
		q.newest = s.older
	}
	if s.older != noSlot {
		c.slot(s.older).newer = s.newer
	} else {
		q.oldest = s.newer
	}
	q.count--
}

// requeue updates the links of the neighbours of a slot that has a new number.
func (c *Cache) requeue(s *slot, id uint32) {
	q := c.queueOf(s)
	if s.newer != noSlot {
		c.slot(s.newer).older = id
	} else {
		q.newest = id
	}
	if s.older != noSlot {
		c.slot(s.older).newer = id
	} else {
		q.oldest = id
	}
}

// evict removes one record. It returns false if there is none but the pinned
// one.
func (c *Cache) evict(now int64) bool {
	if c.count == 0 || c.count == 1 && c.pinned != noSlot {
		return false
	}
	for ; ; c.spared++ {
		q := &c.main
		if q.count == 0 || c.small.count > c.count/smallShare {
			q = &c.small
		}
		id := q.oldest
		s := c.slot(id)
		switch {
		case id == c.pinned:
		case s.expired(c.believed(now)):
			c.expire(id)
			return true
		case !s.used() || c.spared >= maxSpared:
			c.stats.Evicted++
			c.stats.Crowded = false
			c.setGhost(s.hash)
			c.remove(id)
			return true
		}
		c.dequeue(s)
		s.sizes &^= usedBit
		s.hash |= mainBit
		c.enqueue(id, s)
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
