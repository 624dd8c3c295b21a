package image

import (
	"iter"
	"math/bits"
)

// A pageSet has a bit for each page of a memory.
type pageSet []uint64

// makePageSet returns an empty set for the pages of a memory.
func makePageSet(size uint64) pageSet { return make(pageSet, (size/pageSize+63)/64) }

func (s pageSet) add(i uint64) { s[i/64] |= 1 << (i % 64) }

func (s pageSet) remove(i uint64) { s[i/64] &^= 1 << (i % 64) }

// has reports whether a page is in the set. None is that the set has no bit for.
func (s pageSet) has(i uint64) bool { return s.word(int(i/64))&(1<<(i%64)) != 0 }

// word returns 64 bits, which are 0 beyond the set's end.
func (s pageSet) word(w int) uint64 {
	if w >= len(s) {
		return 0
	}
	return s[w]
}

// addAll adds the pages of another set, from a page on.
func (s pageSet) addAll(other pageSet, from uint64) {
	for w := int(from / 64); w < min(len(s), len(other)); w++ {
		bits := other[w]
		if w == int(from/64) {
			bits &^= 1<<(from%64) - 1
		}
		s[w] |= bits
	}
}

func (s pageSet) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// all goes through the pages in ascending order.
func (s pageSet) all() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for w, set := range s {
			for ; set != 0; set &= set - 1 {
				if !yield(uint64(w)*64 + uint64(bits.TrailingZeros64(set))) {
					return
				}
			}
		}
	}
}
