// Package linearhash has the hash table of the engines that keep an index in
// memory: one with chains, which grows and shrinks by one bucket at a time
// (linear hashing: Litwin, 1980). There is no moment at which a table is copied,
// so that no operation takes long because of how many records there are.
//
// Buckets are numbered from 0. A bucket belongs to the lowest bits of a hash;
// when the next one is added, one is split: what has the next bit set moves. A
// [Table] says which bucket that is for a hash, and keeps the chains right while
// the number of buckets changes. Buckets and slots themselves are the engine's,
// which has them where it likes, and searches them on its own: a call for each
// slot on the way would be felt in every operation, and is not in a split. With
// as many buckets as records, a search looks at one and a half slots on the average.
package linearhash

import "math/bits"

// End is the number of no slot: what an empty bucket holds, and the last slot
// of a chain.
const End = ^uint32(0)

// MaxBuckets is the most buckets that a table can have. Bits of a hash from this
// one on are not looked at: an engine may use them for something else.
const MaxBuckets = 1 << 31

// Slack is how many buckets more than one and a half for each record a table has
// before Shrink takes some away, so that records that come and go at one number
// split and merge nothing.
const Slack = 1024

// Chains is where an engine has its buckets and slots. Both methods return
// places that hold the number of a slot, or End, and stay where they are until
// the next call of a method of Table.
type Chains interface {
	// Head returns the place of the first slot of a bucket.
	Head(bucket uint32) *uint32

	// Slot returns the hash of a slot and the place of the next slot of its
	// chain.
	Slot(id uint32) (hash uint32, next *uint32)
}

// Table says which bucket a hash belongs to. The zero value has one bucket,
// whose head is End if it is empty; the engine sees to that. A Table is not
// safe for concurrent use.
type Table struct {
	last uint32 // the number of the last bucket
	mask uint32 // the bits of a hash that tell buckets apart: the least mask that has last
}

// Buckets returns how many buckets there are, at least 1.
func (t *Table) Buckets() uint32 { return t.last + 1 }

// Bucket returns the bucket of a hash.
func (t *Table) Bucket(hash uint32) uint32 {
	b := hash & t.mask
	if b > t.last {
		b &= t.mask >> 1 // not there yet: what it will be split from
	}
	return b
}

// Split adds a bucket, for which there is a head, whatever it holds, and moves
// into it what belongs there out of parent, which stood for both until now. Slots
// keep their order. There must be fewer than MaxBuckets.
func (t *Table) Split(chains Chains) (parent, added uint32) {
	t.last++
	added = t.last
	t.mask = 1<<bits.Len32(added) - 1
	parent = added & (t.mask >> 1)
	stay, move := chains.Head(parent), chains.Head(added)
	for id := *stay; id != End; {
		hash, next := chains.Slot(id)
		if t.Bucket(hash) == added {
			*move = id
			move = next
		} else {
			*stay = id
			stay = next
		}
		id = *next
	}
	*stay, *move = End, End
	return parent, added
}

// Shrink takes a bucket or two away if there are more than so many records need:
// see Slack. Called after each record that is removed, it keeps up with them. The
// head of a bucket that was taken away may go.
func (t *Table) Shrink(chains Chains, records uint32) {
	for range 2 {
		if t.last >= records+records/2+Slack {
			t.merge(chains)
		}
	}
}

// merge puts the chain of the last bucket behind that of the one that it was
// split from, and takes the bucket away.
func (t *Table) merge(chains Chains) {
	removed := t.last
	chain := *chains.Head(removed)
	t.last--
	t.mask = 1<<bits.Len32(t.last) - 1
	if chain == End {
		return
	}
	link := chains.Head(t.Bucket(removed))
	for *link != End {
		_, link = chains.Slot(*link)
	}
	*link = chain
}
