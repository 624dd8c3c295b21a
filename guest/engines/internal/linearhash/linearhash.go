// Package linearhash has the arithmetic of hash tables that grow and shrink by
// one bucket at a time (linear hashing: Litwin, 1980). There is no moment at
// which such a table is copied, so that no operation takes long because of how
// many records there are.
//
// Buckets are numbered from 0. A bucket belongs to the lowest bits of a hash; of
// n buckets, the first few have one bit more than the rest. When one is added,
// another is split: what has the next bit set moves to the new one. When the last
// is taken away, what is in it goes back there.
//
// A [Table] says which bucket a hash belongs to, and which two a change concerns.
// Buckets and chains are the engine's, which has them where it likes: a call for
// each record on the way would cost every operation more than all of this does.
package linearhash

import "math/bits"

// End is the number of no record: what an empty bucket holds, and the last
// record of a chain.
const End = ^uint32(0)

// MaxBuckets is the most buckets that a table can have. Bits of a hash from this
// one on are not looked at: an engine may use them for something else.
const MaxBuckets = 1 << 31

// Slack is how many buckets more than one and a half for each record a table may
// have, so that records that come and go at one number split and merge nothing.
const Slack = 1024

// Table is the number of buckets that there are. The zero value has one. A Table
// is not safe for concurrent use.
type Table struct {
	last uint32 // the number of the last bucket
	mask uint32 // the bits of a hash that tell buckets apart: the least mask that has last
}

// Buckets returns how many buckets there are, at least 1. With as many as there
// are records, a search looks at one and a half records on the average.
func (t *Table) Buckets() uint32 { return t.last + 1 }

// Bucket returns the bucket of a hash.
func (t *Table) Bucket(hash uint32) uint32 {
	b := hash & t.mask
	if b > t.last {
		b &= t.mask >> 1 // not there yet: what it will be split from
	}
	return b
}

// Grow adds a bucket. Of the records in parent, which stood for both until now,
// those must be moved to added that Bucket says it of; no others need to be. There
// must be fewer than MaxBuckets.
func (t *Table) Grow() (parent, added uint32) {
	t.last++
	t.mask = 1<<bits.Len32(t.last) - 1
	return t.last & (t.mask >> 1), t.last
}

// Roomy reports whether there are more buckets than so many records need, with
// the slack. Whoever takes away two, if it is so, after each record that is
// removed, keeps up with them.
func (t *Table) Roomy(records uint32) bool { return t.last >= records+records/2+Slack }

// Shrink takes the last bucket away. All that is in removed must be moved to
// parent, and nothing else needs to be. There must be more than one.
func (t *Table) Shrink() (parent, removed uint32) {
	removed = t.last
	t.last--
	t.mask = 1<<bits.Len32(t.last) - 1
	return t.Bucket(removed), removed
}
