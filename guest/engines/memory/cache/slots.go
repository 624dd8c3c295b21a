package cache

import "github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"

// slot is what the cache knows about one record. Slots are dense, numbered 0 to
// count-1. When one is freed, the last moves into its place. So they need no free
// list, shrink as well as they grow, and can be walked in small steps.
type slot struct {
	hash    uint32 // 31 bits of the hash, and mainBit
	chain   uint32 // the next slot of the same bucket
	newer   uint32 // in the same queue
	older   uint32
	ref     uint32 // the cell
	sizes   uint32 // key length - 1, value length, and whether the record was used
	expires int64
}

// noSlot means no slot.
const noSlot = linearhash.End

// MaxValue is the largest value in bytes that any cache takes. A cache with
// little memory takes less: see Cache.MaxValue.
const MaxValue = 1 << 20

// mainBit in slot.hash says that the record is in the main queue.
const mainBit = 1 << 31

// Bits of slot.sizes: 10 of the key's length, 21 of the value's, one for use.
const (
	usedBit       = 1 << 31
	valueLenShift = 10
	keyLenMask    = 1<<valueLenShift - 1
)

func packSizes(keyLen, valueLen int) uint32 {
	return uint32(valueLen)<<valueLenShift | uint32(keyLen-1)
}

func (s *slot) keyLen() int   { return int(s.sizes&keyLenMask) + 1 }
func (s *slot) valueLen() int { return int(s.sizes &^ usedBit >> valueLenShift) }
func (s *slot) main() bool    { return s.hash&mainBit != 0 }
func (s *slot) used() bool    { return s.sizes&usedBit != 0 }

// inCell reports whether the whole record lies in its cell. It agrees with shape,
// in fewer steps, for reads.
func (s *slot) inCell() bool { return ownerSize+s.keyLen()+s.valueLen() <= blockSize }

func (s *slot) expired(now int64) bool { return s.expires != 0 && now >= s.expires }

func (c *Cache) slot(id uint32) *slot {
	return &c.slotPages[id/slotsPerPage][id%slotsPerPage]
}

// reserveSlot makes room for one more slot, evicting records if necessary.
func (c *Cache) reserveSlot(now int64) bool {
	for int(c.count/slotsPerPage) >= len(c.slotPages) {
		id, ok := c.takeBlock(now)
		if !ok {
			return false
		}
		c.slotPages = append(c.slotPages, c.pool.slotPage(id))
		c.slotBlocks = append(c.slotBlocks, id)
		c.trimSlots() // evictions may have made the page unnecessary
	}
	return true
}

// trimSlots frees pages that hold neither a slot nor the next one.
func (c *Cache) trimSlots() {
	for last := len(c.slotPages) - 1; last > int(c.count/slotsPerPage); last-- {
		c.pool.give(c.slotBlocks[last])
		c.slotPages, c.slotBlocks = c.slotPages[:last], c.slotBlocks[:last]
	}
}

// insert makes a slot for a record whose cell is ready. The caller has made room
// for it.
func (c *Cache) insert(hash, ref, sizes uint32, expires int64) uint32 {
	id := c.count
	c.count++
	s := c.slot(id)
	*s = slot{hash: hash, ref: ref, sizes: sizes, expires: expires}
	if c.takeGhost(hash) {
		s.hash |= mainBit
	}
	c.enqueue(id, s)
	c.indexInsert(id, s)
	return id
}

// remove frees a record and all it holds.
func (c *Cache) remove(id uint32) {
	s := c.slot(id)
	if s.ref != noRef {
		c.freeBytes(s)
	}
	c.indexRemove(id, s)
	c.dequeue(s)
	if c.pinned == id {
		c.pinned = noSlot
	}
	c.count--
	if last := c.count; id != last {
		c.moveSlot(last, id)
	}
	c.trimSlots()
	c.indexShrink()
}

// moveSlot moves the record of one slot to a free one and updates everything that
// pointed to it.
func (c *Cache) moveSlot(from, to uint32) {
	s := c.slot(from)
	c.indexReplace(s.hash, from, to)
	c.requeue(s, to)
	if c.pinned == from {
		c.pinned = to
	}
	if s.ref != noRef {
		putUint32(c.pool.cell(s.ref), to)
	}
	*c.slot(to) = *s
}
