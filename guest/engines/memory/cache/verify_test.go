package cache

import "fmt"

// Verify checks that everything that the cache keeps agrees with everything
// else, by walking all of it.
func (c *Cache) Verify() error {
	if err := c.verifyBlocks(); err != nil {
		return err
	}
	if err := c.verifyIndex(); err != nil {
		return err
	}
	return c.verifyOrder()
}

// verifyBlocks checks that every block has one use, and every cell one owner.
func (c *Cache) verifyBlocks() error {
	uses := make([]string, c.pool.made)
	use := func(id uint32, what string) error {
		if id >= c.pool.made {
			return fmt.Errorf("%s uses block %d of %d", what, id, c.pool.made)
		}
		if uses[id] != "" {
			return fmt.Errorf("block %d is used as %s and as %s", id, uses[id], what)
		}
		uses[id] = what
		return nil
	}
	for _, id := range c.pool.free {
		if err := use(id, "free"); err != nil {
			return err
		}
	}
	for _, id := range c.slotBlocks {
		if err := use(id, "slots"); err != nil {
			return err
		}
	}
	for _, id := range c.headBlocks {
		if err := use(id, "buckets"); err != nil {
			return err
		}
	}
	if most := int(c.count)/slotsPerPage + 1; len(c.slotPages) > most || len(c.slotPages) != len(c.slotBlocks) {
		return fmt.Errorf("%d pages of slots for %d records", len(c.slotPages), c.count)
	}
	cells := 0
	for k := range c.cells.classes {
		class := &c.cells.classes[k]
		used := class.used
		for id := class.last; id != noBlock; id = c.cells.below[id] {
			if err := use(id, fmt.Sprint("cells of ", class.size)); err != nil {
				return err
			}
			if used == 0 || used > class.per {
				return fmt.Errorf("block %d has %d of %d cells", id, used, class.per)
			}
			for n := range used {
				ref := id<<refBits | n*uint32(class.size/granule)
				owner := uint32At(c.pool.cell(ref))
				if owner >= c.count || c.slot(owner).ref != ref {
					return fmt.Errorf("cell %#x is owned by slot %d, which has another", ref, owner)
				}
				s := c.slot(owner)
				if _, _, need := shape(s.keyLen(), s.valueLen()); classOf(need) != uint8(k) || need > class.size {
					return fmt.Errorf("a record that needs %d bytes lies in a cell of %d", need, class.size)
				}
			}
			cells += int(used)
			used = class.per
		}
	}
	if cells != int(c.count) {
		return fmt.Errorf("%d cells for %d records", cells, c.count)
	}
	for id := range c.count {
		s := c.slot(id)
		chain, _, _ := shape(s.keyLen(), s.valueLen())
		if chain == 0 {
			continue
		}
		at := uint32At(c.pool.cell(s.ref)[ownerSize:])
		for ; chain > 0; chain-- {
			if err := use(at, "value"); err != nil {
				return err
			}
			at = uint32At(c.pool.block(at)[linkAt:])
		}
		if at != noBlock {
			return fmt.Errorf("the chain of slot %d goes on after its end", id)
		}
	}
	for id, what := range uses {
		if what == "" {
			return fmt.Errorf("block %d is lost", id)
		}
	}
	if c.pool.made > c.pool.limit {
		return fmt.Errorf("%d blocks, and the most is %d", c.pool.made, c.pool.limit)
	}
	return nil
}

// verifyIndex checks that every slot is found in the one bucket of its hash.
func (c *Cache) verifyIndex() error {
	found := make([]bool, c.count)
	n := 0
	for b := range c.buckets {
		for id := *c.head(b); id != noSlot; id = c.slot(id).chain {
			if id >= c.count || found[id] {
				return fmt.Errorf("bucket %d has slot %d, which is found elsewhere or does not exist", b, id)
			}
			found[id] = true
			n++
			s := c.slot(id)
			if hash := uint32(c.hash.sum(c.keyOf(s))); hash != s.hash || c.bucketOf(hash) != b {
				return fmt.Errorf("slot %d is in bucket %d and belongs to %d", id, b, c.bucketOf(hash))
			}
		}
	}
	if n != int(c.count) {
		return fmt.Errorf("%d of %d slots are in the index", n, c.count)
	}
	if c.buckets > c.count+c.count/2+slotsPerPage+2 {
		return fmt.Errorf("%d buckets for %d records", c.buckets, c.count)
	}
	return nil
}

// verifyOrder checks that the order of eviction has every slot once.
func (c *Cache) verifyOrder() error {
	n, handSeen := uint32(0), c.hand == noSlot
	newer := noSlot
	for id := c.newest; id != noSlot; id = c.slot(id).older {
		if n++; n > c.count {
			return fmt.Errorf("the order of eviction goes in a circle")
		}
		if c.slot(id).newer != newer {
			return fmt.Errorf("slot %d says %d is newer, and %d is", id, c.slot(id).newer, newer)
		}
		handSeen = handSeen || id == c.hand
		newer = id
	}
	switch {
	case n != c.count:
		return fmt.Errorf("%d of %d slots are in the order of eviction", n, c.count)
	case c.oldest != newer:
		return fmt.Errorf("slot %d is the oldest, and %d is said to be", newer, c.oldest)
	case !handSeen:
		return fmt.Errorf("the hand is at slot %d, which is not in the order of eviction", c.hand)
	case c.pinned != noSlot:
		return fmt.Errorf("slot %d is still pinned", c.pinned)
	}
	return nil
}
