package cache

import (
	"fmt"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// Verify checks that all the cache's bookkeeping is consistent, by walking all
// of it.
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
	for _, id := range c.bucketBlocks {
		if err := use(id, "buckets"); err != nil {
			return err
		}
	}
	for _, id := range c.ghostBlocks {
		if err := use(id, "ghosts"); err != nil {
			return err
		}
	}
	if len(c.ghostPages) > len(c.bucketPages) || len(c.ghostPages) != len(c.ghostBlocks) {
		return fmt.Errorf("%d pages of ghosts for %d of buckets", len(c.ghostPages), len(c.bucketPages))
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
		return fmt.Errorf("%d blocks: must be at most %d", c.pool.made, c.pool.limit)
	}
	return nil
}

// verifyIndex checks that every slot is in the one bucket of its hash.
func (c *Cache) verifyIndex() error {
	found := make([]bool, c.count)
	n := 0
	for b := range c.table.Buckets() {
		if ghost := c.ghostAt(b); ghost != nil && *ghost != 0 && c.table.Bucket(*ghost) != b {
			return fmt.Errorf("bucket %d has a ghost that belongs to %d", b, c.table.Bucket(*ghost))
		}
		for id := *c.bucketAt(b); id != noSlot; id = c.slot(id).chain {
			if id >= c.count || found[id] {
				return fmt.Errorf("bucket %d has slot %d, which is found elsewhere or does not exist", b, id)
			}
			found[id] = true
			n++
			s := c.slot(id)
			if hash := c.hashOf(c.keyOf(s)); hash != s.hash&^mainBit || c.table.Bucket(hash) != b {
				return fmt.Errorf("slot %d is in bucket %d but belongs to %d", id, b, c.table.Bucket(hash))
			}
		}
	}
	if n != int(c.count) {
		return fmt.Errorf("%d of %d slots are in the index", n, c.count)
	}
	if buckets := c.table.Buckets(); buckets > c.count+c.count/2+linearhash.Slack+2 {
		return fmt.Errorf("%d buckets for %d records", buckets, c.count)
	}
	return nil
}

// verifyOrder checks that every slot is, exactly once, in the queue that it
// names.
func (c *Cache) verifyOrder() error {
	if c.small.count+c.main.count != c.count {
		return fmt.Errorf("%d and %d of %d slots are in the queues", c.small.count, c.main.count, c.count)
	}
	for _, q := range []*queue{&c.small, &c.main} {
		n, newer := uint32(0), noSlot
		for id := q.newest; id != noSlot; id = c.slot(id).older {
			s := c.slot(id)
			if n++; n > q.count {
				return fmt.Errorf("a queue of %d goes on after its end", q.count)
			}
			if s.newer != newer {
				return fmt.Errorf("slot %d says %d is newer, and %d is", id, s.newer, newer)
			}
			if c.queueOf(s) != q {
				return fmt.Errorf("slot %d is in the other queue than it says", id)
			}
			newer = id
		}
		if n != q.count || q.oldest != newer {
			return fmt.Errorf("a queue of %d ends after %d at slot %d, want %d", q.count, n, newer, q.oldest)
		}
	}
	if c.pinned != noSlot {
		return fmt.Errorf("slot %d is still pinned", c.pinned)
	}
	return nil
}

// Spared returns how many records the last write passed over for eviction.
func (c *Cache) Spared() int { return c.spared }
