package cache

import "unsafe"

// This file has all the casts of the package. They are sound: the types hold no
// pointers and are no larger than the memory they are cut from, and an extent is
// aligned to a page of the runtime. Numbers within bytes are read and written in
// the processor's order, since the bytes never leave the process. Whole words are
// read without the bounds check that the caller has already made: with it,
// reading a record on WebAssembly takes a tenth longer.

// Everything that grows lives in blocks of one size, so that memory freed by one
// kind of content serves any other, in any order. Blocks are cut from extents,
// which are requested from the Go runtime once and kept. They hold no pointers,
// so the collector never scans them.
const (
	blockSize       = 32 << 10
	extentSize      = 256 << 10
	blocksPerExtent = extentSize / blockSize
)

type (
	block  = [blockSize]byte
	extent [extentSize]byte
)

// noBlock means no block.
const noBlock = ^uint32(0)

// pool hands out blocks, at most limit of them.
type pool struct {
	extents []*extent
	free    []uint32 // numbers of blocks that were freed
	made    uint32   // blocks that were ever handed out: 0 to made-1
	limit   uint32
}

// take returns a block with its old contents, unless all are in use.
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

// giveAll frees every block at once.
func (p *pool) giveAll() {
	p.free = p.free[:0]
	for id := p.made; id > 0; id-- {
		p.free = append(p.free, id-1)
	}
}

func (p *pool) inUse() int { return int(p.made) - len(p.free) }

func (p *pool) block(id uint32) *block {
	return (*block)(unsafe.Pointer(&p.extents[id/blocksPerExtent][id%blocksPerExtent*blockSize]))
}

// at returns where a byte of a cell lies.
func (p *pool) at(ref uint32, n int) (e *extent, at uint32) {
	const cells = extentSize / granule
	return p.extents[ref/cells], ref%cells*granule + uint32(n)
}

// cell returns the bytes from a cell's beginning to the end of its block.
func (p *pool) cell(ref uint32) []byte {
	return p.block(ref >> refBits)[ref&(1<<refBits-1)*granule:]
}

// A page is a block as an array.
const (
	slotsPerPage   = 1024
	bucketsPerPage = blockSize / 4
)

type (
	slotPage   [slotsPerPage]slot
	bucketPage [bucketsPerPage]uint32
)

var (
	_ [blockSize - unsafe.Sizeof(slotPage{})]byte
	_ [blockSize - unsafe.Sizeof(bucketPage{})]byte
)

func (p *pool) slotPage(id uint32) *slotPage     { return (*slotPage)(unsafe.Pointer(p.block(id))) }
func (p *pool) bucketPage(id uint32) *bucketPage { return (*bucketPage)(unsafe.Pointer(p.block(id))) }

func uint32At(b []byte) uint32 { return *(*uint32)(unsafe.Pointer(&b[:4][0])) }

func putUint32(b []byte, v uint32) { *(*uint32)(unsafe.Pointer(&b[:4][0])) = v }

// wordAt returns bytes 8i to 8i+7. The caller knows that they exist.
func wordAt(b []byte, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), 8*i))
}

// words returns the first 32 bytes as numbers. The caller knows that they exist.
func words(b []byte) *[4]uint64 { return (*[4]uint64)(unsafe.Pointer(unsafe.SliceData(b))) }
