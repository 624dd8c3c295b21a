package cache

import "math/bits"

// A record's bytes lie in a cell. Cells of one size fill blocks without gaps:
// when one is freed, the last of its size moves into its place. So there is
// never more than one part-filled block per size, nothing is ever collected, and
// the longest step is the copy of one cell.
//
// A cell begins with the number of the slot that owns it, so that the slot can
// be found when the cell moves.
//
// A record too long for one block has a cell with the head of its value and the
// number of the first of a chain of whole blocks, which hold the rest. A block
// of a chain ends with the number of the next one and never moves.
const (
	granule    = 16 // cells begin at multiples of it and have sizes that are multiples of it
	refBits    = 11 // a ref is block<<refBits | offset/granule
	ownerSize  = 4
	chainSize  = 4
	linkAt     = blockSize - 4 // where a block of a chain holds the next one's number
	chainBytes = linkAt        // bytes of a value that a block of a chain holds

	fineMax    = 512 // sizes are a granule apart up to here, and a sixteenth of a power of two above
	fineSizes  = fineMax / granule
	sizesPer2x = 16
	sizes      = fineSizes + 6*sizesPer2x // up to blockSize
)

// noRef means no cell.
const noRef = ^uint32(0)

// cellClass is what all cells of one size share.
type cellClass struct {
	size int    // of a cell
	per  uint32 // cells per block
	last uint32 // the block that is not full, noBlock if there is no cell
	used uint32 // cells used in it
}

type cells struct {
	classes [sizes]cellClass
	below   []uint32 // by block: the block of its class that was last before it
}

// classByStep merges sizes of which equally many fit into a block into one
// class. The class has the number of the smallest and the size of the largest.
var classByStep = func() (table [sizes]uint8) {
	for step := range sizes {
		table[step] = uint8(step)
		if step > 0 && blockSize/stepSize(step) == blockSize/stepSize(step-1) {
			table[step] = table[step-1]
		}
	}
	return table
}()

func stepOf(need int) int {
	if need <= fineMax {
		return (need - 1) / granule
	}
	n := uint(need - 1)
	length := bits.Len(n)
	return fineSizes + (length-10)*sizesPer2x + int(n>>(length-5)&(sizesPer2x-1))
}

func stepSize(step int) int {
	if step < fineSizes {
		return (step + 1) * granule
	}
	step -= fineSizes
	return (sizesPer2x + step%sizesPer2x + 1) << (step/sizesPer2x + 5)
}

func classOf(need int) uint8 { return classByStep[stepOf(need)] }

func (c *cells) reset() {
	c.below = c.below[:0]
	for step := range sizes {
		per := blockSize / stepSize(step)
		c.classes[step] = cellClass{size: blockSize / per &^ (granule - 1), per: uint32(per), last: noBlock}
	}
}

// take returns a cell of a class, unless that takes a block and there is none.
func (c *cells) take(p *pool, class uint8) (uint32, bool) {
	k := &c.classes[class]
	if k.last == noBlock || k.used == k.per {
		id, ok := p.take()
		if !ok {
			return noRef, false
		}
		for uint32(len(c.below)) <= id {
			c.below = append(c.below, noBlock)
		}
		c.below[id] = k.last
		k.last, k.used = id, 0
	}
	ref := k.ref(k.used)
	k.used++
	return ref, true
}

// give frees a cell. If another cell moved into its place, moved is the ref
// where that one lies now, and noRef otherwise.
func (c *cells) give(p *pool, class uint8, ref uint32) (moved uint32) {
	k := &c.classes[class]
	last := k.ref(k.used - 1)
	moved = noRef
	if ref != last {
		copy(p.cell(ref)[:k.size], p.cell(last)[:k.size])
		moved = ref
	}
	if k.used--; k.used == 0 {
		p.give(k.last)
		if k.last = c.below[k.last]; k.last != noBlock {
			k.used = k.per
		}
	}
	return moved
}

// ref returns the ref of a cell of the last block.
func (k *cellClass) ref(index uint32) uint32 {
	return k.last<<refBits | index*uint32(k.size/granule)
}

// shape says how a record of these lengths lies: how many blocks its chain has,
// how many bytes of the value are in the cell, and how many bytes of the cell
// are needed.
func shape(keyLen, valueLen int) (chain, inCell, need int) {
	need = ownerSize + keyLen + valueLen
	if need <= blockSize {
		return 0, valueLen, need
	}
	over := need + chainSize - blockSize
	chain = (over + chainBytes - 1) / chainBytes
	inCell = max(0, valueLen-chain*chainBytes)
	return chain, inCell, ownerSize + chainSize + keyLen + inCell
}
