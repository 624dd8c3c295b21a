// Package linearhash has the arithmetic of hash tables that grow and shrink by one
// bucket at a time (linear hashing: Litwin, 1980). Such a table is never copied as
// a whole, so no operation takes long because there are many records.
//
// Buckets are numbered from 0. A hash's lowest bits determine its bucket; of n
// buckets, the first few use one bit more than the rest. When a bucket is added,
// another is split: the hashes with the next bit set move to the new one. When the
// last bucket is removed, its contents go back there.
//
// A [Table] says which bucket a hash belongs to, and which two buckets a change
// concerns. The engine owns the buckets and chains, and lays them out as it likes:
// a call for each record on the way would cost every operation more than all of
// this does.
package linearhash

import "math/bits"

// End means no record: it is the content of an empty bucket and ends a chain.
const End = ^uint32(0)

// MaxBuckets is the most buckets that a table can have. Bits of a hash from this
// one on are ignored, so an engine may use them for something else.
const MaxBuckets = 1 << 31

// Slack is how many buckets a table may have beyond one and a half per record, so
// that adding and removing records around one number splits and merges nothing.
const Slack = 1024

// Table is the number of buckets. The zero value has one. A Table is not safe for
// concurrent use.
type Table struct {
	last uint32 // the number of the last bucket
	mask uint32 // the bits of a hash that distinguish buckets: the smallest mask that contains last
}

// Buckets returns how many buckets there are, at least 1. With as many as there
// are records, a search looks at one and a half records on average.
func (t *Table) Buckets() uint32 { return t.last + 1 }

// Bucket returns the bucket of a hash.
func (t *Table) Bucket(hash uint32) uint32 {
	b := hash & t.mask
	if b > t.last {
		b &= t.mask >> 1 // not there yet: use the bucket that it will be split from
	}
	return b
}

// Grow adds a bucket. Move every record of parent for which Bucket now returns
// added, and leave the rest. There must be fewer than MaxBuckets.
func (t *Table) Grow() (parent, added uint32) {
	t.last++
	t.mask = 1<<bits.Len32(t.last) - 1
	return t.last & (t.mask >> 1), t.last
}

// Roomy reports whether there are more buckets than that many records need, with
// the slack. A caller that checks it after each removed record, and then removes
// two buckets, keeps up.
func (t *Table) Roomy(records uint32) bool { return t.last >= records+records/2+Slack }

// Shrink removes the last bucket. Move everything in removed to parent, and leave
// the rest. There must be more than one bucket.
func (t *Table) Shrink() (parent, removed uint32) {
	removed = t.last
	t.last--
	t.mask = 1<<bits.Len32(t.last) - 1
	return t.Bucket(removed), removed
}
