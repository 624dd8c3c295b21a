package cache

import "github.com/waddle-sessions/waddle/guest"

// Walks go from the last slot to the first. A removal moves the last slot into the
// gap. On the way down a slot may therefore be met twice, but a slot that was not
// yet met stays below.

const (
	sweepPerSet  = 2    // slots that every Set looks at for expired records
	sweepPerSave = 4096 // slots that Save looks at
	maxWalk      = 4096 // slots that one chunk of an enumeration looks at
)

// Sweep looks at the next max records and removes the expired ones.
func (c *Cache) Sweep(max int, now int64) (removed int, err error) {
	c.swept = now
	return c.sweep(min(max, int(c.count)), now), nil
}

// Save looks at the next few thousand records and removes the expired ones.
// Nothing here is durable.
func (c *Cache) Save(now int64) error {
	c.sweep(min(sweepPerSave, int(c.count)), now)
	return nil
}

func (c *Cache) sweep(slots int, now int64) (removed int) {
	for ; slots > 0 && c.count > 0; slots-- {
		if c.sweepAt == 0 || c.sweepAt > c.count {
			c.sweepAt = c.count
		}
		c.sweepAt--
		if c.slot(c.sweepAt).expired(now) {
			c.expire(c.sweepAt)
			removed++
		}
	}
	return removed
}

// believed is the time by which expired records are removed: the operation's time,
// but no later than the time that Sweep was last given. The host makes sure that
// the clock has not leapt there. An operation's clock may have leapt, and be right
// again in the next.
func (c *Cache) believed(now int64) int64 {
	if c.swept == 0 {
		return now // nobody sweeps
	}
	return min(now, c.swept)
}

// expireFor removes a record that has expired by the time of an operation, if that
// time is believed.
func (c *Cache) expireFor(id uint32, s *slot, now int64) {
	if s.expired(c.believed(now)) {
		c.expire(id)
	}
}

func (c *Cache) expire(id uint32) {
	c.stats.Expired++
	c.remove(id)
}

// Keys adds keys to a chunk.
func (c *Cache) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	return c.walk(cursor, now, func(s *slot) bool { return chunk.Add(c.keyOf(s)) }), nil
}

// Snapshot adds records to a chunk.
func (c *Cache) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	return c.walk(cursor, now, func(s *slot) bool {
		room, ok := chunk.AddRoom(c.keyOf(s), s.valueLen(), s.expires)
		c.copyValue(room, s)
		return ok
	}), nil
}

// walk passes records that have not expired to add, until add declines one. A
// cursor is the number of the slot that was met last, plus one so that it is not
// 0.
func (c *Cache) walk(cursor, now int64, add func(*slot) bool) (next int64) {
	at := int64(c.count)
	if cursor > 0 {
		at = min(at, cursor-1)
	}
	for walked := 0; at > 0; walked++ {
		s := c.slot(uint32(at - 1))
		if walked == maxWalk || !s.expired(now) && !add(s) {
			return at + 1
		}
		at--
	}
	return 0
}

// Restore stores the records of a snapshot, or none if one is larger than this
// cache takes. As with any writes, some may be evicted for others.
func (c *Cache) Restore(records guest.Records, _ int64) error {
	for w := range records.All() {
		if len(w.Value) > c.maxValue {
			return errValue
		}
	}
	for w := range records.All() {
		if err := c.Set(w); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ guest.Toucher     = (*Cache)(nil)
	_ guest.Sweeper     = (*Cache)(nil)
	_ guest.Lister      = (*Cache)(nil)
	_ guest.Snapshotter = (*Cache)(nil)
	_ guest.Restorer    = (*Cache)(nil)
)
