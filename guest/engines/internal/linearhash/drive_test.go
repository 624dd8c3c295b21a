package linearhash_test

import (
	"fmt"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// hashes is a multiset of hashes in the buckets that a table says. It moves what
// the table asks for, and nothing else.
type hashes struct {
	table   linearhash.Table
	buckets [][]uint32
	count   uint32
}

func newHashes() *hashes { return &hashes{buckets: make([][]uint32, 1)} }

func (h *hashes) insert(hash uint32) {
	b := h.table.Bucket(hash)
	h.buckets[b] = append(h.buckets[b], hash)
	h.count++
}

// remove takes out the last of the first bucket from this one on that has any.
func (h *hashes) remove(from uint32) {
	for b := from % h.table.Buckets(); ; b = (b + 1) % h.table.Buckets() {
		if last := len(h.buckets[b]) - 1; last >= 0 {
			h.buckets[b] = h.buckets[b][:last]
			h.count--
			return
		}
	}
}

func (h *hashes) grow() (parent, added uint32) {
	parent, added = h.table.Grow()
	h.buckets = append(h.buckets, nil)
	var stay []uint32
	for _, hash := range h.buckets[parent] {
		if h.table.Bucket(hash) == added {
			h.buckets[added] = append(h.buckets[added], hash)
		} else {
			stay = append(stay, hash)
		}
	}
	h.buckets[parent] = stay
	return parent, added
}

func (h *hashes) shrink() (parent, removed uint32) {
	parent, removed = h.table.Shrink()
	h.buckets[parent] = append(h.buckets[parent], h.buckets[removed]...)
	h.buckets = h.buckets[:removed]
	return parent, removed
}

// verify checks that every hash is in the bucket that it belongs to.
func (h *hashes) verify() error {
	if int(h.table.Buckets()) != len(h.buckets) {
		return fmt.Errorf("%d buckets, and there should be %d", h.table.Buckets(), len(h.buckets))
	}
	for bucket, all := range h.buckets {
		for _, hash := range all {
			b, want := h.table.Bucket(hash), bucketOf(hash, uint32(len(h.buckets)))
			if b != want || int(b) != bucket {
				return fmt.Errorf("%#x lies in bucket %d of %d, is looked for in %d and belongs to %d",
					hash, bucket, len(h.buckets), b, want)
			}
		}
	}
	return nil
}

// bucketOf says in another way than a table does where a hash belongs: with as
// many of its lowest bits as make the number of a bucket, and no more than the
// last bucket's number has.
func bucketOf(hash, buckets uint32) uint32 {
	for size := uint64(1) << 32; ; size /= 2 {
		if b := uint64(hash) % size; b < uint64(buckets) && size < 2*uint64(buckets) {
			return uint32(b)
		}
	}
}
