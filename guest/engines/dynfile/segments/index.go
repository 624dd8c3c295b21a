package segments

import "github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"

// The index knows where every session's record lies. It is in memory: a hash
// table with chains through dense slots, which grows by one bucket at a time
// and is never copied as a whole. It has no pointers for the garbage collector
// to follow, and takes 36 bytes per session.
//
// Each hash appears only once: two keys with the same hash, which has 64 bits
// and a secret key, cannot be stored at the same time. See Store.identify.
type index struct {
	count     uint32
	slotPages []*slotPage

	table     linearhash.Table
	headPages []*headPage

	// While a store is loading, seqs has the sequence number of each slot from
	// base on, and no page is freed: how much memory loading takes must not
	// depend on when the collector runs.
	loading bool
	base    uint32
	seqs    []*seqPage
}

// slot is a session. When one is removed, the last takes its number.
type slot struct {
	hash    uint64
	at      place
	expires int64
	chain   uint32 // the next slot of the same bucket
	flags   uint32
}

// Flags of a slot.
const (
	slotOutlived uint32 = 1 << iota // as flagOutlived
	slotGone                        // while opening: the newest record is a tombstone
)

func (s *slot) expired(now int64) bool { return s.expires != 0 && now >= s.expires }

// place is where a record lies and how long it is: 16 bits for the segment's
// place in the table, 26 for the offset and 22 for the length, in units.
type place uint64

const (
	offsetBits  = 26
	lengthBits  = 22
	maxSegments = 1 << 16
)

func placeOf(segment uint16, offset int64, size int) place {
	return place(segment)<<(offsetBits+lengthBits) | place(offset/unit)<<lengthBits | place(size/unit)
}

func (p place) segment() uint16 { return uint16(p >> (offsetBits + lengthBits)) }
func (p place) offset() int64   { return int64(p>>lengthBits&(1<<offsetBits-1)) * unit }
func (p place) size() int       { return int(p&(1<<lengthBits-1)) * unit }

const (
	noSlot       = linearhash.End
	slotsPerPage = 1024
	headsPerPage = 8192
)

// maxExpected bounds what expect believes.
const maxExpected = 1 << 24

type (
	slotPage [slotsPerPage]slot
	headPage [headsPerPage]uint32
	seqPage  [slotsPerPage]uint64
)

func (x *index) reset() {
	*x = index{headPages: []*headPage{new(headPage)}}
	*x.head(0) = noSlot
}

func (x *index) slot(id uint32) *slot { return &x.slotPages[id/slotsPerPage][id%slotsPerPage] }

// seq returns the sequence number of a slot from base on, while loading.
func (x *index) seq(id uint32) *uint64 {
	id -= x.base
	return &x.seqs[id/slotsPerPage][id%slotsPerPage]
}

func (x *index) head(bucket uint32) *uint32 {
	return &x.headPages[bucket/headsPerPage][bucket%headsPerPage]
}

// first returns the variable that holds the first slot of a hash's bucket.
func (x *index) first(hash uint64) *uint32 { return x.head(x.table.Bucket(uint32(hash))) }

// find returns the slot of a hash, or nil.
func (x *index) find(hash uint64) (uint32, *slot) {
	for id := *x.first(hash); id != noSlot; {
		s := x.slot(id)
		if s.hash == hash {
			return id, s
		}
		id = s.chain
	}
	return noSlot, nil
}

// insert adds a hash that is not in the index.
func (x *index) insert(hash uint64, at place, expires int64, flags uint32) (uint32, *slot) {
	id := x.count
	if int(id/slotsPerPage) == len(x.slotPages) {
		x.slotPages = append(x.slotPages, new(slotPage))
	}
	x.count++
	head := x.first(hash)
	s := x.slot(id)
	*s = slot{hash: hash, at: at, expires: expires, flags: flags, chain: *head}
	*head = id
	if x.loading && int((id-x.base)/slotsPerPage) == len(x.seqs) {
		x.seqs = append(x.seqs, new(seqPage))
	}
	if x.table.Buckets() < x.count {
		x.split()
	}
	return id, s
}

// expect makes room in an empty table for that many hashes, so that adding them splits
// nothing.
func (x *index) expect(hashes int64) {
	for int64(x.table.Buckets()) < min(hashes, maxExpected) {
		_, added := x.table.Grow()
		if int(added/headsPerPage) == len(x.headPages) {
			x.headPages = append(x.headPages, new(headPage))
		}
		*x.head(added) = noSlot
	}
}

// remove frees a slot. The last one takes its number.
func (x *index) remove(id uint32) {
	s := x.slot(id)
	*x.linkTo(s.hash, id) = s.chain
	x.count--
	if last := x.count; id != last {
		moved := x.slot(last)
		*x.linkTo(moved.hash, last) = id
		*s = *moved
		if x.loading {
			*x.seq(id) = *x.seq(last)
		}
	}
	if x.loading {
		return
	}
	for range 2 {
		if x.table.Roomy(x.count) {
			x.merge()
		}
	}
	x.giveBack()
}

// giveBack frees pages that are no longer needed.
func (x *index) giveBack() {
	// One page more than needed stays, for sessions that come and go.
	if most := int(x.count/slotsPerPage) + 2; len(x.slotPages) > most {
		clear(x.slotPages[most:])
		x.slotPages = x.slotPages[:most]
	}
	if most := int(x.table.Buckets()/headsPerPage) + 2; len(x.headPages) > most {
		clear(x.headPages[most:])
		x.headPages = x.headPages[:most]
	}
}

// loaded ends loading.
func (x *index) loaded() {
	x.loading, x.base, x.seqs = false, 0, nil
	for x.table.Roomy(x.count) {
		x.merge()
	}
	x.giveBack()
}

// linkTo returns what points to a slot: its bucket or the slot before it.
func (x *index) linkTo(hash uint64, id uint32) *uint32 {
	link := x.first(hash)
	for *link != id {
		link = &x.slot(*link).chain
	}
	return link
}

// split adds a bucket and moves into it what belongs there from the bucket that
// it was split from.
func (x *index) split() {
	parent, added := x.table.Grow()
	if int(added/headsPerPage) == len(x.headPages) {
		x.headPages = append(x.headPages, new(headPage))
	}
	stay, move := x.head(parent), x.head(added)
	for id := *stay; id != noSlot; {
		s := x.slot(id)
		next := s.chain
		if x.table.Bucket(uint32(s.hash)) == added {
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

// merge removes the last bucket.
func (x *index) merge() {
	parent, removed := x.table.Shrink()
	chain := *x.head(removed)
	if chain == noSlot {
		return
	}
	link := x.head(parent)
	for *link != noSlot {
		link = &x.slot(*link).chain
	}
	*link = chain
}
