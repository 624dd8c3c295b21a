package linearhash_test

import (
	"fmt"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// hashes is a multiset of hashes in the buckets that a table assigns. It moves
// what the table asks for, and nothing else.
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

// remove takes out the last hash of the first non-empty bucket from this one on.
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
		return fmt.Errorf("%d buckets, want %d", h.table.Buckets(), len(h.buckets))
	}
	for bucket, all := range h.buckets {
		for _, hash := range all {
			b, want := h.table.Bucket(hash), bucketOf(hash, uint32(len(h.buckets)))
			if b != want || int(b) != bucket {
				return fmt.Errorf("%#x is in bucket %d of %d, is looked for in %d and belongs to %d",
					hash, bucket, len(h.buckets), b, want)
			}
		}
	}
	return nil
}

// bucketOf computes where a hash belongs, in another way than a table does: the
// bucket's number is as many of the hash's lowest bits as the last bucket's
// number has, or one fewer if that number is too large.
func bucketOf(hash, buckets uint32) uint32 {
	for size := uint64(1) << 32; ; size /= 2 {
		if b := uint64(hash) % size; b < uint64(buckets) && size < 2*uint64(buckets) {
			return uint32(b)
		}
	}
}
