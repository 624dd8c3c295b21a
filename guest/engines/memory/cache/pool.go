package cache

import "unsafe"

// Everything that grows lives in blocks of one size, so that memory given back
// by one kind of content serves any other, whatever came in between. Blocks are
// cut from extents, which are asked of the Go runtime once and kept: they hold
// no pointers, so the collector never looks into them.
const (
	blockSize       = 32 << 10
	extentSize      = 256 << 10
	blocksPerExtent = extentSize / blockSize
)

type (
	block  = [blockSize]byte
	extent [extentSize]byte
)

// noBlock is the number of no block.
const noBlock = ^uint32(0)

// pool hands out blocks, at most limit of them.
type pool struct {
	extents []*extent
	free    []uint32 // numbers of blocks that were given back
	made    uint32   // blocks that were ever handed out: 0 to made-1
	limit   uint32
}

// take returns a block with whatever was in it, unless all are in use.
func (p *pool) take() (uint32, bool) {
	if last := len(p.free) - 1; last >= 0 {
		id := p.free[last]
		p.free = p.free[:last]
		return id, true
	}
	if p.made == p.limit {
		return noBlock, false
	}
	if p.made%blocksPerExtent == 0 {
		p.extents = append(p.extents, new(extent))
	}
	id := p.made
	p.made++
	return id, true
}

func (p *pool) give(id uint32) { p.free = append(p.free, id) }

// giveAll takes every block back at once.
func (p *pool) giveAll() {
	p.free = p.free[:0]
	for id := p.made; id > 0; id-- {
		p.free = append(p.free, id-1)
	}
}

func (p *pool) inUse() int { return int(p.made) - len(p.free) }

func (p *pool) block(id uint32) *block {
	return (*block)(p.extents[id/blocksPerExtent][id%blocksPerExtent*blockSize:])
}

// A page is a block as an array. The casts are sound: the types hold no
// pointers, are no larger than a block, and an extent is aligned to a page of
// the runtime.
const (
	slotsPerPage = 1024
	headsPerPage = blockSize / 4
)

type (
	slotPage [slotsPerPage]slot
	headPage [headsPerPage]uint32
)

var (
	_ [blockSize - unsafe.Sizeof(slotPage{})]byte
	_ [blockSize - unsafe.Sizeof(headPage{})]byte
)

func (p *pool) slotPage(id uint32) *slotPage { return (*slotPage)(unsafe.Pointer(p.block(id))) }
func (p *pool) headPage(id uint32) *headPage { return (*headPage)(unsafe.Pointer(p.block(id))) }
