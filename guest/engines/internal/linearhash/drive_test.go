package linearhash_test

import (
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// hashes is a multiset of hashes, kept as the engines keep their records: in
// dense slots, of which the last takes the number of one that is removed.
type hashes struct {
	table linearhash.Table
	heads []uint32
	slots []slot

	headCalls, slotCalls int
}

type slot struct{ hash, next uint32 }

func newHashes() *hashes { return &hashes{heads: []uint32{linearhash.End}} }

func (h *hashes) Head(bucket uint32) *uint32 {
	h.headCalls++
	return &h.heads[bucket]
}

func (h *hashes) Slot(id uint32) (hash uint32, next *uint32) {
	h.slotCalls++
	return h.slots[id].hash, &h.slots[id].next
}

// insert adds a slot. It grows the table, unless that is to fall behind.
func (h *hashes) insert(hash uint32, grow bool) {
	head := &h.heads[h.table.Bucket(hash)]
	h.slots = append(h.slots, slot{hash, *head})
	*head = uint32(len(h.slots) - 1)
	if grow && h.table.Buckets() < uint32(len(h.slots)) {
		h.split()
	}
}

// junk is what a new bucket's head holds before the split.
const junk = 0xdead

func (h *hashes) split() (parent, added uint32) {
	h.heads = append(h.heads[:h.table.Buckets()], junk)
	return h.table.Split(h)
}

func (h *hashes) remove(id uint32) {
	*h.link(id) = h.slots[id].next
	last := uint32(len(h.slots) - 1)
	if id != last {
		*h.link(last) = id
		h.slots[id] = h.slots[last]
	}
	h.slots = h.slots[:last]
	h.table.Shrink(h, last)
	for bucket := range h.heads[h.table.Buckets():] {
		h.heads[int(h.table.Buckets())+bucket] = junk
	}
}

// link returns what points at a slot.
func (h *hashes) link(id uint32) *uint32 {
	link := &h.heads[h.table.Bucket(h.slots[id].hash)]
	for *link != id {
		link = &h.slots[*link].next
	}
	return link
}

// steps returns how many slots a search for one looks at.
func (h *hashes) steps(id uint32) (n int) {
	for at := h.heads[h.table.Bucket(h.slots[id].hash)]; ; at = h.slots[at].next {
		if n++; at == id {
			return n
		}
	}
}

// chain returns the slots of a bucket, as long as they could be right.
func (h *hashes) chain(bucket uint32) (ids []uint32) {
	for id := h.heads[bucket]; id != linearhash.End && len(ids) <= len(h.slots); {
		ids = append(ids, id)
		if int(id) >= len(h.slots) {
			break
		}
		id = h.slots[id].next
	}
	return ids
}

// verify checks that every slot is in the chain of its hash's bucket, once, and
// that no chain has anything else.
func (h *hashes) verify() error {
	var all []uint32
	for bucket := range h.table.Buckets() {
		for _, id := range h.chain(bucket) {
			if int(id) >= len(h.slots) {
				return fmt.Errorf("bucket %d has slot %d of %d", bucket, id, len(h.slots))
			}
			if want := bucketOf(h.slots[id].hash, h.table.Buckets()); want != bucket {
				return fmt.Errorf("slot %d with hash %#x is in bucket %d of %d and belongs to %d",
					id, h.slots[id].hash, bucket, h.table.Buckets(), want)
			}
			all = append(all, id)
		}
	}
	slices.Sort(all)
	for n, id := range all {
		if int(id) != n {
			return fmt.Errorf("slot %d is missing or there twice", min(n, int(id)))
		}
	}
	if len(all) != len(h.slots) {
		return fmt.Errorf("%d of %d slots are in chains", len(all), len(h.slots))
	}
	return nil
}

// bucketOf says in another way than a table does where a hash belongs: with as
// many of its lowest bits as make the number of a bucket.
func bucketOf(hash, buckets uint32) uint32 {
	for size := uint64(1) << 32; ; size /= 2 {
		// A number that needs this bit exists only if the table has got there.
		if b := uint64(hash) % size; b < uint64(buckets) && size < 2*uint64(buckets) {
			return uint32(b)
		}
	}
}
